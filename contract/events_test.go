package contract_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// bearing is a request with a token in its header.
func bearing(target, claims string) request {
	return request{target: target}.with("Authorization", "Bearer "+token(claims))
}

// An event stream begins with what it has opened, and ends with its connection: it has no length.
func TestEventStreamBegins(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	expires := time.Now().Add(time.Hour).Unix()
	for name, tc := range map[string]struct {
		target, claims string
		want           v1Frame
	}{
		"one channel":       {"/chat", `{"mode":"rw"}`, v1Frame{Mode: "rw", Channels: []string{"chat"}}},
		"one that receives": {"/chat", `{"mode":"r"}`, v1Frame{Mode: "r", Channels: []string{"chat"}}},
		"all of a token":    {"/", `{"mode":"r","channels":["b","a","b"]}`, v1Frame{Mode: "r", Channels: []string{"b", "a"}}},
		"a token that ends": {"/chat", fmt.Sprintf(`{"mode":"r","exp":%d}`, expires),
			v1Frame{Mode: "r", Channels: []string{"chat"}, Expires: json.Number(fmt.Sprint(expires))}},
		"an escaped channel": {"/a%2Fb%20%C3%A4", `{"mode":"r"}`, v1Frame{Mode: "r", Channels: []string{"a/b ä"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, query := range []string{"", "?protocol=pgws.v1"} {
				r := bearing(tc.target+query, tc.claims)
				st := s.events(t, r)
				got := st.opened()
				tc.want.Op, tc.want.Position = "ready", got.Position
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("ready (-want +got):\n%s", diff)
				}
				if st.ready.id != got.Position { // Who is lost before the first message goes on from here.
					t.Errorf("ready has the id %q and the position %q", st.ready.id, got.Position)
				}
				if name := st.ready.name; (name == "ready") != (query == "") {
					t.Errorf("the event is called %q", name)
				}
				for name, want := range map[string]string{
					"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Length": "", "Transfer-Encoding": "", "Content-Encoding": "",
				} {
					if got := st.header.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			}
		})
	}
}

// What asks for no event stream is answered by the files and pages, whatever token it has.
func TestAccept(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for accept, want := range map[string]string{
		"text/event-stream":                        "text/event-stream",
		"Text/Event-Stream":                        "text/event-stream",
		"text/event-stream;q=0.9":                  "text/event-stream",
		"text/html, text/event-stream":             "text/event-stream",
		"application/json,text/event-stream , */*": "text/event-stream",
		"":                 "text/html; charset=utf-8",
		"*/*":              "text/html; charset=utf-8",
		"text/*":           "text/html; charset=utf-8",
		"text/event-strea": "text/html; charset=utf-8",
	} {
		got := s.ask(t, bearing("/", `{"mode":"r","channel":"chat"}`).with("Accept", accept))
		if kind := got.header.Get("Content-Type"); got.status != http.StatusOK || !strings.EqualFold(kind, want) {
			t.Errorf("Accept %q is answered %d %q", accept, got.status, kind)
		}
	}
}

// Whatever is notified arrives: line ends are those of the format, all else is the same to the byte.
func TestEventData(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_LISTEN_CHANNEL": "all"})
	payloads := []string{
		"one line", "two\nlines", "two\r\nlines", "two\rlines", "\n", "\r\n", "\r", "ends\n", "ends\r\n", "ends\r", "\nbegins", "\r\nbegins",
		"a\n\nb", "a\r\r\n\nb", "a\n\rb", "\n\n\n", "", " a space", "  two", ": a comment?", "data: a field?", "event: a\ndata: b\nid: c\n\n",
		"retry: 1", "\ufeffa mark", "日本語 🎈\u2028\u2029\u0085", "\x01\x1f\x7f",
		"{\n  \"a\": 1\n}", `{"channel":"all","text":"\n\r"}`, strings.Repeat("x", 7999),
	}
	lines := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	plain := s.events(t, bearing("/all", `{"mode":"r"}`))
	framed := s.events(t, bearing("/all?protocol=pgws.v1", `{"mode":"r"}`))
	s.notify(t, payloads...)
	for _, payload := range payloads {
		plain.expect(lines.Replace(payload))
		e := framed.next()
		want := mustJSON(payload)
		if json.Valid([]byte(payload)) {
			want = lines.Replace(payload) // in JSON, line ends are but spaces
		}
		want = fmt.Sprintf(`{"op":"message","channel":"all","position":%q,"payload":%s}`, e.id, want)
		if diff := cmp.Diff(want, e.data); diff != "" || e.name != "" || e.id != plain.id {
			t.Errorf("frame (-want +got), event %q, id %q, %q in the other stream:\n%s", e.name, e.id, plain.id, diff)
		}
	}
}

// The query names several channels, of those that the token grants. They come in one order.
func TestEventChannels(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	some := `{"mode":"r","channels":["a","b/c","d"]}`
	query := func(names ...string) string { return "/?" + url.Values{"channel": names}.Encode() }
	for name, tc := range map[string]struct {
		target, claims string
		want           []string
	}{
		"any":               {query("x", "y z", "ä&=", ""), `{"mode":"r"}`, []string{"x", "y z", "ä&=", ""}},
		"some":              {query("d", "b/c"), some, []string{"d", "b/c"}},
		"one twice":         {query("d", "a", "d"), some, []string{"d", "a"}},
		"by /TOKEN":         {"/" + token(some) + query("d")[1:], "", []string{"d"}},
		"1024":              {query(numbered("c", 1024)...), `{"mode":"r"}`, numbered("c", 1024)},
		"beside a protocol": {query("a") + "&protocol=pgws.v1&channel=d&more=no", some, []string{"a", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request{target: tc.target}
			if tc.claims != "" {
				r = bearing(tc.target, tc.claims)
			}
			if diff := cmp.Diff(tc.want, s.events(t, r).opened().Channels); diff != "" {
				t.Errorf("opened (-want +got):\n%s", diff)
			}
		})
	}
	for name, tc := range map[string]struct {
		target, claims string
		want           refused
	}{
		"one not granted":        {query("a", "x"), some, refused{http.StatusForbidden, "Error: the token does not grant the channel x", false}},
		"in path and query":      {"/a?channel=a", some, refused{http.StatusBadRequest, "Error: …", false}},
		"path and empty channel": {"/a?channel=", some, refused{http.StatusBadRequest, "Error: …", false}},
		"a channel not in UTF-8": {"/?channel=%ff", `{"mode":"r"}`, refused{http.StatusBadRequest, "Error: …", false}},
		"1025":                   {query(numbered("c", 1025)...), `{"mode":"r"}`, refused{http.StatusBadRequest, "Error: …", false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := attempt{transport: plainEvents, address: tc.target}
			byHeader(&a, token(tc.claims))
			a.fails(t, s, tc.want)
		})
	}
	t.Run("in order", func(t *testing.T) {
		t.Parallel()
		st := s.events(t, bearing(query("a", "d", "b/c"), some))
		messages := make([]string, 100)
		for i := range messages {
			messages[i] = fmt.Sprintf(`{"channel":%q,"n":%d}`, []string{"a", "b/c", "d"}[i*7%3], i)
		}
		s.notify(t, append([]string{`{"channel":"other"}`}, messages...)...)
		st.expect(messages...)
	})
}

// The meta channel is told of streams as of websockets, and of no POST.
func TestEventsOnMetaChannel(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_META_CHANNEL": "meta"})
	meta := s.dial(t, "/meta/"+token(`{"mode":"r"}`))
	told := []string{"meta"}
	for target, want := range map[string]string{"/chat": "chat", "/?channel=a&channel=b": "a,b"} {
		s.events(t, bearing(target, `{"mode":"r"}`))
		told = append(told, want)
	}
	s.ask(t, posting("/chat", anybody, "hello")).receipt()
	s.events(t, bearing("/the%20end", `{"mode":"r"}`))
	for _, want := range append(told, "the end") {
		if m := meta.receiveMessage(); m.Event != "ConnectionOpen" || m.Payload != want {
			t.Errorf("told of %+v, want %q", m, want)
		}
	}
}

// A client that does not read its stream is given up when it lags too far behind; the others get all.
func TestEventsThatAreNotRead(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_ADMIN_ADDR": freeAddress(t), "PGWS_MAX_LAG_BYTES": "1MiB"})
	reads := s.events(t, bearing("/chat", `{"mode":"r"}`))
	deaf := s.events(t, bearing("/chat", `{"mode":"r"}`))
	check(t, deaf.conn.(*net.TCPConn).SetReadBuffer(64<<10))
	conn := connect(t, s.uri)
	const each, bursts = 100, 20 // of 7.5 kB: 15 MB, more than the server's socket holds
	for i := range bursts {
		burst(t, conn, i*each, each)
		for n := range each {
			reads.expect(burstMessage(i*each + n))
		}
	}
	programtest.Eventually(t, "the one that does not read is given up", func() bool {
		_, _, figures := (&server{addr: s.admin}).get(t, "/metrics")
		return strings.Contains(figures, "\npgws_sessions_slow_total 1\n") && strings.Contains(figures, "\npgws_sessions 1\n")
	})
}

// A stream ends with its token, and says so.
func TestEventsExpire(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	const lifetime = 4 // seconds
	claims := `{"mode":"r","exp":` + in(lifetime) + `}`
	before := time.Now()
	plain, framed := s.events(t, bearing("/chat", claims)), s.events(t, bearing("/chat?protocol=pgws.v1", claims))
	s.notify(t, `{"channel":"chat"}`)
	plain.expect(`{"channel":"chat"}`)
	framed.next()
	var expiring v1Frame
	check(t, json.Unmarshal([]byte(framed.next().data), &expiring))
	if expiring.In < 1 || expiring.In > lifetime/2 || expiring.Op != "expiring" {
		t.Errorf("got %+v", expiring)
	}
	plain.expectEvent("close", `{"code":3001,"reason":"JWT expired"}`)
	plain.expectEnd()
	if early := lifetime*time.Second - time.Since(before); early > 2*time.Millisecond {
		t.Errorf("closed %v before the token expired", early)
	}
	framed.expectEvent("", `{"op":"close","code":3001,"reason":"JWT expired"}`)
	framed.expectEnd()
}

// When the server stops, streams are told, and nothing holds it up.
func TestEventsStop(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	var all []*stream
	for range 5 {
		all = append(all, s.events(t, bearing("/chat", `{"mode":"r"}`)))
	}
	framed := s.events(t, bearing("/chat?protocol=pgws.v1", `{"mode":"r"}`))
	s.notify(t, `{"channel":"chat"}`)
	s.events(t, bearing("/chat", `{"mode":"r"}`)) // It is not read.
	for _, st := range all {
		st.expect(`{"channel":"chat"}`)
	}
	framed.next()
	since := time.Now()
	s.Signal(t, syscall.SIGTERM)
	for _, st := range all {
		st.expectEvent("close", `{"code":1001,"reason":"server is stopping"}`)
		st.expectEnd()
	}
	framed.expectEvent("", `{"op":"close","code":1001,"reason":"server is stopping"}`)
	framed.expectEnd()
	if status := s.wait(t); status != 0 {
		t.Errorf("the status is %d", status)
	}
	if took := time.Since(since); took > 10*time.Second {
		t.Errorf("it has taken %v to stop", took)
	}
}

// Without the interval a lost database ends the server, and streams with 1012.
func TestEventsRestart(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Private(t, devpg.Options{})
	s := start(t, env{"PGWS_DB_URI": cluster.URI()})
	st := s.events(t, bearing("/chat", `{"mode":"r"}`))
	check(t, cluster.Stop(t.Context(), devpg.Fast))
	st.expectEvent("close", `{"code":1012,"reason":"server is restarting"}`)
	st.expectEnd()
	if status := s.wait(t); status != 1 {
		t.Errorf("the status is %d", status)
	}
}

// A client that hangs up is noticed, and what it says is ignored.
func TestEventsHangUp(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_ADMIN_ADDR": freeAddress(t)})
	awaitFigures := func(figures ...string) {
		t.Helper()
		programtest.Eventually(t, fmt.Sprint("the figures are ", figures), func() bool {
			_, _, all := (&server{addr: s.admin}).get(t, "/metrics")
			for _, figure := range figures {
				if !strings.Contains(all, "\n"+figure+"\n") {
					return false
				}
			}
			return true
		})
	}
	var all []*stream
	for i := range 10 {
		all = append(all, s.events(t, bearing(fmt.Sprint("/chat", i/5), `{"mode":"r"}`)))
	}
	awaitFigures("pgws_sessions 10", "pgws_sessions_opened_total 10")
	for i, st := range all[:5] {
		if i == 0 {
			_, err := st.conn.Write([]byte(strings.Repeat("Not read.\r\n\r\n", 1000)))
			check(t, err)
		}
		s.notify(t, fmt.Sprintf(`{"channel":"chat0","n":%d}`, i))
		st.expect(fmt.Sprintf(`{"channel":"chat0","n":%d}`, i))
		st.hangUp()
		awaitFigures(fmt.Sprint("pgws_sessions ", 9-i))
		for _, other := range all[i+1 : 5] {
			other.expect(fmt.Sprintf(`{"channel":"chat0","n":%d}`, i))
		}
	}
	for _, st := range all[5:] {
		st.hangUp()
	}
	awaitFigures("pgws_sessions 0", `pgws_sessions_closed_total{code="1000"} 10`)
}

// An event stream by TLS is the same; so is one that a proxy asks for by HTTP/1.0.
func TestEventsByTLSAndHTTP10(t *testing.T) {
	t.Parallel()
	certificate, key := writeCertificate(t, "events")
	secure, plain := start(t, env{"PGWS_CERTIFICATE_FILE": certificate, "PGWS_KEY_FILE": key}), start(t, nil)
	for name, tc := range map[string]struct {
		server  *server
		ask     func(*server, *testing.T, request) *answer
		version string
	}{
		"TLS":           {secure, (*server).askByTLS, "HTTP/1.1"},
		"TLS, HTTP/1.0": {secure, (*server).askByTLS, "HTTP/1.0"},
		"HTTP/1.0":      {plain, (*server).ask, "HTTP/1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := "chat-" + tc.version[len("HTTP/"):]
			r := bearing("/"+channel, `{"mode":"r","exp":`+in(6)+`}`).with("Accept", "text/event-stream")
			r.version = tc.version
			st := beginStream(tc.ask(tc.server, t, r))
			messages := make([]string, 500) // several writes
			for n := range messages {
				messages[n] = fmt.Sprintf(`{"channel":%q,"n":%d,"text":%q}`, channel, n, strings.Repeat("x", 1000))
			}
			tc.server.notify(t, messages...)
			st.expect(messages...)
			st.expectEvent("close", `{"code":3001,"reason":"JWT expired"}`)
			st.expectEnd()
		})
	}
}

// askByTLS sends a request by TLS.
func (s *server) askByTLS(t *testing.T, r request) *answer {
	t.Helper()
	// Browsers would rather have HTTP/2.
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}}
	conn, err := dialer.DialContext(t.Context(), "tcp", s.addr)
	check(t, err)
	if agreed := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; agreed == "h2" {
		t.Errorf("%s was agreed on", agreed)
	}
	return sendBy(t, conn, r).read()
}
