package contract_test

import (
	"strings"
	"testing"
)

// The meta channel tells of each connection of pgws.v1 that has a good token, when it has it, and of its channels then.
func TestV1MetaChannel(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_META_CHANNEL": "meta", "PGWS_CHANNEL_PATTERNS": "True"})
	heard := s.listen(t)
	meta, _ := s.speak(t, "/meta", token(`{"mode":"r","channel":"meta"}`))
	expect := func(payload, name string) {
		t.Helper()
		text := heard.receive()
		m := parseMessage(t, text)
		if m.Event != "ConnectionOpen" || m.Channel != "meta" || m.Payload != payload || name != "" && m.Claims["name"] != name {
			t.Errorf("got %+v, want %q of %q", m, payload, name)
		}
		meta.expectNotification("meta", text)
	}
	expect("meta", "")
	s.speak(t, "/a", token(`{"mode":"r","channels":["a","b"],"name":"ann"}`))
	expect("a", "ann")
	s.speak(t, "/", token(`{"mode":"r","channels":["a","b"],"name":"bob"}`))
	expect("", "bob")
	s.connectV1(t, "/a", token(`{}`)).expectTurnedAway(3003)
	late := s.connectV1(t, "/a", "")
	late.expectPong()
	late.expectOK(authorizing(token(`{"mode":"rw","channels":["**"],"name":"cyd"}`)))
	expect("a", "cyd")
	late.expectOK(authorizing(token(`{"mode":"rw","channels":["**"],"name":"dan"}`)))
	late.expectOK(subscribing("b"))
	late.expectError(subscribing("meta"), "forbidden")
	late.expectError(publishing("meta", "x"), "forbidden")
	t.Log("Of what no notification holds it is told less.")
	s.speak(t, "/"+strings.Repeat("a", 7990), token(`{"mode":"r","name":"eve"}`))
	expect("", "eve")
	s.speak(t, "/a", token(`{"mode":"r","name":"`+strings.Repeat("x", 8000)+`"}`))
	expect("", "")
	meta.expectQuiet()
}
