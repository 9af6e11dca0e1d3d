package contract_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A transport is one of the ways to use the server, all at the same addresses.
type transport struct {
	name        string
	way         way
	subprotocol string // of a websocket
	v1          bool
}

type way int

const (
	websocket way = iota
	eventStream
	post
)

var (
	classicSocket = transport{name: "websocket", way: websocket}
	namedSocket   = transport{name: "websocket, pgws.classic", way: websocket, subprotocol: "pgws.classic"}
	v1Socket      = transport{name: "websocket, pgws.v1", way: websocket, subprotocol: "pgws.v1", v1: true}
	plainEvents   = transport{name: "events", way: eventStream}
	framedEvents  = transport{name: "events, pgws.v1", way: eventStream, v1: true}
	plainPost     = transport{name: "POST", way: post}
	framedPost    = transport{name: "POST, pgws.v1", way: post, v1: true}
	transports    = []transport{classicSocket, namedSocket, v1Socket, plainEvents, framedEvents, plainPost, framedPost}
)

// An attempt is what a client tries: a way in, and what it brings. The zero channel and address are for attempts that
// must fail before they matter.
type attempt struct {
	transport
	channel string // to be used
	address string
	header  http.Header
	bearers []string // among the subprotocols
	first   string   // the token that comes as the first message
}

func (a attempt) request() request {
	r := request{target: a.address, header: a.header}
	offers := a.bearers
	if a.subprotocol != "" {
		offers = append([]string{a.subprotocol}, offers...)
	}
	if len(offers) > 0 {
		r = r.with("Sec-WebSocket-Protocol", strings.Join(offers, ", "))
	}
	if a.v1 && a.way != websocket {
		r.target += "?protocol=pgws.v1"
	}
	switch a.way {
	case websocket:
		return r.with("Upgrade", "websocket").with("Connection", "Upgrade").
			with("Sec-WebSocket-Version", "13").with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	case eventStream:
		return r.with("Accept", "text/event-stream")
	}
	r.method, r.body = http.MethodPost, "hello"
	if a.v1 {
		r.body = `{"id":"the id",` + publishing(a.channel, "hello") + `}`
	}
	return r
}

// works carries an attempt out, which must be granted to its end: a message passes.
func (a attempt) works(t *testing.T, s *server) {
	t.Helper()
	switch a.way {
	case websocket:
		a.worksByWebsocket(t, s)
	case eventStream:
		a.worksByEvents(t, s)
	case post:
		a.worksByPost(t, s)
	}
}

func (a attempt) worksByWebsocket(t *testing.T, s *server) {
	t.Helper()
	c := a.upgraded(t, s)
	if !a.v1 {
		c.send("hello")
		if got := c.receiveMessage(); got.Channel != a.channel || got.Payload != "hello" {
			t.Errorf("got %+v", got)
		}
		return
	}
	v1 := &v1Client{client: c}
	var opened v1Frame
	if a.first != "" {
		opened = v1.expectOK(authorizing(a.first))
	} else if opened = v1.hear(); opened.Op != "ready" {
		t.Fatalf("got %+v, want ready", opened)
	}
	if opened.Mode != "rw" || opened.Channels == nil {
		t.Errorf("opened %+v", opened)
	}
	if len(opened.Channels) == 0 { // The address has named none.
		v1.expectOK(subscribing(a.channel))
	}
	v1.send(`{"id":"the id",` + publishing(a.channel, "hello") + `}`)
	seen := map[string]bool{}
	for range 2 { // The receipt and the message come in any order.
		f := v1.hear()
		seen[f.Op] = true
		if f.Op == "ok" && (string(f.ID) != `"the id"` || f.DeliveredAt == "") || f.Op == "message" && f.Channel != a.channel {
			t.Errorf("got %+v", f)
		}
	}
	if !seen["ok"] || !seen["message"] {
		t.Errorf("got the frames %v", seen)
	}
}

// upgraded returns a websocket that must be opened, with the subprotocol that was offered and no other.
func (a attempt) upgraded(t *testing.T, s *server) *client {
	t.Helper()
	got := s.ask(t, a.request())
	if got.status != http.StatusSwitchingProtocols {
		t.Fatalf("answered %d %v: %s", got.status, got.header, got.text())
	}
	selected := got.header.Values("Sec-WebSocket-Protocol")
	if strings.Join(selected, ",") != a.subprotocol || a.subprotocol == "" && len(selected) > 0 {
		t.Errorf("the subprotocol is %q", selected)
	}
	return newClient(t, got.conn, got.in)
}

func (a attempt) worksByEvents(t *testing.T, s *server) {
	t.Helper()
	st := beginStream(s.ask(t, a.request()))
	if opened := st.opened(); opened.Mode != "rw" || !cmp.Equal(opened.Channels, []string{a.channel}) {
		t.Errorf("opened %+v", opened)
	}
	hello := fmt.Sprintf(`{"channel":%q,"payload":"hello"}`, a.channel)
	s.notify(t, hello)
	got := st.next()
	want := hello
	if a.v1 {
		want = fmt.Sprintf(`{"op":"message","channel":%q,"position":%q,"payload":%s}`, a.channel, got.id, hello)
	}
	if diff := cmp.Diff(event{data: want, id: got.id}, got, cmp.AllowUnexported(event{})); diff != "" || got.id == "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func (a attempt) worksByPost(t *testing.T, s *server) {
	t.Helper()
	heard := s.listen(t)
	got := s.ask(t, a.request())
	body := got.text()
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("answered %d %v: %s", got.status, got.header, body)
	}
	var receipt v1Frame
	check(t, json.Unmarshal([]byte(body), &receipt))
	if a.v1 && (receipt.Op != "ok" || string(receipt.ID) != `"the id"`) || !a.v1 && !cmp.Equal(receipt.Channels, []string{a.channel}) {
		t.Errorf("the receipt is %s", body)
	}
	for { // Others send, too.
		m := parseMessage(t, heard.receive())
		if m.Claims["message_delivered_at"] == receipt.DeliveredAt {
			if m.Channel != a.channel || m.Payload != "hello" {
				t.Errorf("PostgreSQL was sent %+v", m)
			}
			return
		}
	}
}
