package contract_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// A v1Client is the far end of a websocket that speaks pgws.v1.
type v1Client struct {
	*client
	asked int
}

// A v1Frame is what a server says, with all members that the protocol has.
type v1Frame struct {
	ID          json.RawMessage `json:"id"`
	Op          string          `json:"op"`
	Code        string          `json:"code"`
	Message     string          `json:"message"`
	Uncertain   bool            `json:"uncertain"`
	Mode        string          `json:"mode"`
	Expires     json.Number     `json:"expires"`
	Channels    []string        `json:"channels"` // nil: no such member
	Channel     string          `json:"channel"`
	Position    string          `json:"position"`
	Resumed     *bool           `json:"resumed"`
	Payload     json.RawMessage `json:"payload"`
	DeliveredAt json.Number     `json:"message_delivered_at"`
	In          int             `json:"in"`
}

// shakeHands asks for a websocket with headers of the test's own. The answer must be that it is opened.
func (s *server) shakeHands(t *testing.T, path string, more http.Header) (*client, http.Header) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	check(t, err)
	c := newClient(t, conn, nil)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+path, nil)
	check(t, err)
	request.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"}}
	for name, values := range more {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	check(t, conn.SetDeadline(time.Now().Add(patience)))
	check(t, request.Write(conn))
	c.in = bufio.NewReader(conn)
	response, err := http.ReadResponse(c.in, request)
	check(t, err)
	if response.StatusCode != http.StatusSwitchingProtocols {
		defer response.Body.Close()
		t.Fatalf("%s is answered %s", request.URL.Path[:min(len(request.URL.Path), 20)], response.Status)
	}
	return c, response.Header
}

// connectV1 opens a websocket of pgws.v1 that nothing has come from. Without a token it is to be the first message.
func (s *server) connectV1(t *testing.T, path, token string) *v1Client {
	t.Helper()
	offers := "pgws.v1"
	if token != "" {
		offers += ", pgws.bearer." + token
	}
	c, header := s.shakeHands(t, path, http.Header{"Sec-WebSocket-Protocol": {offers}})
	if got := header.Values("Sec-WebSocket-Protocol"); !cmp.Equal(got, []string{"pgws.v1"}) {
		t.Fatalf("the subprotocol is %q", got)
	}
	return &v1Client{client: c}
}

// speak opens a websocket of pgws.v1 and returns it with the frame that says that it is ready.
func (s *server) speak(t *testing.T, path, token string) (*v1Client, v1Frame) {
	t.Helper()
	c := s.connectV1(t, path, token)
	ready := c.hear()
	if ready.Op != "ready" || ready.Position == "" || ready.Channels == nil {
		t.Fatalf("got %+v, want ready", ready)
	}
	return c, ready
}

// hear returns the next frame, which must have no member that the protocol does not know.
func (c *v1Client) hear() v1Frame {
	c.t.Helper()
	text := c.receive()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var f v1Frame
	if err := decoder.Decode(&f); err != nil {
		c.t.Fatalf("%.200q: %v", text, err)
	}
	return f
}

// request returns a request with an id of its own, and the id.
func (c *v1Client) request(members string) (text, id string) {
	c.asked++
	id = fmt.Sprint(c.asked)
	return `{"id":` + id + `,` + members + `}`, id
}

// ask sends a request and wants its answer to come next. An error's message, which is for people, is there and left out.
func (c *v1Client) ask(members string) v1Frame {
	c.t.Helper()
	text, id := c.request(members)
	c.send(text)
	f := c.hear()
	if string(f.ID) != id {
		c.t.Fatalf("%.200s is answered with id %s: %+v", text, f.ID, f)
	}
	f.ID = nil
	if (f.Op == "error") != (f.Message != "") {
		c.t.Errorf("%.200s is answered with the message %q: %+v", text, f.Message, f)
	}
	f.Message = ""
	return f
}

