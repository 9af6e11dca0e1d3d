package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"pgws/client"
)

// A peer is the server's end of a websocket, for what a real server does not do when a test wants it.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
	// number counts the connections of a server from 0.
	number int
}

// peers serves websockets that speak pgws.v1: each is ready, and then the script's. It ends by its return.
func peers(t *testing.T, script func(*peer)) (url string) {
	t.Helper()
	number := -1
	var running sync.WaitGroup // server.Close does not wait for websockets
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"pgws.v1"}})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		number++
		script(&peer{t, conn, number})
	}))
	t.Cleanup(func() {
		server.Close()
		running.Wait()
	})
	return server.URL
}

func (p *peer) ready() { p.send(`{"op":"ready","mode":"rw","channels":[],"position":"0"}`) }

func (p *peer) send(format string, values ...any) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, values...)); err != nil && !p.over(err) {
		p.t.Errorf("write: %v", err)
	}
}

// A question is a frame of the client.
type question struct {
	ID      int
	Op      string
	Since   string
	Channel string
	Payload any
	Echo    *bool
	Token   string
}

// next returns the next frame, or reports that there is none.
func (p *peer) next() (q question, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, text, err := p.conn.Read(ctx)
	if err != nil {
		if !p.over(err) {
			p.t.Errorf("read: %v", err)
		}
		return q, false
	}
	if err := json.Unmarshal(text, &q); err != nil {
		p.t.Errorf("%s: %v", text, err)
	}
	return q, true
}

// over reports whether an error is the end that a connection may have.
func (p *peer) over(err error) bool {
	return websocket.CloseStatus(err) >= 0 || !errors.Is(err, context.DeadlineExceeded)
}

// expect wants a frame next.
func (p *peer) expect(op string) question {
	q, ok := p.next()
	if !ok || q.Op != op {
		p.t.Errorf("got %+v, %t, want %s", q, ok, op)
	}
	return q
}

// rest reads until the client has gone.
func (p *peer) rest() {
	for {
		if _, ok := p.next(); !ok {
			return
		}
	}
}

func (p *peer) close(code websocket.StatusCode, reason string) { _ = p.conn.Close(code, reason) }

// staticToken is a Token function.
func staticToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// dial returns a client that is closed when the test ends.
func dial(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	if o.Token == nil {
		o.Token = staticToken("token")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, o)
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

func subscribe(t *testing.T, c *client.Client, channels ...string) *client.Subscription {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := c.Subscribe(ctx, channels...)
	check(t, err)
	return s
}

func next(t *testing.T, s *client.Subscription) client.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := s.Next(ctx)
	check(t, err)
	return m
}

func publish(t *testing.T, c *client.Client, channel string, payload any) (client.Receipt, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return c.Publish(ctx, channel, payload)
}

// asError wants an error to be a client.Error.
func asError(t *testing.T, err error) *client.Error {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a client.Error", err)
	}
	return e
}
