package server

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgws/internal/hub"
)

// posting is a request to publish, whole.
func posting(path, headers, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n" + headers + "\r\n" + body
}

func TestPost(t *testing.T) {
	t.Parallel()
	const limit = 1000
	all := map[string]any{"mode": "rw"}
	tests := map[string]struct {
		claims     map[string]any
		path, body string // with T for the token
		done       error  // of the publisher
		message    string // channels, text, and whether that is JSON; empty: none
		status     int
		answer     string
	}{
		"a message":        {all, "/a/T", "hello", nil, "[a] hello false", 200, "{\"channels\":[\"a\"],\"message_delivered_at\":1.000000}\n"},
		"several channels": {map[string]any{"mode": "w", "channels": []string{"a", "b"}}, "/T", `{"x":1}`, nil, `[a b] {"x":1} false`, 200, "{\"channels\":[\"a\",\"b\"],\"message_delivered_at\":1.000000}\n"},
		"an empty one":     {all, "/a/T", "", nil, "[a]  false", 200, "{\"channels\":[\"a\"],\"message_delivered_at\":1.000000}\n"},
		"a long one":       {all, "/a/T", strings.Repeat("x", limit), nil, "[a] " + strings.Repeat("x", limit) + " false", 200, "{\"channels\":[\"a\"],\"message_delivered_at\":1.000000}\n"},
		"too long":         {all, "/a/T", strings.Repeat("x", limit+1), nil, "", 413, "Error: the message is too large"},
		"not UTF-8":        {all, "/a/T", "\xff", nil, "", 400, "Error: the message is not UTF-8"},
		"mode r":           {map[string]any{"mode": "r"}, "/a/T", "x", nil, "", 403, "Error: the token's mode does not send"},
		"no channels":      {all, "/T", "x", nil, "", 403, "No allowed channels"},
		"another channel":  {map[string]any{"mode": "w", "channel": "b"}, "/a/T", "x", nil, "", 403, "No allowed channels"},
		"an old token":     {map[string]any{"mode": "w", "exp": 1}, "/a/T", "x", nil, "", 401, "Token expired"},
		"no token":         {all, "/", "x", nil, "", 401, "Error: no token"},
		"too large":        {all, "/a/T", "x", hub.ErrTooLarge, "[a] x false", 413, "Error: " + hub.ErrTooLarge.Error()},
		"away":             {all, "/a/T", "x", hub.ErrUnavailable, "[a] x false", 503, "Error: " + hub.ErrUnavailable.Error()},
		"refused":          {all, "/a/T", "x", hub.ErrRefused, "[a] x false", 400, "Error: the database refuses the message"},
		"who knows":        {all, "/a/T", "x", io.ErrNoProgress, "[a] x false", 500, "Error: the message could not be accepted"},

		"v1":              {all, "/T?protocol=pgws.v1", `{"id":"x","op":"publish","channel":"a","payload":{"y" : 1}}`, nil, `[a] {"y":1} true`, 200, "{\"id\":\"x\",\"op\":\"ok\",\"message_delivered_at\":1.000000}\n"},
		"v1, no id":       {all, "/T?protocol=pgws.v1", `{"op":"publish","channel":"a","payload":"y"}`, nil, `[a] y false`, 200, "{\"op\":\"ok\",\"message_delivered_at\":1.000000}\n"},
		"v1, by address":  {all, "/b/T?protocol=pgws.v1", `{"op":"publish","payload":"y"}`, nil, `[b] y false`, 200, "{\"op\":\"ok\",\"message_delivered_at\":1.000000}\n"},
		"v1, no channel":  {all, "/T?protocol=pgws.v1", `{"id":1,"op":"publish","payload":"y"}`, nil, "", 400, "{\"id\":1,\"op\":\"error\",\"code\":\"bad_request\",\"message\":\"publish needs a channel\"}\n"},
		"v1, no JSON":     {all, "/T?protocol=pgws.v1", `hello`, nil, "", 400, "{\"op\":\"error\",\"code\":\"bad_request\",\"message\":\"the frame is not a JSON object\"}\n"},
		"v1, not UTF-8":   {all, "/T?protocol=pgws.v1", "\xff", nil, "", 400, "{\"op\":\"error\",\"code\":\"bad_request\",\"message\":\"the frame is not UTF-8\"}\n"},
		"v1, ping":        {map[string]any{"mode": "r"}, "/T?protocol=pgws.v1", `{"id":1,"op":"ping"}`, nil, "", 200, "{\"id\":1,\"op\":\"ok\"}\n"},
		"v1, an old ping": {map[string]any{"mode": "r", "exp": 1}, "/T?protocol=pgws.v1", `{"id":1,"op":"ping"}`, nil, "", 401, "{\"op\":\"error\",\"code\":\"unauthorized\",\"message\":\"Token expired\"}\n"},
		"v1, another op":  {all, "/T?protocol=pgws.v1", `{"id":1,"op":"auth"}`, nil, "", 400, "{\"id\":1,\"op\":\"error\",\"code\":\"bad_request\",\"message\":\"only publish and ping can be posted\"}\n"},
		"v1, not granted": {map[string]any{"mode": "w", "channel": "b"}, "/T?protocol=pgws.v1", `{"id":1,"op":"publish","channel":"a","payload":1}`, nil, "", 403, "{\"id\":1,\"op\":\"error\",\"code\":\"forbidden\",\"message\":\"the token does not grant the channel a\"}\n"},
		"v1, mode r":      {map[string]any{"mode": "r"}, "/T?protocol=pgws.v1", `{"id":1,"op":"publish","channel":"a","payload":1}`, nil, "", 403, "{\"id\":1,\"op\":\"error\",\"code\":\"forbidden\",\"message\":\"the token's mode does not send\"}\n"},
		"v1, no token":    {all, "/?protocol=pgws.v1", `{"id":1}`, nil, "", 401, "{\"op\":\"error\",\"code\":\"unauthorized\",\"message\":\"no token\"}\n"},
		"v1, too long":    {all, "/T?protocol=pgws.v1", strings.Repeat("x", limit+1), nil, "", 413, "{\"op\":\"error\",\"code\":\"too_large\",\"message\":\"the message is too large\"}\n"},
		"v1, away":        {all, "/T?protocol=pgws.v1", `{"id":1,"op":"publish","channel":"a","payload":1}`, hub.ErrUnavailable, "[a] 1 true", 503, "{\"id\":1,\"op\":\"error\",\"code\":\"unavailable\",\"message\":\"" + hub.ErrUnavailable.Error() + "\"}\n"},
		"v1, too large":   {all, "/T?protocol=pgws.v1", `{"id":1,"op":"publish","channel":"a","payload":1}`, hub.ErrTooLarge, "[a] 1 true", 413, "{\"id\":1,\"op\":\"error\",\"code\":\"too_large\",\"message\":\"" + hub.ErrTooLarge.Error() + "\"}\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { o.MaxMessageBytes = limit }).serveAll(t)
			p := r.connect(t)
			path := strings.ReplaceAll(test.path, "T", r.token(t, test.claims))
			if _, err := io.WriteString(p, posting(path, "", test.body)); err != nil {
				t.Fatal(err)
			}
			if test.message != "" {
				m := <-r.messages
				if got := fmt.Sprint(m.Channels, " ", string(m.Text), " ", m.JSON); got != test.message || !m.Prompt || m.Sender != nil || m.Event != "WebsocketMessage" {
					t.Errorf("got %s, %+v", got, m)
				}
				m.Done(1e6, test.done)
			}
			response := p.ask(t, "")
			if text := body(t, response); response.StatusCode != test.status || text != test.answer {
				t.Errorf("got %s %q", response.Status, text)
			}
			if retry := response.Header.Get("Retry-After"); (retry != "") != (test.status == 503) {
				t.Errorf("Retry-After: %q", retry)
			}
			if n := len(r.messages); n > 0 {
				t.Errorf("%d messages more", n)
			}
		})
	}
}

