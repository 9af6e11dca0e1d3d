package contract_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Nothing is open but what was asked for: the address's channel, and what is subscribed to.
func TestV1Subscribe(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	all := token(`{"mode":"r","channels":["a","b","c d","e"]}`)
	nothing, _ := s.speak(t, "/", all)
	one, _ := s.speak(t, "/a", all)
	answer := one.expectOK(subscribing("b", "c d", "a", "b"))
	if answer.Position == "" || answer.Resumed != nil || !cmp.Equal(answer.Channels, []string{"b", "c d", "a"}) {
		t.Errorf("answered %+v", answer)
	}
	some := func() {
		s.tell(t, numberFor("a", 1), numberFor("b", 2), numberFor("c d", 3), numberFor("e", 4), numberFor("a", 5))
	}
	some()
	for n, channel := range []string{1: "a", 2: "b", 3: "c d", 5: "a"} {
		if channel != "" {
			one.expectNotification(channel, numberFor(channel, n))
		}
	}
	one.expectQuiet()
	nothing.expectQuiet()

	if diff := cmp.Diff(v1Frame{Op: "ok"}, one.ask(unsubscribing("a", "c d", "e", "never granted"))); diff != "" {
		t.Errorf("unsubscribe is answered (-want +got):\n%s", diff)
	}
	some()
	one.expectNotification("b", numberFor("b", 2))
	one.expectQuiet()

	one.expectOK(subscribing("a"))
	some()
	one.expectNotification("a", numberFor("a", 1))
	one.expectNotification("b", numberFor("b", 2))
	one.expectNotification("a", numberFor("a", 5))
	one.expectQuiet()
}

// All of the channels are opened, or none.
func TestV1SubscribeForbidden(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_CHANNEL_PATTERNS": "True"})
	c, _ := s.speak(t, "/", token(`{"mode":"rw","channels":["a","room:*"]}`))
	c.expectError(subscribing("a", "b"), "forbidden")
	c.expectError(subscribing("b", "a"), "forbidden")
	c.expectError(subscribing("room:1", "room:1:2"), "forbidden")
	c.expectError(`"op":"subscribe","channels":["a",1]`, "bad_request")
	s.tell(t, numberFor("a", 1), numberFor("room:1", 2))
	c.expectQuiet()
	c.expectOK(subscribing("a", "room:1"))
	c.expectError(subscribing("a", "room:2", "b"), "forbidden")
	s.tell(t, numberFor("a", 3), numberFor("room:2", 4), numberFor("room:1", 5))
	c.expectNotification("a", numberFor("a", 3))
	c.expectNotification("room:1", numberFor("room:1", 5))
	c.expectQuiet()

	sender, _ := s.speak(t, "/", token(`{"mode":"w","channel":"a"}`))
	sender.expectError(subscribing("a"), "forbidden")
	s.tell(t, numberFor("a", 6))
	sender.expectQuiet()
}

// 1024 channels may be open, whether they were opened at once or one by one.
func TestV1ManyChannels(t *testing.T) {
	t.Parallel()
	const most = 1024
	s := start(t, nil)
	c, _ := s.speak(t, "/first", token(`{"mode":"r"}`))
	names := numbered("channel", most)
	c.expectError(subscribing(names...), "bad_request")
	c.expectOK(subscribing(names[:1000]...))
	c.expectError(subscribing(names[1000:]...), "bad_request")
	c.expectOK(subscribing(names[1000:1023]...)) // with the first: 1024
	c.expectError(subscribing("one more"), "bad_request")
	c.expectOK(subscribing(names[0], names[1022], "first")) // They are open already.
	s.tell(t, numberFor(names[1023], 1), numberFor("one more", 2), numberFor(names[0], 3), numberFor(names[1022], 4), numberFor("first", 5))
	c.expectNotification(names[0], numberFor(names[0], 3))
	c.expectNotification(names[1022], numberFor(names[1022], 4))
	c.expectNotification("first", numberFor("first", 5))
	c.expectOK(unsubscribing("first"))
	c.expectOK(subscribing("one more"))
	s.tell(t, numberFor("first", 6), numberFor("one more", 7))
	c.expectNotification("one more", numberFor("one more", 7))
	c.expectOK(unsubscribing(names[:1023]...))
	s.tell(t, numberFor(names[5], 8), numberFor("one more", 9))
	c.expectNotification("one more", numberFor("one more", 9))
	c.expectQuiet()
}

// The names of all open channels have 64 KiB together at most, as long as one may be.
func TestV1LongNames(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, _ := s.speak(t, "/"+strings.Repeat("a", 7999), token(`{"mode":"r"}`))
	names := numbered(strings.Repeat("x", 7990), 7)
	c.expectError(subscribing(strings.Repeat("b", 8000)), "bad_request")
	c.expectOK(subscribing(names...))
	c.expectError(subscribing(strings.Repeat("c", 7000)), "bad_request")
	c.expectOK(subscribing(names...)) // They are open already.
	if answer := c.expectOK(authorizing(token(`{"mode":"r"}`))); len(answer.Channels) != 8 {
		t.Errorf("%d channels are open", len(answer.Channels))
	}
	c.expectOK(unsubscribing(names[0]))
	c.expectOK(subscribing(strings.Repeat("c", 7000)))
	c.expectQuiet()
}

