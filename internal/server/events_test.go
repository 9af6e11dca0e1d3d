package server

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgws/internal/protocol"
)

const askEvents = "Accept: text/event-stream\r\n"

// TestStream has an event stream to the byte, but for its date.
func TestStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	p := r.connect(t)
	token := r.token(t, map[string]any{"mode": "r", "channels": []string{"a", "b"}, "exp": 4102444800})
	if _, err := io.WriteString(p, "GET /"+token+" HTTP/1.1\r\nHost: x\r\nAccept: text/html;q=0.1, Text/Event-Stream\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	date := regexp.MustCompile(`Date: [^\r]+ GMT`)
	expect := func(want string) {
		t.Helper()
		got := position.ReplaceAllString(p.event(t), "P")
		if got = date.ReplaceAllString(got, "Date: D"); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	var head strings.Builder
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = p.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		head.WriteString(line)
	}
	want := "HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: Retry-After\r\n" +
		"Cache-Control: no-store\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n\r\n"
	if got := date.ReplaceAllString(head.String(), "Date: D"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	expect("retry: 2000\n\n")
	expect("id: P\nevent: ready\ndata: {\"op\":\"ready\",\"mode\":\"r\",\"expires\":4102444800,\"channels\":[\"a\",\"b\"],\"position\":\"P\"}\n\n")
	r.publish("b", "two\nlines")
	r.publish("c", "not for it")
	r.publish("a", "{}")
	expect("id: P\ndata: two\ndata: lines\n\n")
	expect("id: P\ndata: {}\n\n")
	r.Hub.Gap()
	gaps := []string{p.event(t), p.event(t)} // in any order
	slices.Sort(gaps)
	for i, channel := range []string{"a", "b"} {
		if want := "id: P\nevent: gap\ndata: {\"op\":\"gap\",\"channel\":\"" + channel + "\",\"position\":\"P\"}\n\n"; gaps[i] != want {
			t.Errorf("got  %q\nwant %q", gaps[i], want)
		}
	}
	report(t, p.Close())
	if code := r.awaitClosed(t); code != 1000 {
		t.Errorf("counted %d", code)
	}
}

// TestStreamOfV1 has the frames of pgws.v1 as events, of channels in the query.
func TestStreamOfV1(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	p := r.stream(t, "/?protocol=pgws.v1&channel=a&channel=b%2F&channel=a", "Authorization: Bearer "+r.token(t, map[string]any{"mode": "rw"})+"\r\n")
	expect := func(want string) {
		t.Helper()
		if got := p.event(t); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	expect("id: P\ndata: {\"op\":\"ready\",\"mode\":\"rw\",\"channels\":[\"a\",\"b/\"],\"position\":\"P\"}\n\n")
	r.publish("b/", "text")
	expect("id: P\ndata: {\"op\":\"message\",\"channel\":\"b/\",\"position\":\"P\",\"payload\":\"text\"}\n\n")
}

// TestStreamResumes has a browser come back, to a server that can go on and to another.
func TestStreamResumes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	path := "/" + r.token(t, map[string]any{"mode": "r", "channels": []string{"a", "b"}})
	first := r.stream(t, path, "")
	first.event(t)
	r.publish("a", "seen")
	line, err := first.in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	r.publish("b", "missed")
	again := r.stream(t, path, "Last-Event-ID:"+strings.TrimPrefix(strings.TrimSpace(line), "id:")+"\r\n")
	if got, want := again.event(t), "id: P\nevent: ready\ndata: {\"op\":\"ready\",\"mode\":\"r\",\"channels\":[\"a\",\"b\"],\"position\":\"P\",\"resumed\":true}\n\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := again.event(t); got != "id: P\ndata: missed\n\n" {
		t.Errorf("got %q", got)
	}
	other := r.stream(t, path, "Last-Event-ID: abcdefgh-1\r\n")
	for _, want := range []string{
		"id: P\nevent: ready\ndata: {\"op\":\"ready\",\"mode\":\"r\",\"channels\":[\"a\",\"b\"],\"position\":\"P\",\"resumed\":false}\n\n",
		"id: P\nevent: gap\ndata: {\"op\":\"gap\",\"channel\":\"a\",\"position\":\"P\"}\n\n", "id: P\nevent: gap\ndata: {\"op\":\"gap\",\"channel\":\"b\",\"position\":\"P\"}\n\n",
	} {
		if got := other.event(t); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	anywhere := "Authorization: Bearer " + r.token(t, map[string]any{"mode": "rw"}) + "\r\n"
	narrow := "Authorization: Bearer " + r.token(t, map[string]any{"mode": "rw", "channel": "a"}) + "\r\n"
	for name, test := range map[string]struct {
		path, headers string
		status        int
		body          string
	}{
		"mode w":            {"/a/" + r.token(t, map[string]any{"mode": "w"}), "", 403, "Error: the token's mode does not receive"},
		"no token":          {"/", "", 401, "Error: no token"},
		"a bad one":         {"/a/x", "", 401, "Error: not a JWT"},
		"no channels":       {"/", anywhere, 403, "No allowed channels"},
		"another channel":   {"/b", narrow, 403, "No allowed channels"},
		"another, by query": {"/?channel=a&channel=b", narrow, 403, "Error: the token does not grant the channel b"},
		"path and query":    {"/a?channel=a", anywhere, 400, "Error: channels in the path and in the query"},
		"too many":          {"/?channel=" + strings.Join(numbers(protocol.MaxChannels+1), "&channel="), anywhere, 400, "Error: more than 1024 channels"},
		"a long name":       {"/?channel=" + strings.Repeat("x", maxNameBytes+1), anywhere, 400, "Error: the name of a channel is too long"},
		"a long path":       {"/" + strings.Repeat("x", maxNameBytes+1), anywhere, 400, "Error: the name of a channel is too long"},
		"long names": {
			"/?channel=x" + strings.Join(numbers(10), strings.Repeat("x", 7900)+"&channel="), anywhere, 400,
			"Error: the names of the channels have more than 65536 bytes together",
		},
		"path not UTF-8":  {"/%ff", anywhere, 400, "Error: the path is not UTF-8"},
		"query not UTF-8": {"/?channel=%ff", anywhere, 400, "Error: a channel is not UTF-8"},
		"a bad path":      {"/%zz", anywhere, 400, "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := r.connect(t).ask(t, "GET "+test.path+" HTTP/1.1\r\nHost: x\r\n"+askEvents+test.headers+"\r\n")
			text := body(t, response)
			if response.StatusCode != test.status || text != test.body {
				t.Errorf("got %s, %q", response.Status, text)
			}
			if bearer := response.Header.Get("WWW-Authenticate"); (bearer == "Bearer") != (test.status == 401) {
				t.Errorf("WWW-Authenticate: %q", bearer)
			}
		})
	}
	r.stream(t, "/?channel="+strings.Join(numbers(protocol.MaxChannels), "&channel="), anywhere).event(t)
}

