package contract_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// A client is the far end of one websocket. Its methods fail the test.
type client struct {
	t     *testing.T
	conn  net.Conn
	in    *bufio.Reader
	early []ws.Frame // read already, and next to be received
}

// A refusal is the answer to a websocket request that opens nothing.
type refusal struct {
	status int
	header http.Header
	body   string
}

// dial opens a websocket at a path, and waits until the server reads from it and so has opened its channels.
func (s *server) dial(t *testing.T, path string) *client {
	t.Helper()
	c, refused := s.open(t, path)
	if refused != nil {
		t.Fatalf("%s is refused: %d %s", path, refused.status, refused.body)
	}
	c.write(ws.NewPingFrame(nil))
	var early []ws.Frame
	for f := c.next(); f.Header.OpCode != ws.OpPong; f = c.next() {
		early = append(early, f)
	}
	c.early = early
	return c
}

// refuse returns the refusal of a websocket at a path.
func (s *server) refuse(t *testing.T, path string) *refusal {
	t.Helper()
	_, refused := s.open(t, path)
	if refused == nil {
		t.Fatalf("%s is not refused", path)
	}
	return refused
}

func (s *server) open(t *testing.T, path string) (*client, *refusal) {
	t.Helper()
	return s.openBy(t, ws.Dialer{}, "ws://"+s.addr+path)
}

