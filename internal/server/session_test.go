package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"pgws/internal/hub"
)

func TestMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	p := r.dial(t, "/"+r.token(t, map[string]any{"mode": "rw", "channels": []string{"a", "b"}, "sub": "ann"}))
	p.send(t, ws.NewTextFrame([]byte("hello")), ws.NewBinaryFrame([]byte("grüße")))
	for _, want := range []string{"hello", "grüße"} {
		m := <-r.messages
		if m.Event != "WebsocketMessage" || string(m.Text) != want {
			t.Errorf("got %s %q, want %q", m.Event, m.Text, want)
		}
		if diff := cmp.Diff([]string{"a", "b"}, m.Channels); diff != "" {
			t.Error(diff)
		}
		if m.Claims != `{"channels":["a","b"],"mode":"rw","sub":"ann"}` {
			t.Errorf("claims %s", m.Claims)
		}
	}
	r.publish("b", "to b")
	r.publish("c", "to c")
	r.publish("a", "to a")
	for _, want := range []string{"to b", "to a"} {
		if got := string(p.next(t).Payload); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	reader := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "r"}))
	writer := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "w"}))
	reader.send(t, ws.NewTextFrame([]byte("ignored")), ws.NewPingFrame([]byte("p")))
	if f := reader.next(t); f.Header.OpCode != ws.OpPong || string(f.Payload) != "p" {
		t.Errorf("got %v %q, want a pong", f.Header.OpCode, f.Payload)
	}
	writer.send(t, ws.NewTextFrame([]byte("taken")))
	if m := <-r.messages; string(m.Text) != "taken" {
		t.Errorf("got %q, want only what the writer sends", m.Text)
	}
	r.publish("c", "heard")
	if f := reader.next(t); string(f.Payload) != "heard" {
		t.Errorf("got %q", f.Payload)
	}
	writer.send(t, ws.NewPingFrame(nil))
	if f := writer.next(t); f.Header.OpCode != ws.OpPong {
		t.Errorf("a session that does not receive got %v %q", f.Header.OpCode, f.Payload)
	}
}

func TestMetaChannel(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.MetaChannel = "meta" }).serve(t)
	r.dial(t, "/"+r.token(t, map[string]any{"mode": "r", "channel": "x", "channels": []string{"y", "x"}}))
	m := <-r.messages
	if m.Event != "ConnectionOpen" || string(m.Text) != "x,y" || m.Channels[0] != "meta" {
		t.Errorf("got %s %q to %v", m.Event, m.Text, m.Channels)
	}
}

// TestEarlyFrames sends frames in the same packet as the handshake.
func TestEarlyFrames(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	report(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	p := &peer{Conn: conn, in: bufio.NewReader(conn)}
	var b strings.Builder
	b.WriteString(upgradeRequest("/c/"+r.token(t, map[string]any{"mode": "w"}), askUpgrade))
	report(t, ws.WriteFrame(&b, ws.MaskFrame(ws.NewTextFrame([]byte("early")))))
	whole := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("cut in two"))))
	b.Write(whole[:9])
	if _, err := io.WriteString(conn, b.String()); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	report(t, response.Body.Close())
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s", response.Status)
	}
	if _, err := conn.Write(whole[9:]); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"early", "cut in two"} {
		if m := <-r.messages; string(m.Text) != want {
			t.Errorf("got %q, want %q", m.Text, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	tests := map[string]struct {
		path   string
		status int
		body   string
	}{
		"no token":    {"/", 401, "Error: no token"},
		"bad token":   {"/c/x.y.z", 401, "Error: not a JWT"},
		"expired":     {"/c/" + r.token(t, map[string]any{"mode": "r", "exp": 1}), 401, "Token expired"},
		"no mode":     {"/c/" + r.token(t, map[string]any{"sub": "x"}), 403, "Missing mode"},
		"bad mode":    {"/c/" + r.token(t, map[string]any{"mode": "x"}), 403, "Error: mode must be r, w or rw"},
		"no channels": {"/" + r.token(t, map[string]any{"mode": "r"}), 403, "No allowed channels"},
		"other one":   {"/d/" + r.token(t, map[string]any{"mode": "r", "channel": "c"}), 403, "No allowed channels"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.http.URL+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range map[string]string{
				"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
			} {
				request.Header.Set(key, value)
			}
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			report(t, errors.Join(err, response.Body.Close()))
			if response.StatusCode != test.status || string(body) != test.body {
				t.Errorf("got %d %q, want %d %q", response.StatusCode, body, test.status, test.body)
			}
			if got := response.Header.Get("WWW-Authenticate"); (got == "Bearer") != (test.status == 401) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		})
	}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
}

func TestOthersFallThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	response, err := r.http.Client().Get(r.http.URL + "/c/token")
	if err != nil {
		t.Fatal(err)
	}
	report(t, response.Body.Close())
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want that of the next handler", response.StatusCode)
	}
}

