package contract_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/devpg/pgtest"
)

// A receipt is the answer to a message that was published by POST.
type receipt struct {
	Channels    []string    `json:"channels"`
	DeliveredAt json.Number `json:"message_delivered_at"`
}

// posting is a request to publish a body.
func posting(target, claims, body string) request {
	r := bearing(target, claims)
	r.method, r.body = http.MethodPost, body
	return r
}

// receipt reads what must be a receipt.
func (a *answer) receipt() (got receipt) {
	a.t.Helper()
	body := a.text()
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil || a.status != http.StatusOK || got.DeliveredAt == "" {
		a.t.Fatalf("answered %d %q: %v", a.status, body, err)
	}
	return got
}

// expectRefusal wants an answer in plain text that says no, and why.
func (a *answer) expectRefusal(status int) (body string) {
	a.t.Helper()
	body = a.text()
	kind := a.header.Get("Content-Type")
	if a.status != status || !strings.HasPrefix(body, "Error: ") || !strings.HasPrefix(kind, "text/plain") {
		a.t.Errorf("answered %d %q %q, want %d", a.status, kind, body, status)
	}
	later := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	if after := a.header.Get("Retry-After"); (after == "1") != later {
		a.t.Errorf("%d with Retry-After: %q", status, after)
	}
	return body
}

// arrived returns the notification that has come already, without waiting for another.
func (h *hearer) arrived() string {
	h.t.Helper()
	// Before it answers, PostgreSQL sends what was committed before.
	_, err := h.conn.Exec(h.t.Context(), "select 1")
	check(h.t, err)
	over, cancel := context.WithCancel(h.t.Context())
	cancel()
	n, err := h.conn.WaitForNotification(over)
	if err != nil {
		h.t.Fatalf("nothing has come: %v", err)
	}
	return n.Payload
}

// A receipt comes when PostgreSQL has committed the message, however slow it is, and has the stamp of its claims.
func TestPostReceipt(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	network, through := behindProxy(t, uri)
	s := start(t, env{"PGWS_DB_URI": through})
	s.uri = uri
	heard := s.listen(t)
	network.slow(100)
	for n := range 10 {
		text := fmt.Sprint("message ", n)
		got := s.ask(t, posting("/chat", `{"mode":"w","sub":"ann"}`, text)).receipt()
		m := parseMessage(t, heard.arrived())
		if m.Event != "WebsocketMessage" || m.Channel != "chat" || m.Payload != text || m.Claims["sub"] != "ann" {
			t.Errorf("PostgreSQL was sent %+v", m)
		}
		if diff := cmp.Diff(receipt{[]string{"chat"}, m.Claims["message_delivered_at"].(json.Number)}, got); diff != "" {
			t.Errorf("receipt (-want +got):\n%s", diff)
		}
	}
}

// One message for several channels is one NOTIFY each, and one receipt with the last stamp. The path may name one of them.
func TestPostForSeveralChannels(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	claims := `{"mode":"rw","channel":"a","channels":["b","a","c"]}`
	for target, want := range map[string][]string{"/": {"a", "b", "c"}, "/b": {"b"}} {
		got := s.ask(t, posting(target, claims, "hello")).receipt()
		var channels []string
		var last json.Number
		for range want {
			m := parseMessage(t, heard.arrived())
			channels, last = append(channels, m.Channel), m.Claims["message_delivered_at"].(json.Number)
		}
		if diff := cmp.Diff(want, channels); diff != "" {
			t.Errorf("%s: notified (-want +got):\n%s", target, diff)
		}
		if diff := cmp.Diff(receipt{want, last}, got); diff != "" {
			t.Errorf("%s: receipt (-want +got):\n%s", target, diff)
		}
	}
}

// So it is for a message to many channels that no single transaction could carry.
func TestPostForManyChannels(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	names := numbered("channel", 500)
	text := strings.Repeat("x", 500)
	got := s.ask(t, posting("/", `{"mode":"w","channels":`+list(names)+`}`, text)).receipt()
	stamps, channels := map[json.Number]bool{}, map[string]bool{}
	for range names { // Transactions may overtake one another.
		m := parseMessage(t, heard.arrived())
		if m.Payload != text {
			t.Fatalf("PostgreSQL was sent %.100q", m.Payload)
		}
		stamps[m.Claims["message_delivered_at"].(json.Number)] = true
		channels[m.Channel] = true
	}
	if len(stamps) != len(names) || len(channels) != len(names) || !stamps[got.DeliveredAt] {
		t.Errorf("%d channels with %d stamps, the receipt's among them: %v", len(channels), len(stamps), stamps[got.DeliveredAt])
	}
	if diff := cmp.Diff(names, got.Channels); diff != "" {
		t.Errorf("channels of the receipt (-want +got):\n%s", diff)
	}
}

