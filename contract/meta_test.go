package contract_test

import (
	"regexp"
	"testing"
)

// Each connection that is accepted sends ConnectionOpen to the meta channel, through NOTIFY.
func TestMetaChannel(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_META_CHANNEL": `the "meta" channel`})
	heard := s.listen(t)
	meta := s.dial(t, "/the%20%22meta%22%20channel/"+token(`{"mode":"r"}`))
	expect := func(payload, claims string) {
		t.Helper()
		text := heard.receive()
		meta.expect(text)
		pattern := `^{"event":"ConnectionOpen","channel":"the \\"meta\\" channel","payload":"` + payload + `","claims":{` + claims +
			`,"message_delivered_at":[0-9]+\.[0-9]+}}$`
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("got %s\nwant %s", text, pattern)
		}
	}
	expect(`the \\"meta\\" channel`, `"mode":"r"`)
	s.dial(t, "/chat/"+token(`{"mode":"w","name":"ann"}`))
	expect("chat", `"mode":"w","name":"ann"`)
	s.dial(t, "/"+token(`{"channel":"a","channels":["b","a"],"mode":"rw","n":null}`))
	expect("a,b", `"channel":"a","channels":\["b","a"\],"mode":"rw","n":null`)

	t.Log("What is refused is not told of, nor what is closed.")
	s.refuse(t, "/chat/none")
	s.refuse(t, "/chat/"+token(`{}`))
	gone := s.dial(t, "/gone/"+token(anybody))
	expect("gone", `"mode":"rw"`)
	check(t, gone.conn.Close())
	s.dial(t, "/next/"+token(anybody))
	expect("next", `"mode":"rw"`)
	meta.expectPong()
}

// Without PGWS_META_CHANNEL nobody is told.
func TestNoMetaChannel(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	c := s.dial(t, "/chat/"+token(anybody))
	c.send("first")
	if got := parseMessage(t, heard.receive()).Event; got != "WebsocketMessage" {
		t.Errorf("the first event is %s", got)
	}
}
