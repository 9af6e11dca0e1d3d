package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"golang.org/x/time/rate"

	"pgws/internal/auth"
	"pgws/internal/hub"
)

// Close codes that gobwas/ws does not name (IANA's registry of RFC 6455).
const (
	statusServiceRestart ws.StatusCode = 1012
	statusTryAgainLater  ws.StatusCode = 1013
)

// closeWait is how long a client has to answer a close.
const closeWait = 2 * time.Second

// A conn is one connection that stays, a websocket or an event stream: the
// transport of a hub session, and the goroutine that reads from it.
type conn struct {
	server  *Server
	dialect *dialect
	net     net.Conn
	raw     syscall.RawConn // nil when frames cannot pass by net, as under TLS
	session *hub.Session
	grant   atomic.Pointer[auth.Grant] // nil until there is a token
	channel string                     // that a token still to come is to open
	frames  frames
	limiter *rate.Limiter // of what the client says; nil: none

	seen    atomic.Int64 // when something last came, a time.Duration since the keeper's start
	waiting atomic.Bool  // the reader waits for the publisher, not for the client
	active  atomic.Bool  // a message has come since the last ping
	resting atomic.Bool  // it has no goroutine: the poller wakes it
	fd      atomic.Int32 // by which the poller knows it, when it has rested

	mu     sync.Mutex         // also of what is stored in grant, together with alarm
	code   ws.StatusCode      // with which it closes; 0 while open
	alarm  time.Duration      // when a token is to be there, or the client told that it ends soon; 0: never
	drop   time.Duration      // when closing has taken too long; both since the keeper's start
	ctx    context.Context    // ends with the session; made when it first sends
	cancel context.CancelFunc // of ctx

	timer // the keeper's
}

// newConn returns a connection without channels, which begin lets write.
func (s *Server) newConn(d *dialect, grant *auth.Grant, compressed bool) *conn {
	c := &conn{server: s, dialect: d, limiter: s.newLimiter()}
	c.index = -1
	format := d.format
	if compressed {
		format = d.packed
	}
	c.frames.compressed = compressed
	c.session = s.Hub.NewSession(c, format)
	if grant != nil {
		c.adopt(grant)
	}
	return c
}

// adopt puts a grant in force.
func (c *conn) adopt(grant *auth.Grant) {
	c.frames.discard = c.dialect.answer == nil && !grant.Send
	notice := time.Duration(0)
	if left := time.Until(grant.Expires); c.dialect.answer != nil && !grant.Expires.IsZero() && left < centuries {
		notice = c.server.keeper.now() + noticeAfter(left)
	}
	c.mu.Lock()
	old := c.grant.Swap(grant)
	moved := old == nil || !old.Expires.Equal(grant.Expires)
	if moved { // The client is told of each end once.
		c.alarm = notice
	}
	c.mu.Unlock()
	if moved && notice != 0 {
		c.server.keeper.hasten(c, notice)
	}
}

// begin starts the session on a connection that is the client's, and calls first
// before its reader may run. The bytes of early have come already.
func (c *conn) begin(netConn net.Conn, early []byte, first func()) {
	s := c.server
	c.net = netConn
	if direct, ok := netConn.(syscall.Conn); ok {
		if raw, err := direct.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	c.frames.init(c, early)
	s.opened.Add(1)
	s.Observer.SessionOpened()
	c.see()
	s.keeper.add(c)
	c.session.Start()
	if !s.Open() { // Run may have closed all others before this one was added
		c.leave()
	}
	first()
	// All that needs a deep stack is done here: the reader's own stays small. Most
	// clients say nothing for long: the reader begins when there is something.
	if len(early) > 0 || !c.rest() {
		go c.serve()
	}
}

// leave closes the session because the server ends.
func (c *conn) leave() {
	if c.server.restart.Load() {
		c.close(statusServiceRestart, "server is restarting")
		return
	}
	c.close(ws.StatusGoingAway, "server is stopping")
}

// serve reads until the connection ends or rests.
func (c *conn) serve() {
	err := c.read()
	for errors.Is(err, errNothingYet) {
		if c.rest() {
			return
		}
		c.frames.input.stay = true
		err = c.read()
	}
	c.finish(err)
	c.server.reading.Done()
}

// finish ends the session after reading has ended with err.
func (c *conn) finish(err error) {
	s := c.server
	c.end(err)
	s.keeper.remove(c)
	c.session.Detach()
	if s.poller != nil {
		s.poller.forget(c, int(c.fd.Load()))
	}
	s.closeNet(c.net)
	code := int(c.closed())
	s.Observer.SessionClosed(code)
	s.Log.Debug("session closed", "code", code)
}

// announce tells the meta channel of the session and the channels that it has opened. For
// what a notification cannot hold it is told less: nobody gets in unheard.
func (c *conn) announce(channels []string) {
	meta := c.server.MetaChannel
	if meta == "" {
		return
	}
	claims := c.grant.Load().Claims
	var err error
	for _, m := range []hub.Message{{Text: []byte(strings.Join(channels, ",")), Claims: claims}, {Claims: claims}, {Claims: "{}"}} {
		m.Event, m.Channels = "ConnectionOpen", []string{meta}
		if err = c.publish(c.context(), m); !errors.Is(err, hub.ErrTooLarge) {
			break
		}
	}
	if err != nil {
		c.server.Log.Warn("a session could not be announced on the meta channel", "error", err)
	}
}

// read handles what comes until the client closes or an error ends it.
func (c *conn) read() error {
	if c.dialect.deaf {
		return c.frames.input.discard()
	}
	for {
		op, payload, err := c.frames.next()
		if err != nil {
			return err
		}
		switch op {
		case ws.OpPing:
			c.session.Control(ws.MustCompileFrame(ws.NewPongFrame(payload)))
		case ws.OpPong:
		case ws.OpClose:
			return parseClose(payload)
		default:
			c.active.Store(true)
			if c.closed() != 0 {
				continue
			}
			if c.dialect.answer != nil {
				err = c.handle(payload)
			} else {
				err = c.receive(payload)
			}
			if err != nil {
				return err
			}
		}
	}
}

// receive publishes a message of a client that speaks the classic protocol, and may
// send.
func (c *conn) receive(text []byte) error {
	grant := c.grant.Load()
	if !grant.Send {
		return nil
	}
	if !utf8.Valid(text) {
		return errNotText
	}
	c.server.Observer.MessageReceived()
	if !c.hold() {
		return nil
	}
	err := c.publish(c.context(), hub.Message{
		Event: "WebsocketMessage", Channels: grant.Channels, Text: text, Claims: grant.Claims, Mute: !grant.Echo, Done: c.published,
	})
	switch {
	case err == nil || c.closed() != 0:
		return nil
	case errors.Is(err, hub.ErrTooLarge):
		return &closeError{code: ws.StatusMessageTooBig, reason: err.Error()}
	}
	c.server.Log.Error("a message could not be accepted", "error", err)
	return &closeError{code: ws.StatusInternalServerError, reason: "message not accepted"}
}

// publish hands a message on, in the name of the session.
func (c *conn) publish(ctx context.Context, m hub.Message) error {
	m.Sender = c.session
	c.waiting.Store(true)
	defer c.waited()
	return c.server.Publisher.Publish(ctx, m)
}

// waited ends a wait of the reader for somebody else than the client.
func (c *conn) waited() {
	c.see()
	c.waiting.Store(false)
}

// published closes a session whose message PostgreSQL could not take.
func (c *conn) published(_ int64, err error) {
	if err != nil {
		c.close(ws.StatusInvalidFramePayloadData, "the database refuses the message")
	}
}

// context returns the one that ends when the session begins to close.
func (c *conn) context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(context.Background())
		if c.code != 0 {
			c.cancel()
		}
	}
	return c.ctx
}