// Messages come in PostgreSQL's order across all channels, and none twice.
func TestV1OrderAcrossChannels(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	channels := []string{"a", "b", "c", "d", "e"}
	c, _ := s.speak(t, "/a", token(`{"mode":"r"}`))
	c.expectOK(subscribing(channels[1:]...))
	conn := connect(t, s.uri)
	const singly, together = 500, 2000
	check(t, notifyNumbers(t.Context(), conn, s.channel, 0, singly, channels...))
	_, err := conn.Exec(t.Context(), `select pg_notify($1, json_build_object('channel', chr(97 + n % 5), 'n', n)::text)
		from generate_series($2::int, $3::int) n`, s.channel, singly, singly+together-1)
	check(t, err)
	positions := map[string]bool{}
	for want := range singly + together {
		f := c.hear()
		if n, err := numberIn(f); err != nil || n != want || f.Op != "message" || f.Position == "" || positions[f.Position] {
			t.Fatalf("got %+v, %v, want %d", f, err, want)
		}
		positions[f.Position] = true
	}
	c.expectQuiet()
}

// While messages flow: none comes before the answer that opens its channel, none after the one that closes it, none
// between is lost, and the other channel's go on.
func TestV1SubscribeAmongMessages(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, _ := s.speak(t, "/steady", token(`{"mode":"r"}`))
	numbers := s.keepNotifying(t, "steady", "now-and-then")
	open, steady, other := false, 0, 0
	note := func(f v1Frame) {
		n, err := numberIn(f)
		check(t, err)
		switch {
		case f.Channel == "steady" && steady != 0 && n != steady+2:
			t.Fatalf("after %d came %d", steady, n)
		case f.Channel == "steady":
			steady = n
			numbers.heard(n)
		case !open:
			t.Fatalf("%d came while its channel was closed", n)
		case other != 0 && n != other+2:
			t.Fatalf("after %d came %d", other, n)
		default:
			other = n
		}
	}
	answered := func(members string) {
		text, id := c.request(members)
		c.send(text)
		f := c.hear()
		for ; f.Op == "message"; f = c.hear() {
			note(f)
		}
		if string(f.ID) != id || f.Op != "ok" {
			t.Fatalf("%s is answered %+v", text, f)
		}
	}
	for range 200 {
		other = 0
		answered(subscribing("now-and-then"))
		for open = true; other == 0; {
			note(c.hear())
		}
		answered(unsubscribing("now-and-then"))
		open = false
	}
	for end := numbers.stop(); steady < end-2; {
		note(c.hear())
	}
	c.expectQuiet()
}

// The payload of a message is the notification as it is, when that is JSON, and a string of it when it is not.
func TestV1MessagePayloads(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_LISTEN_CHANNEL": "heard"})
	c, _ := s.speak(t, "/", token(`{"mode":"r"}`))
	c.expectOK(subscribing("heard", "a", `"quoted" <ä>`))
	for _, text := range []string{
		`{"channel":"a"}`, ` {"channel" : "a" , "n":1.50 } `, "{\"channel\":\"a\",\n\"b\":\t[1]}\r\n", `{"channel":"a","channel":"b","x":1e999}`,
		`{"channel":"\"quoted\" <ä>","text":"<b>&\u0041\u0000 日本 🎈 \u2028"}`, "{\"channel\":\"a\",\"text\":\"\u2028\ufeff\"}",
		`{"n":1}`, `{"channel":1}`, `[1,"a"]`, `"text"`, `""`, `42`, `-0.10`, `12345678901234567890.12345678901234567890`, `true`, `null`, ` null `, `{}`, `"\ud800"`,
	} {
		s.notify(t, text)
		c.expectNotification(channelOf(text), text)
	}
	for _, text := range []string{
		``, ` `, `hello`, `hello "world"`, `{`, `{"channel":"a"`, `{"channel":"a",}`, `{"channel":"a"}x`, `{"channel":"a"}{}`, `{'channel':'a'}`, `[1,]`, `01`, `+1`, `1.`, `.5`, `-`,
		`NaN`, `nul`, `True`, `truefalse`, `"a`, `"a"b"`, "\"tab\there\"", "\"line\nbreak\"", `"\x"`, `"\u12"`, "\ufeff{\"channel\":\"a\"}", "beyond 🎈 \u2028 ä", "control \x01\x7f",
		`C:\path\new`, `<b>&'`, strings.Repeat(`"`, 3000), `{"channel":"a","b":undefined}`, `// {}`,
	} {
		s.notify(t, text)
		f := c.parseNotification(c.receive())
		var got string
		check(t, jsonString(f.Payload, &got))
		if f.Channel != "heard" || got != text {
			t.Errorf("%.50q came for %q as %.50q", text, f.Channel, got)
		}
	}
	c.expectQuiet()
}

// channelOf tells where the notifications of TestV1MessagePayloads go.
func channelOf(text string) string {
	switch {
	case strings.Contains(text, `\"quoted\"`):
		return `"quoted" <ä>`
	case strings.Contains(text, `"a"`) && strings.Contains(text, "{"):
		return "a"
	}
	return "heard"
}

// jsonString reads JSON that must be a string.
func jsonString(document json.RawMessage, text *string) error {
	if len(document) == 0 || document[0] != '"' {
		return fmt.Errorf("%.50s is no string", document)
	}
	return json.Unmarshal(document, text)
}
