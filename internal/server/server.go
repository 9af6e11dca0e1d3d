// Package server speaks to clients by HTTP: websockets (RFC 6455) in the classic
// protocol and pgws.v1, event streams, messages by POST. It opens sessions for those
// whose token allows it, takes their messages and closes them. It also serves static
// files, TLS and the admin listener.
//
// A session that sends has a goroutine that reads; the others rest, and one
// poller wakes them. One keeper for all pings, ends what has expired and drops
// the dead. Writing is the hub's. The package imports
// hub, auth, protocol and deflate.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	// Refused counts requests of HTTP that were refused, and websockets whose first
	// message was no good auth, by reason.
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
	// NoTokenInPath refuses tokens in the path.
	NoTokenInPath bool
	// TokenCookie is the cookie that may carry a token; empty: none. It needs
	// AllowedOrigins.
	TokenCookie    string
	AllowedOrigins Origins
	// MessageRate is how many messages a second a connection, or a token without one,
	// may send; 0: any number.
	MessageRate int
	// CompressMinBytes is from which length on texts are compressed for clients that
	// offer permessage-deflate; 0: compression is not agreed to.
	CompressMinBytes int
	Observer         Observer
	Log              *slog.Logger
}

// Server opens and keeps sessions.
type Server struct {
	Options
	dialects *dialects
	tally    tally
	keeper   *keeper
	opened   atomic.Uint64
	restart  atomic.Bool // the end is a restart

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
	return &Server{
		Options: o, dialects: newDialects(o.CompressMinBytes), keeper: newKeeper(),
		running: make(chan struct{}), makePoller: newPoller,
	}
}

// Middleware takes websocket requests and leaves all others to next.
func (s *Server) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isUpgrade(r) {
			s.openWebsocket(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Handler takes the requests of every transport: websockets, event streams, messages
// by POST and the questions of browsers that precede these. It leaves all others to
// next.
func (s *Server) Handler(next http.Handler) http.Handler {
	return s.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && wantsEvents(r):
			s.openEvents(w, r)
		case r.Method == http.MethodPost:
			s.takePost(w, r)
		case isPreflight(r):
			s.preflight(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	}))
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