func (s *server) openBy(t *testing.T, dialer ws.Dialer, url string) (*client, *refusal) {
	t.Helper()
	var refused *refusal
	dialer.OnStatusError = func(_ int, _ []byte, answer io.Reader) {
		response, err := http.ReadResponse(bufio.NewReader(answer), nil)
		check(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		check(t, err)
		refused = &refusal{response.StatusCode, response.Header, string(body)}
	}
	dialer.Timeout = patience
	conn, early, _, err := dialer.Dial(t.Context(), url)
	if refused != nil {
		return nil, refused
	}
	check(t, err)
	return newClient(t, conn, early), nil
}

func newClient(t *testing.T, conn net.Conn, early *bufio.Reader) *client {
	t.Helper()
	if early == nil {
		early = bufio.NewReader(conn)
	}
	t.Cleanup(func() { _ = conn.Close() }) // Closed already is as good.
	return &client{t: t, conn: conn, in: early}
}

// send sends text frames in one write.
func (c *client) send(texts ...string) {
	c.t.Helper()
	frames := make([]ws.Frame, len(texts))
	for i, text := range texts {
		frames[i] = textFrame(text)
	}
	c.write(frames...)
}

func textFrame(text string) ws.Frame { return ws.NewTextFrame([]byte(text)) }

// write masks frames and sends them in one write.
func (c *client) write(frames ...ws.Frame) {
	c.t.Helper()
	c.raw(masked(frames...))
}

// raw sends bytes as they are.
func (c *client) raw(data []byte) {
	c.t.Helper()
	check(c.t, c.conn.SetWriteDeadline(time.Now().Add(patience)))
	_, err := c.conn.Write(data)
	check(c.t, err)
}

// masked returns frames as a client sends them.
func masked(frames ...ws.Frame) []byte {
	var data bytes.Buffer
	for _, f := range frames {
		f.Payload = bytes.Clone(f.Payload)
		must(ws.WriteFrame(&data, ws.MaskFrameInPlace(f)))
	}
	return data.Bytes()
}

// next returns the next frame, which must be as a server has to send it. Pings are answered and skipped.
func (c *client) next() ws.Frame {
	c.t.Helper()
	if len(c.early) > 0 {
		f := c.early[0]
		c.early = c.early[1:]
		return f
	}
	check(c.t, c.conn.SetReadDeadline(time.Now().Add(patience)))
	for {
		f, err := ws.ReadFrame(c.in)
		if err != nil {
			c.t.Fatalf("read a frame: %v", err)
		}
		if err := ws.CheckHeader(f.Header, ws.StateClientSide); err != nil {
			c.t.Fatalf("the server's frame %+v: %v", f.Header, err)
		}
		if f.Header.OpCode != ws.OpPing {
			return f
		}
		c.write(ws.NewPongFrame(f.Payload))
	}
}

// receive returns the next message.
func (c *client) receive() string {
	c.t.Helper()
	f := c.next()
	if f.Header.OpCode != ws.OpText || !f.Header.Fin {
		c.t.Fatalf("got the frame %+v %q, want a text", f.Header, f.Payload)
	}
	return string(f.Payload)
}

// expect wants messages to come next, to the byte.
func (c *client) expect(want ...string) {
	c.t.Helper()
	for i, text := range want {
		if diff := cmp.Diff(text, c.receive()); diff != "" {
			c.t.Fatalf("message %d (-want +got):\n%s", i, diff)
		}
	}
}

// expectPong pings and wants the answer to come next. All that was sent before has then been handled, and all that has
// been received before was expected.
func (c *client) expectPong() {
	c.t.Helper()
	payload := []byte("are you there?")
	c.write(ws.NewPingFrame(payload))
	if f := c.next(); f.Header.OpCode != ws.OpPong || !bytes.Equal(f.Payload, payload) {
		c.t.Fatalf("got the frame %+v %q, want a pong", f.Header, f.Payload)
	}
}

// expectClose wants a close frame to come next, and after it the end of the connection without another byte. It
// answers the close and returns the reason.
func (c *client) expectClose(want ws.StatusCode) (reason string) {
	c.t.Helper()
	f := c.next()
	if f.Header.OpCode != ws.OpClose {
		c.t.Fatalf("got the frame %+v %q, want the close %d", f.Header, f.Payload, want)
	}
	code := ws.StatusNoStatusRcvd
	if len(f.Payload) >= 2 {
		code, reason = ws.StatusCode(binary.BigEndian.Uint16(f.Payload)), string(f.Payload[2:])
	}
	if code != want {
		c.t.Fatalf("closed with %d %q, want %d", code, reason, want)
	}
	// The server may have closed its end already.
	_, _ = c.conn.Write(masked(ws.NewCloseFrame(f.Payload)))
	c.expectEnd()
	return reason
}

// expectEnd wants the end of the connection and no byte before.
func (c *client) expectEnd() {
	c.t.Helper()
	check(c.t, c.conn.SetReadDeadline(time.Now().Add(patience)))
	rest, err := io.ReadAll(c.in)
	if len(rest) > 0 {
		c.t.Fatalf("after the end came %q", rest)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("the connection is not ended")
	}
}

// A message is what clients are sent for a client's message.
type message struct {
	Event   string         `json:"event"`
	Channel string         `json:"channel"`
	Payload string         `json:"payload"`
	Claims  map[string]any `json:"claims"`
}

// receiveMessage returns the next message, which must have the four members and no other.
func (c *client) receiveMessage() message {
	c.t.Helper()
	return parseMessage(c.t, c.receive())
}

func parseMessage(t *testing.T, text string) (m message) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// connect opens a connection of the test's own to a database.
func connect(t *testing.T, uri string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), uri)
	check(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// notify sends notifications on the server's channel, all in one transaction.
func (s *server) notify(t *testing.T, payloads ...string) {
	t.Helper()
	conn := connect(t, s.uri)
	_, err := conn.Exec(t.Context(), "select pg_notify($1, payload) from unnest($2::text[]) payload", s.channel, payloads)
	check(t, err)
	check(t, conn.Close(t.Context()))
}

// A hearer is a session that LISTENs to the server's channel.
type hearer struct {
	t    *testing.T
	conn *pgx.Conn
}

func (s *server) listen(t *testing.T) *hearer {
	t.Helper()
	h := &hearer{t, connect(t, s.uri)}
	_, err := h.conn.Exec(t.Context(), "listen "+pgx.Identifier{s.channel}.Sanitize())
	check(t, err)
	return h
}

// receive returns the payload of the next notification.
func (h *hearer) receive() string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	n, err := h.conn.WaitForNotification(ctx)
	check(h.t, err)
	return n.Payload
}

// payloads returns the payloads of messages, joined by commas.
func payloads(messages ...message) string {
	var texts []string
	for _, m := range messages {
		texts = append(texts, m.Payload)
	}
	return strings.Join(texts, ",")
}
