package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestPingsWithoutReading has a client ping on and on and read no answer: what
// waits for it stays small.
func TestPingsWithoutReading(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.WriteTimeout = 100 * time.Millisecond }).serve(t)
	p := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "r"}))
	ping := masked(true, ws.OpPing, strings.Repeat("x", 125))
	many := bytes.Repeat(ping, 1000)
	for { // until the server, whose writes stall, has dropped it
		if _, err := p.Write(many); err != nil {
			break
		}
	}
	if code := r.awaitClosed(t); code != 1013 {
		t.Errorf("closed with %d", code)
	}
}

// TestBothClose has the client close while the server's close waits behind a
// socket that is full: the close frame comes before the end.
func TestBothClose(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	p := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "r"}))
	fill(r)
	r.keeper.all()[0].close(ws.StatusGoingAway, "")
	p.send(t, ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
	p.expectClose(t, ws.StatusGoingAway)
	p.expectEnd(t)
}

// fill publishes more than a socket takes.
func fill(r *rig) {
	payload := strings.Repeat("x", 60_000)
	for range 200 {
		r.publish("c", payload)
	}
}

// TestReceiversMessagesAreForgotten has a client that may not send send a
// message that never ends: nothing of it is kept.
func TestReceiversMessagesAreForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	p := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "r"}))
	long := strings.Repeat("x", 300_000)
	for _, part := range [][]byte{masked(false, ws.OpText, long), masked(false, 0, long), masked(true, ws.OpPing, "")} {
		if _, err := p.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if f := p.next(t); f.Header.OpCode != ws.OpPong {
		t.Fatalf("got %v", f.Header.OpCode)
	}
	c := r.keeper.all()[0]
	if size := cap(c.frames.message); size > 0 {
		t.Errorf("%d bytes are kept", size)
	}
	if _, err := p.Write(masked(false, 0, strings.Repeat("x", 500_000))); err != nil {
		t.Fatal(err)
	}
	p.expectClose(t, ws.StatusMessageTooBig) // the limit holds all the same
}

// corked gathers what is written while it is closed.
type corked struct {
	net.Conn
	closed bool
	held   bytes.Buffer
}

func (c *corked) Write(p []byte) (int, error) {
	if c.closed {
		return c.held.Write(p)
	}
	return c.Conn.Write(p)
}

func (r *rig) serveTLS(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(r.Middleware(http.NotFoundHandler()))
	s.TLS = &tls.Config{NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func dialTLS(t *testing.T, s *httptest.Server, path string) (*tls.Conn, *corked) {
	t.Helper()
	under, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = under.Close() })
	cork := &corked{Conn: under}
	conn := tls.Client(cork, &tls.Config{InsecureSkipVerify: true})
	report(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	u := "wss://" + s.Listener.Addr().String() + path
	dialer := ws.Dialer{
		NetDial:   func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		TLSClient: func(conn net.Conn, _ string) net.Conn { return conn },
	}
	if _, _, _, err := dialer.Dial(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return conn, cork
}

// TestLastWordsOverTLS has the last message and the end of the stream arrive together.
func TestLastWordsOverTLS(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	conn, cork := dialTLS(t, r.serveTLS(t), "/c/"+r.token(t, map[string]any{"mode": "w"}))
	cork.closed = true
	report(t, ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte("last words")))))
	report(t, conn.CloseWrite())
	report(t, cork.SetWriteDeadline(time.Time{})) // CloseWrite lets no write after it through
	if _, err := cork.Conn.Write(cork.held.Bytes()); err != nil {
		t.Fatal(err)
	}
	if m := <-r.messages; string(m.Text) != "last words" {
		t.Errorf("got %q", m.Text)
	}
}

// TestStalledTLS drops a client that does not read: TLS would say goodbye and
// wait for five seconds.
func TestStalledTLS(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.WriteTimeout = 50 * time.Millisecond })
	dialTLS(t, r.serveTLS(t), "/c/"+r.token(t, map[string]any{"mode": "r"}))
	fill(r)
	select {
	case code := <-r.events.closings:
		if code != 1013 {
			t.Errorf("closed with %d", code)
		}
	case <-time.After(4 * time.Second):
		t.Error("the client is not dropped")
	}
}

// TestAnswerIsNotRead has a client that never reads the answer to its
// handshake: the server can stop nevertheless, and keeps nothing of it.
func TestAnswerIsNotRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	client, conn := net.Pipe()
	listener := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	listener.conn <- conn
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, listener, r.Middleware(http.NotFoundHandler()), slog.New(slog.DiscardHandler))
	}()
	_, err := io.WriteString(client, upgradeRequest("/c/"+r.token(t, map[string]any{"mode": "rw"}), askUpgrade))
	report(t, err)
	stop()
	report(t, <-ended)
	stopped := make(chan struct{})
	go func() { defer close(stopped); r.stop(nil) }()
	select {
	case <-stopped:
	case <-time.After(3 * closeWait):
		t.Error("the server does not stop")
	}
	report(t, client.Close())
	<-stopped
}

// oneConn is a listener that has one connection.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