// TestHeadersAreLists has what a proxy may make of an upgrade.
func TestHeadersAreLists(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	for name, headers := range map[string]string{
		"lists":     "Upgrade: h2c, WebSocket\r\nConnection: keep-alive, Upgrade\r\n",
		"two lines": "Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_, err = io.WriteString(conn, upgradeRequest("/c/"+r.token(t, map[string]any{"mode": "w"}), headers))
			report(t, err)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			report(t, response.Body.Close())
			if response.StatusCode != http.StatusSwitchingProtocols {
				t.Errorf("status %s", response.Status)
			}
		})
	}
}

func TestTooLargeForPostgreSQL(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	r.err = hub.ErrTooLarge
	p := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "w"}))
	p.send(t, ws.NewTextFrame([]byte("x")))
	if reason := p.expectClose(t, ws.StatusMessageTooBig); !strings.Contains(reason, "7999") {
		t.Errorf("reason %q", reason)
	}
	report(t, p.Close())
	if code := r.awaitClosed(t); code != 1009 {
		t.Errorf("counted %d", code)
	}
}

func TestRefusedLater(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	p := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "w"}))
	p.send(t, ws.NewTextFrame([]byte("x")))
	m := <-r.messages
	m.Done(0, hub.ErrRefused)
	p.expectClose(t, ws.StatusInvalidFramePayloadData)
}

func TestStopping(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cause error
		code  ws.StatusCode
	}{
		"for good":   {nil, ws.StatusGoingAway},
		"to restart": {fmt.Errorf("%w: lost", ErrRestart), statusServiceRestart},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil).serve(t)
			p := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "rw"}))
			silent := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "rw"}))
			r.publish("c", "last")
			if f := p.next(t); string(f.Payload) != "last" {
				t.Errorf("got %q", f.Payload)
			}
			stopped := make(chan struct{})
			go func() { defer close(stopped); r.stop(test.cause) }()
			p.expectClose(t, test.code)
			p.send(t, ws.NewCloseFrame(ws.NewCloseFrameBody(test.code, "")))
			p.expectEnd(t)
			<-stopped // although the other did not answer
			silent.expectClose(t, test.code)
			silent.expectEnd(t)
			if n := len(r.keeper.all()); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
}

// TestSlowSession fills the socket of a client that does not read.
func TestSlowSession(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.WriteTimeout = 50 * time.Millisecond }).serve(t)
	r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "r"}))
	payload := strings.Repeat("x", 7000)
	code := 0
	for code == 0 {
		for range 20 {
			r.Hub.Append("c", payload, nil)
		}
		r.Hub.Flush()
		select {
		case code = <-r.events.closings:
		default:
		}
	}
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	if code != 1013 || r.events.slow != 1 {
		t.Errorf("closed with %d, %d slow sessions counted", code, r.events.slow)
	}
}