func numbers(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

// TestOldRequests has event streams for proxies that speak HTTP/1.0, and a client that
// goes on talking.
func TestOldRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serveAll(t)
	p := r.connect(t)
	response := p.ask(t, "GET /a/"+r.token(t, map[string]any{"mode": "r"})+" HTTP/1.0\r\n"+askEvents+"\r\nmore that nobody reads")
	if response.StatusCode != http.StatusOK || !response.Close || response.ContentLength != -1 {
		t.Errorf("got %+v", response)
	}
	if _, err := io.WriteString(p, strings.Repeat("and more", 10_000)); err != nil {
		t.Error(err)
	}
	p.event(t)
	p.event(t)
	r.publish("a", "x")
	if got := p.event(t); got != "id: P\ndata: x\n\n" {
		t.Errorf("got %q", got)
	}
}

// TestStreamsEnd has the server stop: each kind of stream ends at once, and in order.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	const last = "event: close\ndata: {\"code\":1001,\"reason\":\"server is stopping\"}\n\n"
	open := map[string]func(t *testing.T, r *rig, path string) io.Reader{
		"socket": func(t *testing.T, r *rig, path string) io.Reader {
			return get(t, http.DefaultTransport.(*http.Transport).Clone(), r.serveAll(t).http.URL+path)
		},
		"TLS": func(t *testing.T, r *rig, path string) io.Reader {
			s := r.serveSecurely(t, "http/1.1")
			return get(t, s.Client().Transport.(*http.Transport), s.URL+path)
		},
		"HTTP/2": func(t *testing.T, r *rig, path string) io.Reader {
			s := r.serveSecurely(t, "h2")
			return get(t, s.Client().Transport.(*http.Transport), s.URL+path)
		},
	}
	for name, open := range open {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			in := open(t, r, "/a/"+r.token(t, map[string]any{"mode": "r"}))
			long := strings.Repeat("x", 100_000)
			for range 20 {
				r.publish("a", long)
			}
			start := time.Now()
			stopped := make(chan struct{})
			go func() { defer close(stopped); r.stop(nil) }()
			text, err := io.ReadAll(in) // An end without TLS's own would be an error.
			if err != nil {
				t.Error(err)
			}
			<-stopped
			if since := time.Since(start); since >= closeWait {
				t.Errorf("ends after %v", since)
			}
			if n := strings.Count(string(text), "data: "+long+"\n\n"); n != 20 || !strings.HasSuffix(string(text), last) {
				t.Errorf("%d messages, and the end %q", n, text[max(len(text)-100, 0):])
			}
			if code := r.awaitClosed(t); code != 1001 {
				t.Errorf("counted %d", code)
			}
		})
	}
}

