// Package server speaks HTTP and the websocket protocol (RFC 6455): it opens
// sessions for those whose token allows it, takes their messages and closes
// them. It also serves static files, TLS and the admin listener.
//
// A session that sends has a goroutine that reads; the others rest, and one
// poller wakes them. One keeper for all pings, ends what has expired and drops
// the dead. Writing is the hub's. The package imports hub and auth.
package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/auth"
	"pgws/internal/hub"
)

// Defaults of Options.
const (
	DefaultMaxMessageBytes = 1 << 20
	DefaultWriteTimeout    = 10 * time.Second
)

// ErrRestart as the cause of Run's context closes sessions with 1012 (service
// restart) rather than 1001 (going away).
var ErrRestart = errors.New("server: restart")

// Observer is told what happens to sessions. Its methods must not block.
type Observer interface {
	SessionOpened()
	// SessionClosed tells the close code that was sent or received, 1006 for none.
	SessionClosed(code int)
	// SlowSession counts sessions ended because they lag or stall.
	SlowSession()
	// Refused counts connections that were not opened, by reason.
	Refused(reason string)
	// MessageReceived counts messages of clients that may send.
	MessageReceived()
}

// Options configure a Server.
type Options struct {
	Hub       *hub.Hub
	Publisher hub.Publisher
	Keys      *auth.Keys
	// MetaChannel is told of each session opened; empty: none is.
	MetaChannel string
	// MaxMessageBytes bounds one message of a client, its fragments joined;
	// 0 means DefaultMaxMessageBytes.
	MaxMessageBytes int
	// WriteTimeout is how long one write may stall; 0 means DefaultWriteTimeout.
	WriteTimeout time.Duration
	Observer     Observer
	Log          *slog.Logger
}

// Server opens and keeps sessions.
type Server struct {
	Options
	keeper  *keeper
	opened  atomic.Uint64
	restart atomic.Bool // the end is a restart

	makePoller func() (*poller, error)
	poller     *poller // of connections that rest; nil where there is none
	running    chan struct{}

	mu      sync.Mutex
	open    bool           // Run has begun, and does not stop yet
	reading sync.WaitGroup // the goroutines of sessions
}

// New returns a server; Run keeps its sessions.
func New(o Options) *Server {
	if o.MaxMessageBytes == 0 {
		o.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	return &Server{Options: o, keeper: newKeeper(), running: make(chan struct{}), makePoller: newPoller}
}

// Middleware takes websocket requests and leaves all others to next.
func (s *Server) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isUpgrade(r) {
			s.answer(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isUpgrade reports whether a request asks for a websocket (RFC 6455, section
// 4.2.1). Both headers are lists, which may stand on several lines; it leaves
// them on one, as the upgrader reads them.
func isUpgrade(r *http.Request) bool {
	if !slices.ContainsFunc(listed(r, "Upgrade"), func(protocol string) bool { return strings.EqualFold(protocol, "websocket") }) {
		return false
	}
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", strings.Join(listed(r, "Connection"), ", "))
	return true
}

// listed returns the members of a header that is a list (RFC 9110, section 5.6.1).
func listed(r *http.Request, name string) []string {
	members := strings.Split(strings.Join(r.Header.Values(name), ","), ",")
	for i := range members {
		members[i] = strings.TrimSpace(members[i])
	}
	return members
}

// answer opens a session for a websocket request, or refuses it in plain text.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	channel, token, pattern, err := route(r.URL)
	if !s.Open() { // before looking at the token: keys may not be there yet
		s.unavailable(w, r, pattern)
		return
	}
	if err != nil {
		s.refuse(w, r, pattern, http.StatusBadRequest, "bad_path", "Error: "+err.Error())
		return
	}
	grant, err := s.Keys.Authorize(r.Context(), token, channel)
	if err != nil {
		s.refuseToken(w, r, pattern, err)
		return
	}
	if !s.enter() {
		s.unavailable(w, r, pattern)
		return
	}
	// The channels are opened first: who has the answer misses nothing.
	c := s.newConn(grant)
	netConn, buffered, _, err := ws.HTTPUpgrader{Timeout: closeWait}.Upgrade(r, w)
	if err != nil {
		c.session.Detach()
		s.reading.Done()
		s.Observer.Refused("handshake")
		s.Log.Info("refused", "route", pattern, "reason", "handshake", "error", err, "remote", r.RemoteAddr)
		if netConn != nil {
			s.closeNet(netConn)
		}
		return
	}
	// What the client has sent already lies in net/http's buffer, which is not ours to keep.
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		early = nil
	}
	s.Log.Debug("session opened", "route", pattern, "channels", len(grant.Channels), "remote", r.RemoteAddr)
	// All that needs a deep stack is done here: the reader's own stays small.
	c.begin(netConn, bytes.Clone(early))
	// Most clients say nothing for long: the reader begins when there is something.
	if len(early) > 0 || !c.rest() {
		go c.serve()
	}
}

// enter counts one more reader while sessions may be opened.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return false
	}
	s.reading.Add(1)
	return true
}