// TestPostInTime has PostgreSQL not answer, and the queue to it full.
func TestPostInTime(t *testing.T) {
	t.Parallel()
	const uncertain = "PostgreSQL has not answered yet: the message may still arrive"
	tests := map[string]struct {
		full        bool
		query, body string
		after       time.Duration
		status      int
		answer      string
	}{
		"no answer":     {false, "", "x", receiptWait, 504, "Error: " + uncertain},
		"no answer, v1": {false, "?protocol=pgws.v1", `{"op":"publish","payload":1}`, receiptWait, 504, "{\"op\":\"error\",\"code\":\"unavailable\",\"message\":\"" + uncertain + "\",\"uncertain\":true}\n"},
		"no room":       {true, "", "x", postRoomWait, 503, "Error: " + hub.ErrUnavailable.Error()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, nil).servePipes(t)
				if test.full {
					r.full = make(chan struct{})
				}
				start := time.Now()
				response := r.connect(t).ask(t, posting("/a/"+r.token(t, map[string]any{"mode": "w"})+test.query, "", test.body))
				if text := body(t, response); response.StatusCode != test.status || text != test.answer {
					t.Errorf("got %s %q", response.Status, text)
				}
				checkTime(t, start, test.after)
				if !test.full {
					(<-r.messages).Done(1, nil) // Nobody waits for it any more.
				}
			})
		})
	}
}