// tap keeps the bytes that are read.
type tap struct {
	net.Conn
	read []byte
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read = append(c.read, p[:n]...)
	return n, err
}

// TestStreamSaysGoodbye has TLS tell the end of a stream from a connection that broke:
// its last record is an alert (RFC 5246, section 7.2.1).
func TestStreamSaysGoodbye(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	under, err := net.Dial("tcp", r.serveSecurely(t, "http/1.1").Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { report(t, under.Close()) }()
	raw := &tap{Conn: under}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	p := &peer{Conn: conn, in: bufio.NewReader(conn)}
	p.ask(t, "GET /a/"+r.token(t, map[string]any{"mode": "r"})+" HTTP/1.1\r\nHost: x\r\n"+askEvents+"\r\n")
	p.event(t)
	p.event(t)
	r.keeper.all()[0].close(4000, "for no reason")
	if text, err := io.ReadAll(p.in); err != nil || !strings.Contains(string(text), "4000") {
		t.Errorf("ends with %q: %v", text, err)
	}
	kind := byte(0)
	for rest := raw.read; len(rest) >= 5; rest = rest[5+int(binary.BigEndian.Uint16(rest[3:])):] {
		kind = rest[0]
	}
	if kind != 21 {
		t.Errorf("the last record is of type %d", kind)
	}
}

// serveSecurely lets the rig answer over TLS in some version of HTTP.
func (r *rig) serveSecurely(t *testing.T, version string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(r.Handler(http.NotFoundHandler()))
	s.EnableHTTP2 = version == "h2"
	s.Config.ReadTimeout, s.Config.WriteTimeout = readTimeout, writeTimeout
	s.TLS = &tls.Config{NextProtos: []string{version}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// get asks for an event stream and reads the events retry and ready.
func get(t *testing.T, transport *http.Transport, url string) io.Reader {
	t.Helper()
	t.Cleanup(transport.CloseIdleConnections)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %+v", response)
	}
	return response.Body
}

// TestSlowStream fills the socket of a client that does not read.
func TestSlowStream(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"plain", "http/1.1", "h2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { o.WriteTimeout = 50 * time.Millisecond })
			path := "/c/" + r.token(t, map[string]any{"mode": "r"})
			if version == "plain" {
				r.serveAll(t).stream(t, path, "")
			} else {
				s := r.serveSecurely(t, version)
				get(t, s.Client().Transport.(*http.Transport), s.URL+path)
			}
			fill(r)
			if code := r.awaitClosed(t); code != 1013 {
				t.Errorf("closed with %d", code)
			}
			r.events.mu.Lock()
			defer r.events.mu.Unlock()
			if r.events.slow != 1 {
				t.Errorf("%d slow sessions counted", r.events.slow)
			}
		})
	}
}

// TestSharedConnection has event streams and messages on one connection of HTTP/2, each
// ended by its client alone.
func TestSharedConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.serveSecurely(t, "h2")
	transport := s.Client().Transport.(*http.Transport)
	path := s.URL + "/a/" + r.token(t, map[string]any{"mode": "rw"})
	first, second := get(t, transport, path), get(t, transport, path)
	r.publish("a", "x")
	for _, in := range []io.Reader{first, second} {
		text := ""
		for buffer := make([]byte, 1000); !strings.HasSuffix(text, "data: x\n\n"); {
			n, err := in.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			text += string(buffer[:n])
		}
		if !strings.HasPrefix(text, retry+"id: ") {
			t.Errorf("got %q", text)
		}
	}
	report(t, first.(io.Closer).Close())
	if code := r.awaitClosed(t); code != 1000 {
		t.Errorf("counted %d", code)
	}
	go func() { (<-r.messages).Done(1e6, nil) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text := body(t, result{response}); response.ProtoMajor != 2 || text != "{\"channels\":[\"a\"],\"message_delivered_at\":1.000000}\n" {
		t.Errorf("got %s %q", response.Proto, text)
	}
	if n := len(r.keeper.all()); n != 1 {
		t.Errorf("%d streams are open", n)
	}
}

// bare is a ResponseWriter that can nothing else.
type bare struct{ http.ResponseWriter }

// TestNoStreams has a handler before ours that lends nothing.
func TestNoStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ours := r.Handler(http.NotFoundHandler())
	r.serveWith(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) { ours.ServeHTTP(bare{w}, request) }))
	response := r.connect(t).ask(t, "GET /a/"+r.token(t, map[string]any{"mode": "r"})+" HTTP/1.1\r\nHost: x\r\n"+askEvents+"\r\n")
	if text := body(t, response); response.StatusCode != http.StatusHTTPVersionNotSupported || !strings.HasPrefix(text, "Error: ") {
		t.Errorf("got %s %q", response.Status, text)
	}
}

var _ net.Conn = (*response)(nil)