// close begins to close the connection: nothing more is taken, what was heard up
// to now is delivered, then a close frame is sent, and the keeper drops the connection
// when that takes too long. The first code stands. The channel is closed when the frame
// is out.
func (c *conn) close(code ws.StatusCode, reason string) <-chan struct{} {
	c.mu.Lock()
	first := c.code == 0
	if first {
		c.code = code
		c.drop = c.server.keeper.now() + closeWait
		if c.cancel != nil {
			c.cancel()
		}
		if c.dialect.deaf {
			c.server.reading.Add(1) // The reader cannot have ended yet: it takes this lock before.
		}
	}
	drop := c.drop
	c.mu.Unlock()
	c.server.keeper.hasten(c, drop)
	ended := c.session.End(c.dialect.end(code, reason))
	if first && c.dialect.deaf {
		go c.hangUp(ended)
	}
	return ended
}

// hangUp ends a connection whose client answers no close, when all is written.
func (c *conn) hangUp(written <-chan struct{}) {
	defer c.server.reading.Done()
	<-written
	if half, ok := c.net.(halfCloser); ok { // TLS tells the end from a connection that broke.
		if err := half.CloseWrite(); err != nil {
			c.server.Log.Debug("end an event stream", "error", err)
		}
	}
	c.cut()
}

// closed returns the code with which the connection closes, 0 while it is open.
func (c *conn) closed() ws.StatusCode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code
}

// end brings a connection whose reading has ended with err to its close.
func (c *conn) end(err error) {
	var wrong *closeError
	var answer *closeReceived
	switch {
	case errors.As(err, &wrong):
		<-c.close(wrong.code, wrong.reason)
		c.drain()
	case errors.As(err, &answer):
		<-c.close(answer.code, "")
	case c.dialect.deaf:
		c.abandon(ws.StatusNormalClosure) // There is no other way to leave an event stream.
	default:
		c.abandon(ws.StatusAbnormalClosure)
	}
}

// halfCloser is a connection whose sending side can be closed alone.
type halfCloser interface{ CloseWrite() error }

// drain reads on until the client closes: closing with unread input would
// reset the connection, and the client might never see why. The keeper limits it.
func (c *conn) drain() {
	if half, ok := c.net.(halfCloser); ok {
		if err := half.CloseWrite(); err != nil {
			return
		}
	}
	// Whatever comes, and however it ends, the session is over.
	_, _ = io.Copy(io.Discard, c.net)
}

// abandon marks a connection as closed without a word.
func (c *conn) abandon(code ws.StatusCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code == 0 {
		c.code = code
		if c.cancel != nil {
			c.cancel()
		}
	}
}

// Abort ends a session that lags or cannot be written to, see hub.Transport.
func (c *conn) Abort(cause error) {
	s := c.server
	lagging, stalled := errors.Is(cause, hub.ErrLagging), errors.Is(cause, os.ErrDeadlineExceeded)
	if (lagging || stalled) && c.closed() == 0 {
		s.Observer.SlowSession()
		s.Log.Warn("session closed: its client is too slow",
			"cause", cause, "channels", len(c.session.Channels()), "remote", c.net.RemoteAddr())
	}
	if lagging {
		c.close(statusTryAgainLater, "too slow")
		return
	}
	if stalled {
		c.abandon(statusTryAgainLater)
	}
	c.cut()
}

// closeNet ends a connection at once. TLS would first say goodbye to a client
// that may not listen, and wait for it.
func (s *Server) closeNet(conn net.Conn) {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.Log.Debug("close a connection", "error", err)
	}
}