// TestSlowBody has a body that comes in pieces, one that does not end, and one that
// outlasts its token.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	const committed = 5 * time.Second // later
	for name, test := range map[string]struct {
		ttl    time.Duration
		pieces int // of ten
		every  time.Duration
		status int
		after  time.Duration
	}{
		"slow":     {time.Hour, 10, time.Second, 200, 10*time.Second + committed},
		"just so":  {time.Hour, 10, 2900 * time.Millisecond, 200, 29*time.Second + committed},
		"too slow": {time.Hour, 10, 10 * time.Second, 400, readTimeout},
		"no end":   {time.Hour, 9, time.Second, 400, readTimeout},
		"expires":  {5 * time.Second, 10, time.Second, 401, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, nil).servePipes(t)
				p := r.connect(t)
				request := posting("/a/"+r.token(t, lasting(test.ttl)), "", strings.Repeat("x", 10))
				start := time.Now()
				report(t, p.SetDeadline(start.Add(time.Minute)))
				if _, err := io.WriteString(p, request[:len(request)-10]); err != nil {
					t.Error(err)
				}
				var saying sync.WaitGroup
				saying.Go(func() {
					for range test.pieces {
						<-time.After(test.every)
						if _, err := io.WriteString(p, "x"); err != nil {
							return // The server has given up.
						}
					}
					if test.status == 200 {
						m := <-r.messages
						<-time.After(committed)
						m.Done(1, nil)
					}
				})
				if response := p.ask(t, ""); response.StatusCode != test.status {
					t.Errorf("got %s %q", response.Status, body(t, response))
				}
				checkTime(t, start, test.after)
				report(t, p.Close())
				saying.Wait()
				if n := len(r.messages); n > 0 {
					t.Errorf("%d messages", n)
				}
			})
		})
	}
}

// TestPostIsCancelled has a client leave while PostgreSQL is asked: the request ends, and
// what comes later does no harm.
func TestPostIsCancelled(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ended := make(chan struct{})
	ours := r.Handler(http.NotFoundHandler())
	r.serveWith(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		defer close(ended)
		ours.ServeHTTP(w, request)
	}))
	p := r.connect(t)
	if _, err := io.WriteString(p, posting("/a/"+r.token(t, map[string]any{"mode": "w"}), "", "x")); err != nil {
		t.Fatal(err)
	}
	m := <-r.messages
	report(t, p.Close())
	select {
	case <-ended:
	case <-time.After(receiptWait / 2):
		t.Error("the request goes on")
	}
	m.Done(1, nil)
}

// TestBodyIsCutShort has a client leave before all is said: nothing is sent.
func TestBodyIsCutShort(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	p := r.connect(t)
	request := posting("/a/"+r.token(t, map[string]any{"mode": "w"}), "", "half of it")
	if _, err := io.WriteString(p, request[:len(request)-5]); err != nil {
		t.Fatal(err)
	}
	report(t, p.Conn.(interface{ CloseWrite() error }).CloseWrite())
	if response := p.ask(t, ""); response.StatusCode != http.StatusBadRequest {
		t.Errorf("got %s", response.Status)
	}
	if n := len(r.messages); n > 0 {
		t.Errorf("%d messages", n)
	}
}
