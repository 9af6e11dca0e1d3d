package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"pgws/client"
)

// A pipe is a listener whose connections are in memory, so that time need not pass.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error   { close(p.closed); return nil }
func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// overPipe returns a client of a handler. The function ends both.
func overPipe(t *testing.T, handler http.HandlerFunc, o client.Options) (*client.Client, func()) {
	t.Helper()
	p := &pipe{make(chan net.Conn), make(chan struct{})}
	var handling sync.WaitGroup
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handling.Add(1)
		defer handling.Done()
		handler(w, r)
	})}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(p) }()
	transport := &http.Transport{DialContext: p.dial}
	o.URL, o.HTTPClient = "http://pipe", &http.Client{Transport: transport}
	if o.Token == nil {
		o.Token = staticToken("token")
	}
	c, err := client.Dial(t.Context(), o)
	check(t, err)
	return c, func() {
		c.Close()
		transport.CloseIdleConnections()
		_ = server.Close()
		if err := <-serving; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
		handling.Wait()
	}
}

// pass lets time pass in a bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// A server that pings is there, however long it has no message. One of which nothing is heard is given up.
func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const quiet = 10 * time.Minute
		states := newStates()
		_, end := overPipe(t, func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"pgws.v1"}})
			check(t, err)
			defer func() { _ = conn.CloseNow() }()
			(&peer{t: t, conn: conn}).ready()
			reading := conn.CloseRead(t.Context())
			for start := time.Now(); time.Since(start) < quiet && reading.Err() == nil; {
				select {
				case <-time.After(30 * time.Second):
					check(t, conn.Ping(reading))
				case <-reading.Done():
				}
			}
			<-reading.Done()
		}, client.Options{OnState: states.add})
		defer end()
		pass(quiet + time.Minute)
		if states.count(lost) > 0 {
			t.Error("given up, although it pings")
		}
		pass(time.Minute)
		if n := states.count(lost); n != 1 {
			t.Errorf("given up %d times", n)
		}
	})
}

// While messages are not read, the connection is not: what a client holds is bounded.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const messages, size = 100, 40_000
		var sent atomic.Int32
		c, end := overPipe(t, func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"pgws.v1"}})
			check(t, err)
			defer func() { _ = conn.CloseNow() }()
			p := &peer{t: t, conn: conn}
			p.ready()
			p.send(`{"id":%d,"op":"ok","channels":["a"],"position":"0"}`, p.expect("subscribe").ID)
			for i := range messages {
				p.send(`{"op":"message","channel":"a","position":"%d","payload":"%s"}`, i, strings.Repeat("x", size))
				sent.Add(1)
			}
			<-conn.CloseRead(t.Context()).Done()
		}, client.Options{})
		defer end()
		s := subscribe(t, c, "a")
		synctest.Wait()
		if got, most := sent.Load(), int32(2<<20/size); got > most {
			t.Errorf("%d messages were taken, want %d at most", got, most)
		}
		for i := range messages {
			if m := next(t, s); m.Position != fmt.Sprint(i) {
				t.Fatalf("got the message %s, want %d", m.Position, i)
			}
		}
	})
}

// A proxy that swallows websockets is waited for twice. Then event streams are used, and a websocket is tried again when
// they have been for a while and end.
func TestSwallowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked, opened := 0, false
		breaks := make(chan struct{})
		states := newStates()
		start := time.Now()
		c, end := overPipe(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			mine := opened
			if r.Header.Get("Upgrade") != "" {
				asked++
			}
			mu.Unlock()
			switch {
			case r.Method == http.MethodPost:
				_, _ = io.WriteString(w, `{"id":0,"op":"error","code":"bad_request","message":"only publish"}`)
			case r.Header.Get("Upgrade") == "":
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "retry: 2000\n\ndata: {\"op\":\"ready\",\"channels\":[\"a\"],\"position\":\"7\"}\n\n")
				_ = http.NewResponseController(w).Flush()
				for {
					select {
					case <-breaks:
						return
					case <-r.Context().Done():
						return
					case <-time.After(15 * time.Second):
						_, _ = fmt.Fprint(w, ":\n\n")
						_ = http.NewResponseController(w).Flush()
					}
				}
			case mine:
				conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"pgws.v1"}})
				check(t, err)
				defer func() { _ = conn.CloseNow() }()
				p := &peer{t: t, conn: conn}
				p.ready()
				if q := p.expect("subscribe"); q.Since != "7" {
					t.Errorf("goes on at %q", q.Since)
				}
				<-conn.CloseRead(t.Context()).Done()
			default:
				<-r.Context().Done()
			}
		}, client.Options{OnState: states.add})
		defer end()
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("connecting took %v", took)
		}
		subscribe(t, c, "a")
		bySSE := func(s client.State) bool { return connected(s) && s.Transport == client.SSE }
		breaks <- struct{}{}
		pass(time.Minute)
		if n := states.count(bySSE); n != 2 || asked != 2 {
			t.Errorf("connected %d times by SSE, after %d tries of websockets", n, asked)
		}
		pass(5 * time.Minute)
		mu.Lock()
		opened = true
		mu.Unlock()
		breaks <- struct{}{}
		pass(time.Minute)
		if n := states.count(func(s client.State) bool { return connected(s) && s.Transport == client.Websocket }); n != 1 {
			t.Errorf("connected %d times by websocket", n)
		}
	})
}