// A body is a message as it is, whatever it is called and however it comes; an empty one, too.
func TestPostBodies(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	post := posting("/chat", anybody, "")
	for name, tc := range map[string]struct {
		r    request
		want string
	}{
		"empty":         {post, ""},
		"JSON":          {withBody(post, `{"a":[1,"two",null]}`).with("Content-Type", "application/json"), `{"a":[1,"two",null]}`},
		"a form":        {withBody(post, "a=1&b=%20").with("Content-Type", "application/x-www-form-urlencoded"), "a=1&b=%20"},
		"no text":       {withBody(post, "a\x00\x01\r\n").with("Content-Type", "application/octet-stream"), "a\x00\x01\r\n"},
		"beyond ASCII":  {withBody(post, "日本語 🎈 \u2028<&>"), "日本語 🎈 \u2028<&>"},
		"quotes":        {withBody(post, `"\"'`), `"\"'`},
		"SQL":           {withBody(post, `'); drop table students; --`), `'); drop table students; --`},
		"chunks":        {withBody(post.with("Transfer-Encoding", "chunked"), "3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n"), "hello"},
		"no chunks":     {withBody(post.with("Transfer-Encoding", "chunked"), "0\r\n\r\n"), ""},
		"a trailer":     {withBody(post.with("Transfer-Encoding", "chunked"), "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"), "hi"},
		"asks events":   {withBody(post.with("Accept", "text/event-stream"), "hello"), "hello"},
		"HTTP/1.0":      {withVersion(withBody(post, "hello"), "HTTP/1.0"), "hello"},
		"a long one":    {withBody(post, strings.Repeat("x", 7000)), strings.Repeat("x", 7000)},
		"in half bytes": {withBody(post.with("Transfer-Encoding", "chunked"), "1\r\n\xc3\r\n1\r\n\xa4\r\n0\r\n\r\n"), "ä"},
	} {
		t.Log(name)
		a := s.ask(t, tc.r)
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: a receipt may be cached: %v", name, a.header)
		}
		got := a.receipt()
		m := c.receiveMessage()
		if diff := cmp.Diff(tc.want, m.Payload); diff != "" || got.DeliveredAt != m.Claims["message_delivered_at"] {
			t.Errorf("%s: receipt %+v, message %+v (-want +got):\n%s", name, got, m, diff)
		}
	}
}

func withBody(r request, body string) request {
	r.body = body
	return r
}

func withVersion(r request, version string) request {
	r.version = version
	return r
}

// What is no message is refused, and not sent.
func TestPostRefused(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_MAX_MESSAGE_BYTES": "100"})
	large := start(t, nil)
	post := posting("/chat", anybody, "")
	chunked := post.with("Transfer-Encoding", "chunked")
	atMost := func(s *server, channel string) string {
		c := s.dial(t, "/"+channel+"/"+token(anybody))
		s.ask(t, posting("/"+channel, anybody, "")).receipt()
		return strings.Repeat("x", 7999-len(c.receive()))
	}
	for name, tc := range map[string]struct {
		server  *server
		r       request
		status  int
		notUTF8 bool
	}{
		"101 of 100 bytes":       {s, withBody(post, strings.Repeat("x", 101)), 413, false},
		"101 bytes in chunks":    {s, withBody(chunked, "65\r\n"+strings.Repeat("x", 101)+"\r\n0\r\n\r\n"), 413, false},
		"chunks without end":     {s, withBody(chunked, strings.Repeat("1\r\nx\r\n", 101)), 413, false},
		"the start of a GB":      {s, withBody(post.with("Content-Length", "1000000000"), strings.Repeat("x", 101)), 413, false},
		"too much for NOTIFY":    {large, withBody(post, atMost(large, "chat")+"x"), 413, false},
		"more than 1 MiB":        {large, withBody(post, strings.Repeat("x", 1<<20+1)), 413, false},
		"not UTF-8":              {s, withBody(post, "\xff"), 400, true},
		"half a character":       {s, withBody(post, "a\xc3"), 400, true},
		"a surrogate":            {s, withBody(post, "\xed\xa0\x80"), 400, true},
		"a chunk that is none":   {s, withBody(chunked, "x\r\n"), 400, false},
		"a channel in the query": {s, posting("/?channel=chat", `{"mode":"rw","channels":["chat","talk"]}`, "hello"), 400, false},
		"mode r":                 {s, posting("/chat", `{"mode":"r"}`, "hello"), 403, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := tc.server.listen(t)
			body := tc.server.ask(t, tc.r).expectRefusal(tc.status)
			if isText := strings.Contains(body, "UTF-8"); isText != tc.notUTF8 {
				t.Errorf("the reason is %q", body)
			}
			mark := posting("/mark", anybody, name)
			tc.server.ask(t, mark).receipt()
			for m := parseMessage(t, heard.receive()); m.Payload != name; m = parseMessage(t, heard.receive()) {
				if m.Channel == "chat" {
					t.Errorf("PostgreSQL was sent %+v", m)
				}
			}
		})
	}
	t.Run("just what is allowed", func(t *testing.T) {
		t.Parallel()
		s.ask(t, posting("/full", anybody, strings.Repeat("x", 100))).receipt()
		large.ask(t, posting("/full", anybody, atMost(large, "full"))).receipt()
	})
	t.Run("cut short", func(t *testing.T) {
		t.Parallel()
		heard := s.listen(t)
		for _, r := range []request{withBody(post.with("Content-Length", "10"), "hello"), withBody(chunked, "5\r\nhello\r\n")} {
			conn, err := net.Dial("tcp", s.addr)
			check(t, err)
			_, err = conn.Write(r.bytes(s.addr))
			check(t, err)
			check(t, conn.(*net.TCPConn).CloseWrite())
			_, _ = io.Copy(io.Discard, conn) // The server hangs up, or says why.
			check(t, conn.Close())
		}
		s.ask(t, posting("/mark", anybody, "the end")).receipt()
		for m := parseMessage(t, heard.receive()); m.Payload != "the end"; m = parseMessage(t, heard.receive()) {
			if m.Channel == "chat" {
				t.Errorf("PostgreSQL was sent %+v", m)
			}
		}
	})
}

