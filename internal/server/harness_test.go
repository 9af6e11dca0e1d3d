package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"pgws/internal/auth"
	"pgws/internal/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret of thirty-two bytes or more"

// events is an Observer that keeps what it is told.
type events struct {
	closings chan int // codes

	mu      sync.Mutex
	refused []string
	slow    int
	opened  int
}

func (e *events) SessionOpened()         { e.mu.Lock(); defer e.mu.Unlock(); e.opened++ }
func (e *events) SessionClosed(code int) { e.closings <- code }
func (e *events) SlowSession()           { e.mu.Lock(); defer e.mu.Unlock(); e.slow++ }
func (e *events) Refused(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused = append(e.refused, reason)
}
func (e *events) MessageReceived() {}
func (e *events) Received(int)     {}
func (e *events) Delivered(int)    {}

// echo is a publisher that hands messages on to be looked at, or refuses them.
type echo struct {
	messages chan hub.Message
	err      error
	full     chan struct{} // not nil: Publish waits for it or its context
}

func (e *echo) Publish(ctx context.Context, m hub.Message) error {
	if e.full != nil {
		select {
		case <-e.full:
		case <-ctx.Done():
			if m.Prompt {
				return fmt.Errorf("%w: %w", hub.ErrUnavailable, ctx.Err())
			}
			return ctx.Err()
		}
	}
	if e.err != nil {
		return e.err
	}
	m.Text = bytes.Clone(m.Text)
	e.messages <- m
	return nil
}

// A rig is a server with a hub and a publisher to look into.
type rig struct {
	*Server
	*echo
	events *events
	keys   *auth.Keys
	http   *httptest.Server
	pipes  chan net.Conn // in a bubble, instead of http
	stop   func(cause error)
}

func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	return makeRig(t, change, newPoller)
}

// bubbleRig is a rig for a bubble of synctest, whose time would stand still
// while a poller waits.
func bubbleRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	return makeRig(t, change, func() (*poller, error) { return nil, errors.ErrUnsupported })
}

func makeRig(t testing.TB, change func(*Options), makePoller func() (*poller, error)) *rig {
	t.Helper()
	keys, err := auth.ParseKeys(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{echo: &echo{messages: make(chan hub.Message, 100)}, events: &events{closings: make(chan int, 1000)}, keys: keys}
	h := hub.New(hub.Options{Observer: r.events, History: 1 << 20})
	o := Options{
		Hub: h, Publisher: r.echo, Keys: keys, Observer: r.events,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	r.Server = New(o)
	r.makePoller = makePoller
	hubCtx, stopHub := context.WithCancel(context.Background())
	ctx, stop := context.WithCancelCause(context.Background())
	var hubRuns, serverRuns sync.WaitGroup
	hubRuns.Go(func() { report(t, h.Run(hubCtx)) })
	serverRuns.Go(func() { report(t, r.Server.Run(ctx)) })
	<-r.Running()
	r.stop = func(cause error) { stop(cause); serverRuns.Wait() }
	t.Cleanup(func() { r.stop(nil); stopHub(); hubRuns.Wait() })
	return r
}

// serve lets the rig answer on a socket.
func (r *rig) serve(t testing.TB) *rig {
	t.Helper()
	r.http = httptest.NewServer(r.Middleware(http.NotFoundHandler()))
	t.Cleanup(r.http.Close)
	return r
}

func report(t testing.TB, err error) {
	if err != nil {
		t.Error(err)
	}
}

func (r *rig) token(t testing.TB, claims map[string]any) string {
	t.Helper()
	encoded, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := r.keys.Sign(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// upgradeRequest is a handshake as it goes over the wire, but for the headers
// that ask for the upgrade.
func upgradeRequest(path, headers string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// askUpgrade are those headers, as browsers write them.
const askUpgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n"

// publish is what the source does.
func (r *rig) publish(channel, payload string) {
	r.Hub.Append(channel, payload, nil)
	r.Hub.Flush()
}

// A peer is a client that sees every frame.
type peer struct {
	net.Conn
	in *bufio.Reader
}

func (r *rig) dial(t testing.TB, path string) *peer {
	t.Helper()
	conn, buffered, _, err := ws.Dial(t.Context(), "ws"+r.http.URL[len("http"):]+path)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if buffered == nil {
		buffered = bufio.NewReader(conn)
	}
	t.Cleanup(func() { _ = conn.Close() })
	report(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return &peer{Conn: conn, in: buffered}
}

func (p *peer) send(t *testing.T, frames ...ws.Frame) {
	t.Helper()
	var b bytes.Buffer
	for _, f := range frames {
		report(t, ws.WriteFrame(&b, ws.MaskFrame(f)))
	}
	if _, err := p.Write(b.Bytes()); err != nil {
		t.Error(err)
	}
}

func (p *peer) next(t *testing.T) ws.Frame {
	t.Helper()
	f, err := ws.ReadFrame(p.in)
	if err != nil {
		t.Fatalf("read a frame: %v", err)
	}
	return f
}

// expectClose reads up to the close frame and then the end of the connection.
func (p *peer) expectClose(t *testing.T, code ws.StatusCode) (reason string) {
	t.Helper()
	for {
		f := p.next(t)
		if f.Header.OpCode != ws.OpClose {
			continue
		}
		got := ws.StatusNoStatusRcvd
		if len(f.Payload) > 0 {
			got, reason = ws.ParseCloseFrameData(f.Payload)
		}
		if got != code {
			t.Errorf("closed with %d %q, want %d", got, reason, code)
		}
		return reason
	}
}

func (p *peer) expectEnd(t *testing.T) {
	t.Helper()
	if _, err := io.Copy(io.Discard, p.in); err != nil && errors.Is(err, context.DeadlineExceeded) {
		t.Error("the connection stays open")
	}
}

// awaitClosed waits until the server has closed a session and returns its code.
func (r *rig) awaitClosed(t *testing.T) int {
	t.Helper()
	select {
	case code := <-r.events.closings:
		return code
	case <-time.After(20 * time.Second):
		t.Fatal("no session was closed")
		return 0
	}
}
