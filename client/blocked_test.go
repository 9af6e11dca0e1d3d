package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"pgws/client"
)

// Websockets that are blocked one way or another are done without.
func TestBlocked(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]http.HandlerFunc{
		"refused":   forbid,
		"ignored":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"cut short": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			b := blocking(t, s.url(), block)
			c := dial(t, client.Options{URL: b.url, Token: s.sign(0, anybody)})
			sub := subscribe(t, c, "a")
			s.notify(numbered("a", 0, 1)...)
			expectNumbered(t, sub, "a", 0, 1)
			if asked, streams := b.asked.Load(), b.streams.Load(); asked != 2 || streams != 1 {
				t.Errorf("%d websockets and %d event streams were asked for", asked, streams)
			}
		})
	}
}

// Behind a proxy that speaks TLS and HTTP/2, both ways are open.
func TestTLS(t *testing.T) {
	t.Parallel()
	for transport, block := range map[client.Transport]bool{client.Websocket: false, client.SSE: true} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			target, err := url.Parse(s.url())
			check(t, err)
			proxy := httputil.NewSingleHostReverseProxy(target)
			var second atomic.Bool // HTTP/2 was spoken
			host := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor == 2 {
					second.Store(true)
				}
				if block && r.Header.Get("Upgrade") != "" {
					forbid(w, r)
					return
				}
				proxy.ServeHTTP(w, r)
			}))
			host.EnableHTTP2 = true
			host.StartTLS()
			t.Cleanup(host.Close)
			states := newStates()
			c := dial(t, client.Options{
				URL: strings.Replace(host.URL, "https:", "wss:", 1), HTTPClient: host.Client(), Token: s.sign(0, anybody), OnState: states.add,
			})
			sub := subscribe(t, c, "a")
			_, err = publish(t, c, "a", "hello")
			check(t, err)
			if m := next(t, sub); m.Text() != "hello" {
				t.Errorf("got %+v", m)
			}
			if n := states.count(func(s client.State) bool { return connected(s) && s.Transport == transport }); n != 1 || second.Load() != block {
				t.Errorf("the states are %+v, HTTP/2 %t", states.all(), second.Load())
			}
		})
	}
}

// A server that is not there is not taken for one behind a proxy: each try is a websocket.
func TestNotBlocked(t *testing.T) {
	t.Parallel()
	s := serve(t)
	l := lineTo(t, s)
	states := newStates()
	c := dial(t, client.Options{URL: l.url(), Token: s.sign(0, anybody), OnState: states.add})
	sub := subscribe(t, c, "a")
	l.cut()
	states.await(t, 3, lost)
	l.mend()
	states.await(t, 2, func(s client.State) bool { return connected(s) && s.Transport == client.Websocket })
	s.notify(numbered("a", 0, 1)...)
	expectNumbered(t, sub, "a", 0, 1)
}

// Where a websocket has got through once, it is what is tried: it will again.
func TestWebsocketsWork(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			t.Errorf("a request %s", r.Method)
			return
		}
		if n := asked.Add(1); n == 2 || n == 3 {
			forbid(w, r)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"pgws.v1"}})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		p := &peer{t: t, conn: conn}
		p.ready()
		p.close(websocket.StatusGoingAway, "")
	}))
	t.Cleanup(host.Close)
	states := newStates()
	dial(t, client.Options{URL: host.URL, OnState: states.add})
	states.await(t, 2, connected)
}
