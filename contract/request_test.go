package contract_test

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A request is one of HTTP. It is written by hand, so that nothing is added to it.
type request struct {
	method  string // empty: GET
	target  string // path and query
	version string // empty: HTTP/1.1
	header  http.Header
	body    string // with its length, unless the header says how long it is
}

// with returns the request with one more header.
func (r request) with(name, value string) request {
	r.header = r.header.Clone()
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Add(name, value)
	return r
}

func (r request) bytes(host string) []byte {
	var b bytes.Buffer
	method := cmp.Or(r.method, http.MethodGet)
	fmt.Fprintf(&b, "%s %s %s\r\nHost: %s\r\n", method, r.target, cmp.Or(r.version, "HTTP/1.1"), host)
	must(r.header.Write(&b))
	if method == http.MethodPost && r.header.Get("Transfer-Encoding")+r.header.Get("Content-Length") == "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n" + r.body)
	return b.Bytes()
}

// An answer is the head of what came for a request, and the connection by which more may come. Its methods fail the test.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   io.Reader // to the end of the answer; of a websocket, nothing
	conn   net.Conn
	in     *bufio.Reader
}

// A sent is a request whose answer is not read yet.
type sent struct {
	t      *testing.T
	conn   net.Conn
	method string
}

// ask sends a request on a connection of its own, and reads the answer's head.
func (s *server) ask(t *testing.T, r request) *answer {
	t.Helper()
	return s.send(t, r).read()
}

func (s *server) send(t *testing.T, r request) *sent {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", s.addr)
	check(t, err)
	return sendBy(t, conn, r)
}

func sendBy(t *testing.T, conn net.Conn, r request) *sent {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() }) // Closed already is as good.
	check(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err := conn.Write(r.bytes(conn.RemoteAddr().String()))
	check(t, err)
	return &sent{t, conn, r.method}
}

func (s *sent) read() *answer {
	s.t.Helper()
	return readAnswer(s.t, s.conn, bufio.NewReader(s.conn), s.method)
}

func readAnswer(t *testing.T, conn net.Conn, in *bufio.Reader, method string) *answer {
	t.Helper()
	//nolint:bodyclose // It ends with the connection, which is closed.
	response, err := http.ReadResponse(in, &http.Request{Method: cmp.Or(method, http.MethodGet)})
	check(t, err)
	a := &answer{t: t, status: response.StatusCode, header: response.Header, body: response.Body, conn: conn, in: in}
	var head strings.Builder
	check(t, response.Header.Write(&head))
	a.noToken(head.String())
	return a
}

// noToken fails the test when the server repeats a token.
func (a *answer) noToken(text string) {
	a.t.Helper()
	if found := tokenPattern.FindString(text); found != "" || strings.Contains(text, secret) {
		a.t.Errorf("the answer shows a token or the secret: %q", text)
	}
}

// text returns the whole body.
func (a *answer) text() string {
	a.t.Helper()
	check(a.t, a.conn.SetReadDeadline(time.Now().Add(patience)))
	body, err := io.ReadAll(a.body)
	check(a.t, err)
	a.noToken(string(body))
	return string(body)
}

// hangUp ends the connection.
func (a *answer) hangUp() {
	a.t.Helper()
	check(a.t, a.conn.Close())
}

// expectEnd wants the end of the connection and no byte before.
func (a *answer) expectEnd() {
	a.t.Helper()
	check(a.t, a.conn.SetReadDeadline(time.Now().Add(patience)))
	rest, err := io.ReadAll(a.in)
	if len(rest) > 0 {
		a.t.Fatalf("after the end came %q", rest)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		a.t.Fatal("the connection is not ended")
	}
}