// A client that asks first whether to send its body is told: not where its token is refused.
func TestPostExpectsContinue(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for name, tc := range map[string]struct {
		claims string
		status int
	}{
		"good":    {anybody, http.StatusContinue},
		"expired": {`{"mode":"w","exp":1}`, http.StatusUnauthorized},
		"mode r":  {`{"mode":"r"}`, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := posting("/chat", tc.claims, "").with("Content-Length", "5").with("Expect", "100-continue")
			a := s.ask(t, head)
			if a.status != tc.status {
				t.Fatalf("answered %d %v", a.status, a.header)
			}
			if a.status == http.StatusContinue {
				_, err := io.WriteString(a.conn, "hello")
				check(t, err)
				readAnswer(t, a.conn, a.in, http.MethodPost).receipt()
			}
		})
	}
}

// Many requests may come by one connection, refused ones among them, and an event stream at the end.
func TestPostKeepsAlive(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	conn, err := net.Dial("tcp", s.addr)
	check(t, err)
	in := bufio.NewReader(conn)
	t.Cleanup(func() { _ = conn.Close() })
	check(t, conn.SetDeadline(time.Now().Add(patience)))
	c := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	for n := range 20 {
		r := posting("/chat", anybody, fmt.Sprint(n))
		status := http.StatusOK
		switch n % 4 {
		case 1:
			r, status = posting("/chat", `{"mode":"r"}`, strings.Repeat("x", 1000)), http.StatusForbidden
		case 2:
			r, status = posting("/chat", anybody, "\xff"), http.StatusBadRequest
		case 3:
			r, status = request{target: "/"}, http.StatusOK
		}
		_, err := conn.Write(r.bytes(s.addr))
		check(t, err)
		a := readAnswer(t, conn, in, r.method)
		if a.text(); a.status != status {
			t.Fatalf("the request %d is answered %d", n, a.status)
		}
		if n%4 == 0 {
			if got := c.receiveMessage().Payload; got != fmt.Sprint(n) {
				t.Errorf("got %q", got)
			}
		}
	}
	_, err = conn.Write(bearing("/chat", `{"mode":"r"}`).with("Accept", "text/event-stream").bytes(s.addr))
	check(t, err)
	st := beginStream(readAnswer(t, conn, in, http.MethodGet))
	s.notify(t, `{"channel":"chat"}`)
	st.expect(`{"channel":"chat"}`)
}

// What is no POST reaches the files and the pages as ever, and they answer nothing else.
func TestOtherMethods(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	check(t, os.WriteFile(filepath.Join(root, "page.html"), []byte("a page"), 0o600))
	check(t, os.WriteFile(filepath.Join(root, "index.html"), []byte("an index"), 0o600))
	files, status := start(t, env{"PGWS_ROOT_PATH": root}), start(t, nil)
	for name, tc := range map[string]struct {
		server         *server
		method, target string
		status         int
		body           string
	}{
		"a file":                 {files, "GET", "/page.html", 200, "a page"},
		"a file's head":          {files, "HEAD", "/page.html", 200, ""},
		"the index":              {files, "GET", "/", 200, "an index"},
		"the index's head":       {files, "HEAD", "/", 200, ""},
		"no file":                {files, "GET", "/chat", 404, "404 page not found\n"},
		"the status page's head": {status, "HEAD", "/", 200, ""},
		"PUT":                    {files, "PUT", "/page.html", 405, "method not allowed\n"},
		"DELETE":                 {files, "DELETE", "/page.html", 405, "method not allowed\n"},
		"PATCH":                  {files, "PATCH", "/", 405, "method not allowed\n"},
		"OPTIONS of no page":     {files, "OPTIONS", "/page.html", 405, "method not allowed\n"},
		"POST to a file":         {files, "POST", "/page.html", 401, "Error: not a JWT"},
		"POST to the index":      {files, "POST", "/", 401, "Error: no token"},
		"POST to the status":     {status, "POST", "/", 401, "Error: no token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := tc.server.ask(t, request{method: tc.method, target: tc.target})
			if body := a.text(); a.status != tc.status || body != tc.body {
				t.Errorf("answered %d %q, want %d %q", a.status, body, tc.status, tc.body)
			}
			if a.status == 405 && a.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow: %q", a.header.Get("Allow"))
			}
		})
	}
}
