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

	"pgws/internal/auth"
	"pgws/internal/hub"
)

// Close codes that gobwas/ws does not name (IANA's registry of RFC 6455; 3001
// is the original server's).
const (
	statusServiceRestart ws.StatusCode = 1012
	statusTryAgainLater  ws.StatusCode = 1013
	statusExpired        ws.StatusCode = 3001
)

// closeWait is how long a client has to answer a close.
const closeWait = 2 * time.Second

// A conn is one websocket connection: the transport of a hub session, and the
// goroutine that reads from it.
type conn struct {
	server  *Server
	net     net.Conn
	raw     syscall.RawConn // nil when frames cannot pass by net, as under TLS
	session *hub.Session
	grant   *auth.Grant
	frames  frames

	seen    atomic.Int64 // when something last came, nanoseconds since the keeper's start
	waiting atomic.Bool  // the reader waits for the publisher, not for the client
	active  atomic.Bool  // a message has come since the last ping
	resting atomic.Bool  // it has no goroutine: the poller wakes it
	fd      atomic.Int32 // by which the poller knows it, when it has rested

	mu     sync.Mutex
	code   ws.StatusCode      // with which it closes; 0 while open
	drop   time.Time          // when closing has taken too long
	ctx    context.Context    // ends with the session; made when it first sends
	cancel context.CancelFunc // of ctx

	timer // the keeper's
}

// newConn returns a connection with its channels open, which begin lets write.
func (s *Server) newConn(grant *auth.Grant) *conn {
	c := &conn{server: s, grant: grant}
	c.index = -1
	c.session = s.Hub.NewSession(c)
	if grant.Receive {
		c.session.Subscribe(grant.Channels...)
	}
	return c
}

// begin starts the session on an upgraded connection. The bytes of early have
// come already.
func (c *conn) begin(netConn net.Conn, early []byte) {
	s := c.server
	c.net = netConn
	if direct, ok := netConn.(syscall.Conn); ok {
		if raw, err := direct.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	c.frames.init(c, s.MaxMessageBytes, early)
	c.frames.discard = !c.grant.Send
	s.opened.Add(1)
	s.Observer.SessionOpened()
	c.seen.Store(s.keeper.now())
	s.keeper.add(c)
	c.session.Start()
	if !s.Open() { // Run may have closed all others before this one was added
		c.leave()
	}
	c.announce()
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

// announce tells the meta channel of the session.
func (c *conn) announce() {
	meta := c.server.MetaChannel
	if meta == "" {
		return
	}
	err := c.publish(hub.Message{
		Event:    "ConnectionOpen",
		Channels: []string{meta},
		Text:     []byte(strings.Join(c.grant.Channels, ",")),
	})
	if err != nil {
		c.server.Log.Warn("a session could not be announced on the meta channel", "error", err)
	}
}

// read handles what comes until the client closes or an error ends it.
func (c *conn) read() error {
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
			if err := c.receive(payload); err != nil {
				return err
			}
		}
	}
}

// receive publishes a message of a client that may send.
func (c *conn) receive(text []byte) error {
	if !c.grant.Send || c.closed() != 0 {
		return nil
	}
	if !utf8.Valid(text) {
		return &closeError{code: ws.StatusInvalidFramePayloadData, reason: "not UTF-8"}
	}
	c.server.Observer.MessageReceived()
	err := c.publish(hub.Message{Event: "WebsocketMessage", Channels: c.grant.Channels, Text: text})
	switch {
	case err == nil || c.closed() != 0:
		return nil
	case errors.Is(err, hub.ErrTooLarge):
		return &closeError{code: ws.StatusMessageTooBig, reason: err.Error()}
	}
	c.server.Log.Error("a message could not be accepted", "error", err)
	return &closeError{code: ws.StatusInternalServerError, reason: "message not accepted"}
}

func (c *conn) publish(m hub.Message) error {
	m.Claims, m.Sender, m.Refused = c.grant.Claims, c.session, c.refused
	c.waiting.Store(true)
	defer func() {
		c.seen.Store(c.server.keeper.now()) // the client is not to blame for the wait
		c.waiting.Store(false)
	}()
	return c.server.Publisher.Publish(c.context(), m)
}

// refused closes a session whose message PostgreSQL could not take.
func (c *conn) refused(error) {
	c.close(ws.StatusInvalidFramePayloadData, "the database refuses the message")
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
// to now is delivered, then a close frame is sent, and the keeper drops the connection when that takes too
// long. The first code stands. The channel is closed when the frame is out.
func (c *conn) close(code ws.StatusCode, reason string) <-chan struct{} {
	now := time.Now()
	c.mu.Lock()
	if c.code == 0 {
		c.code = code
		c.drop = now.Add(closeWait)
		if c.cancel != nil {
			c.cancel()
		}
	}
	drop := c.drop
	c.mu.Unlock()
	c.server.keeper.hasten(c, drop)
	return c.session.End(closeFrame(code, reason))
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
			"cause", cause, "channels", len(c.grant.Channels), "remote", c.net.RemoteAddr())
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