// Open reports whether sessions may be opened: Run has begun and is not about
// to end.
func (s *Server) Open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Running is closed when Run has begun and sessions may be opened.
func (s *Server) Running() <-chan struct{} { return s.running }

// Opened returns how many sessions have been opened so far.
func (s *Server) Opened() uint64 { return s.opened.Load() }

func (s *Server) setOpen(open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = open
}

func (s *Server) unavailable(w http.ResponseWriter, r *http.Request, pattern string) {
	w.Header().Set("Retry-After", "1")
	s.refuse(w, r, pattern, http.StatusServiceUnavailable, "unavailable", "Error: the server is starting or stopping")
}

func (s *Server) refuseToken(w http.ResponseWriter, r *http.Request, pattern string, err error) {
	status, reason := http.StatusUnauthorized, "bad_token"
	if refusal, ok := errors.AsType[*auth.Refusal](err); ok {
		reason = refusal.Reason
		if refusal.Forbidden {
			status = http.StatusForbidden
		}
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	s.refuse(w, r, pattern, status, reason, err.Error())
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, pattern string, status int, reason, body string) {
	s.Observer.Refused(reason)
	s.Log.Info("refused", "route", pattern, "status", status, "reason", reason, "remote", r.RemoteAddr)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write([]byte(body)); err != nil {
		s.Log.Debug("write a refusal", "error", err)
	}
}

// How Run ends sessions.
const (
	closeBatch    = 100                   // sessions closed together,
	closePause    = 10 * time.Millisecond // between two batches, so that not all come back at once,
	longestSpread = time.Second           // and for all of them
)

// Run pings and expires sessions until ctx is done; then it closes them all,
// waits for their ends, not for long, and returns.
func (s *Server) Run(ctx context.Context) (err error) {
	keeping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { s.keeper.run(keeping) })
	if poller, err := s.makePoller(); err == nil {
		s.poller = poller
		keeper.Go(func() {
			if err := poller.run(keeping); err != nil {
				s.Log.Error("sessions at rest are not woken any more", "error", err)
			}
		})
		defer func() { err = errors.Join(err, poller.close()) }()
	} else if !errors.Is(err, errors.ErrUnsupported) {
		s.Log.Warn("idle connections keep their goroutines", "error", err)
	}
	s.setOpen(true)
	close(s.running)
	<-ctx.Done()
	s.restart.Store(errors.Is(context.Cause(ctx), ErrRestart))
	s.setOpen(false)
	s.closeAll()
	s.reading.Wait()
	cancel()
	keeper.Wait()
	return nil
}

// closeAll closes every session. The keeper drops those that do not answer.
func (s *Server) closeAll() {
	conns := s.keeper.all()
	pause := min(closePause, longestSpread*closeBatch/time.Duration(max(len(conns), 1)))
	for batch := range slices.Chunk(conns, closeBatch) {
		for _, c := range batch {
			c.leave()
		}
		<-time.After(pause)
	}
}
