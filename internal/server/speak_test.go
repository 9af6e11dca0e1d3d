package server

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// serveAll lets the rig answer the requests of every transport on a socket.
func (r *rig) serveAll(t testing.TB) *rig {
	t.Helper()
	return r.serveWith(t, r.Handler(http.NotFoundHandler()))
}

func (r *rig) serveWith(t testing.TB, handler http.Handler) *rig {
	t.Helper()
	r.http = httptest.NewServer(handler)
	t.Cleanup(r.http.Close)
	return r
}

// servePipes lets the rig answer them on pipes: a bubble of synctest holds no sockets.
func (r *rig) servePipes(t testing.TB) *rig {
	t.Helper()
	r.pipes = make(chan net.Conn)
	listener := &oneConn{conn: r.pipes, closed: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, listener, r.Handler(http.NotFoundHandler()), slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() { stop(); report(t, <-ended) })
	return r
}

// connect returns a connection to the rig.
func (r *rig) connect(t testing.TB) *peer {
	t.Helper()
	var conn net.Conn
	if r.pipes != nil {
		var far net.Conn
		conn, far = net.Pipe()
		r.pipes <- far
	} else {
		var err error
		if conn, err = net.Dial("tcp", r.http.Listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
		report(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &peer{Conn: conn, in: bufio.NewReader(conn)}
}

// ask sends a request, unless that is empty, and reads the head of the answer.
func (p *peer) ask(t testing.TB, request string) result {
	t.Helper()
	if _, err := io.WriteString(p, request); request != "" && err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(p.in, &http.Request{Method: method}) //nolint:bodyclose // It ends with the connection.
	if err != nil {
		t.Fatal(err)
	}
	return result{response}
}

// A result ends with its connection at the latest.
type result struct{ *http.Response }

// body reads the rest of an answer.
func body(t testing.TB, response result) string {
	t.Helper()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

const askV1 = askUpgrade + "Sec-WebSocket-Protocol: pgws.v1\r\n"

// upgrade opens a websocket.
func (r *rig) upgrade(t testing.TB, path, headers string) *peer {
	t.Helper()
	p := r.connect(t)
	if response := p.ask(t, upgradeRequest(path, headers)); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s: %s", response.Status, body(t, response))
	}
	return p
}

// speak opens a websocket of pgws.v1 for a token with some claims, and no channel.
func (r *rig) speak(t testing.TB, claims map[string]any) *peer {
	t.Helper()
	p := r.upgrade(t, "/"+r.token(t, claims), askV1)
	if ready := p.hear(t); !strings.HasPrefix(ready, `{"op":"ready"`) {
		t.Fatalf("got %s", ready)
	}
	return p
}

// say sends requests in one write.
func (p *peer) say(t testing.TB, texts ...string) {
	t.Helper()
	var b []byte
	for _, text := range texts {
		b = append(b, masked(true, ws.OpText, text)...)
	}
	if _, err := p.Write(b); err != nil {
		t.Error(err)
	}
}

var position = regexp.MustCompile(`[0-9a-z]{6,}-[0-9]+`)

// hear returns the next text, with P for a position. It answers pings.
func (p *peer) hear(t testing.TB) string {
	t.Helper()
	for {
		f, err := ws.ReadFrame(p.in)
		if err != nil {
			t.Fatalf("read a frame: %v", err)
		}
		switch f.Header.OpCode {
		case ws.OpPing:
			if _, err := p.Write(masked(true, ws.OpPong, "")); err != nil {
				t.Error(err)
			}
		case ws.OpText:
			return position.ReplaceAllString(string(f.Payload), "P")
		default:
			code, reason := ws.ParseCloseFrameData(f.Payload)
			t.Fatalf("got %v, %d %q", f.Header.OpCode, code, reason)
		}
	}
}

func (p *peer) expect(t testing.TB, want ...string) {
	t.Helper()
	for _, want := range want {
		if got := p.hear(t); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// expectNothing waits for the answer to a request that nothing may come before.
func (p *peer) expectNothing(t testing.TB) {
	t.Helper()
	p.say(t, `{"id":"nothing","op":"ping"}`)
	p.expect(t, `{"id":"nothing","op":"ok"}`)
}

// stream opens an event stream.
func (r *rig) stream(t testing.TB, path, headers string) *peer {
	t.Helper()
	p := r.connect(t)
	response := p.ask(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"+headers+"\r\n")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %s: %s", response.Status, body(t, response))
	}
	if retry := p.event(t); retry != "retry: 2000\n\n" {
		t.Errorf("begins with %q", retry)
	}
	return p
}

// event returns what there is up to the next empty line, with P for a position.
func (p *peer) event(t testing.TB) string {
	t.Helper()
	var event strings.Builder
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			t.Fatalf("read an event: %v after %q", err, event.String()+line)
		}
		event.WriteString(line)
		if line == "\n" {
			return position.ReplaceAllString(event.String(), "P")
		}
	}
}