// expectOK sends a request that must be carried out.
func (c *v1Client) expectOK(members string) v1Frame {
	c.t.Helper()
	f := c.ask(members)
	if f.Op != "ok" {
		c.t.Fatalf("%.200s is answered %+v", members, f)
	}
	return f
}

// expectError sends a request that must be refused with a code. The connection stays.
func (c *v1Client) expectError(members, code string) {
	c.t.Helper()
	if diff := cmp.Diff(v1Frame{Op: "error", Code: code}, c.ask(members)); diff != "" {
		c.t.Errorf("%.200s is answered (-want +got):\n%s", members, diff)
	}
}

// expectQuiet wants nothing to have come that was not expected.
func (c *v1Client) expectQuiet() {
	c.t.Helper()
	if diff := cmp.Diff(v1Frame{Op: "ok"}, c.ask(`"op":"ping"`)); diff != "" {
		c.t.Fatalf("ping is answered (-want +got):\n%s", diff)
	}
}

// expectNotification wants a message of a channel to come next, whose payload is this JSON to the byte.
func (c *v1Client) expectNotification(channel, payload string) (position string) {
	c.t.Helper()
	text := c.receive()
	f := c.parseNotification(text)
	if f.Channel != channel {
		c.t.Fatalf("got a message of %q, want one of %q", f.Channel, channel)
	}
	_, got, _ := strings.Cut(text, `,"payload":`)
	if diff := cmp.Diff(payload+"}", got); diff != "" {
		c.t.Fatalf("message (-want +got):\n%s", diff)
	}
	return f.Position
}

// parseNotification returns a frame that must be a message.
func (c *v1Client) parseNotification(text string) (f v1Frame) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(text), &f); err != nil || f.Op != "message" || f.Position == "" {
		c.t.Fatalf("got %.200s, want a message", text)
	}
	return f
}

// expectSaid wants messages of clients to come next, with these payloads.
func (c *v1Client) expectSaid(want ...string) {
	c.t.Helper()
	for _, text := range want {
		f := c.parseNotification(c.receive())
		if got := parseMessage(c.t, string(f.Payload)).Payload; got != text {
			c.t.Fatalf("got %.50q, want %.50q", got, text)
		}
	}
}

// tell sends notifications, and returns when the server has heard them.
func (s *server) tell(t *testing.T, payloads ...string) {
	t.Helper()
	const last = `{"channel":"witness"}`
	witness := s.dial(t, "/witness/"+token(`{"mode":"r"}`))
	s.notify(t, append(payloads, last)...)
	witness.expect(last)
	check(t, witness.conn.Close())
}

// subscribing, publishing and authorizing are requests without their ids.
func subscribing(channels ...string) string {
	return `"op":"subscribe","channels":` + list(channels)
}

func unsubscribing(channels ...string) string {
	return `"op":"unsubscribe","channels":` + list(channels)
}

func publishing(channel, text string) string {
	return `"op":"publish","channel":` + mustJSON(channel) + `,"payload":` + mustJSON(text)
}

func authorizing(token string) string { return `"op":"auth","token":"` + token + `"` }

func since(position string) string { return `,"since":"` + position + `"` }

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = mustJSON(name)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// expectTurnedAway wants the connection to be closed with a code, after an error for the request that was at fault at
// most, and with a reason that shows no token.
func (c *v1Client) expectTurnedAway(code ws.StatusCode) (reason string) {
	c.t.Helper()
	f := c.next()
	if f.Header.OpCode == ws.OpText {
		var answer v1Frame
		if err := json.Unmarshal(f.Payload, &answer); err != nil || answer.Op != "error" {
			c.t.Fatalf("before the close %d came %.200s", code, f.Payload)
		}
		f = c.next()
	}
	c.early = append(c.early, f)
	reason = c.expectClose(code)
	if reason == "" || tokenPattern.MatchString(reason) {
		c.t.Errorf("the reason of %d is %q", code, reason)
	}
	return reason
}
