package contract_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/programtest"
)

// A client whose connection breaks again and again goes on from the last position it has seen. While others publish all
// the time it loses nothing and sees nothing twice, and the order across its channels stays.
func TestV1Resume(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	granted := token(`{"mode":"r","channels":["a","b","c","d"]}`)
	numbers := s.keepNotifying(t, "a", "elsewhere", "b", "c")
	next := 0 // The number that has to come.
	note := func(f v1Frame) (position string) {
		n, err := numberIn(f)
		if err != nil || n != next {
			t.Fatalf("got %+v, %v, want %d", f, err, next)
		}
		numbers.heard(n)
		if next++; next%4 == 1 {
			next++ // Nobody listens elsewhere.
		}
		return f.Position
	}
	c, ready := s.speak(t, "/", granted)
	f := c.expectOK(subscribing("a", "b", "c") + since(ready.Position))
	if f.Resumed == nil || !*f.Resumed {
		t.Fatalf("subscribe is answered %+v", f)
	}
	numbers.missed() // It may have gone as far as it may before the client came.
	first := c.hear()
	next, _ = numberIn(first)
	position := note(first)
	for round := range 30 {
		for range round * 7 {
			position = note(c.hear())
		}
		if round%2 == 0 { // An answer's position is as good, wherever among the messages it comes.
			text, _ := c.request([]string{authorizing(granted), subscribing("a", "d")}[round/2%2])
			c.send(text)
			f := c.hear()
			for ; f.Op == "message"; f = c.hear() {
				note(f)
			}
			if position = f.Position; f.Op != "ok" {
				t.Fatalf("got %+v", f)
			}
		}
		check(t, c.conn.Close())
		c, _ = s.speak(t, "/", granted)
		f := c.expectOK(subscribing("a", "b", "c") + since(position))
		if f.Resumed == nil || !*f.Resumed || f.Position == "" || !cmp.Equal(f.Channels, []string{"a", "b", "c"}) {
			t.Fatalf("subscribe is answered %+v", f)
		}
	}
	for end := numbers.stop(); next < end; {
		note(c.hear())
	}
	c.expectQuiet()
}

// The position of an answer serves as well as that of a message.
func TestV1ResumeFromAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, ready := s.speak(t, "/", token(`{"mode":"r"}`))
	subscribed := c.expectOK(subscribing("a"))
	renewed := c.expectOK(authorizing(token(`{"mode":"r"}`)))
	s.notify(t, numberFor("a", 1), numberFor("b", 2), numberFor("a", 3))
	c.expectNotification("a", numberFor("a", 1))
	last := c.expectNotification("a", numberFor("a", 3))
	late := c.expectOK(unsubscribing("a")).Position
	if late != "" {
		t.Errorf("unsubscribe is answered with the position %s", late)
	}
	for name, position := range map[string]string{"ready": ready.Position, "subscribe": subscribed.Position, "auth": renewed.Position} {
		again, _ := s.speak(t, "/", token(`{"mode":"r"}`))
		f := again.expectOK(subscribing("b", "a") + since(position))
		if f.Resumed == nil || !*f.Resumed {
			t.Errorf("%s: answered %+v", name, f)
		}
		again.expectNotification("a", numberFor("a", 1))
		again.expectNotification("b", numberFor("b", 2))
		if got := again.expectNotification("a", numberFor("a", 3)); got != last {
			t.Errorf("%s: the position of a message was %s, and is %s", name, last, got)
		}
		again.expectQuiet()
	}
	f := c.expectOK(subscribing("a") + since(last))
	if f.Resumed == nil || !*f.Resumed {
		t.Errorf("answered %+v", f)
	}
	c.expectQuiet()

	t.Log("A channel that is open stays as it is; where one is, nothing goes on from there.")
	f = c.expectOK(subscribing("a", "b") + since(ready.Position))
	if f.Resumed == nil || *f.Resumed {
		t.Errorf("answered %+v", f)
	}
	c.expectQuiet()
}

// Where a server cannot go on it says so, and the channels are open all the same.
func TestV1NotResumed(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_HISTORY_BYTES": "1KiB"})
	twin := start(t, env{"PGWS_DB_URI": s.uri})
	none := start(t, env{"PGWS_DB_URI": s.uri, "PGWS_HISTORY_BYTES": "0"})
	begin, watchers := map[*server]string{}, map[*server]*v1Client{}
	for _, server := range []*server{s, twin, none} {
		c, ready := server.speak(t, "/a", token(anybody))
		begin[server], watchers[server] = ready.Position, c
	}
	payload := `{"channel":"a","text":"` + strings.Repeat("x", 400) + `"}`
	const count = 20
	var positions []string
	for range count {
		s.notify(t, payload)
		watchers[s].expectNotification("a", payload)
		watchers[twin].expectNotification("a", payload)
		positions = append(positions, watchers[none].expectNotification("a", payload))
	}
	var clients []*v1Client
	for name, tc := range map[string]struct {
		server   *server
		position string
		resumed  int // how many messages come; -1: it cannot go on
	}{
		"the history is too small":   {s, begin[s], -1},
		"another server's":           {s, begin[twin], -1},
		"of the other, which has it": {twin, begin[twin], count},
		"there is no history":        {none, begin[none], -1},
		"no history, all but one":    {none, positions[count-2], -1},
		"no history, nothing missed": {none, positions[count-1], 0},
		"nonsense":                   {twin, "nonsense", -1},
		"a number":                   {twin, "0", -1},
		"from the future":            {twin, begin[twin] + "999", -1},
		"far in the future":          {twin, begin[twin] + strings.Repeat("9", 100), -1},
		"long":                       {twin, strings.Repeat("x", 100_000), -1},
		"quoted":                     {twin, `\"\u0000\n`, -1},
	} {
		c, _ := tc.server.speak(t, "/", token(anybody))
		f := c.expectOK(subscribing("a") + since(tc.position))
		if f.Resumed == nil || *f.Resumed != (tc.resumed >= 0) {
			t.Errorf("%s: answered %+v", name, f)
		}
		for range tc.resumed {
			c.expectNotification("a", payload)
		}
		c.expectQuiet()
		clients = append(clients, c)
	}
	s.notify(t, numberFor("a", 1))
	for _, c := range clients {
		c.expectNotification("a", numberFor("a", 1))
		c.expectQuiet()
	}
}

// When PostgreSQL ends the listener's session, each open channel is told of the gap, and what clients publish is not lost.
func TestV1Gap(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_CHECK_LISTENER_INTERVAL": "60000"}) // A loss is noticed at once.
	c, before := s.speak(t, "/a", token(anybody))
	c.expectOK(subscribing("b", "c"))
	c.expectOK(unsubscribing("c"))
	idle, _ := s.speak(t, "/", token(anybody))
	classic := s.dial(t, "/a/"+token(anybody))
	for range 3 {
		s.terminate(t)
		told := map[string]int{}
		for range 2 {
			f := c.hear()
			told[f.Op+" "+f.Channel]++
		}
		if diff := cmp.Diff(map[string]int{"gap a": 1, "gap b": 1}, told); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		s.notify(t, numberFor("a", 1), numberFor("b", 2))
		c.expectNotification("a", numberFor("a", 1))
		position := c.expectNotification("b", numberFor("b", 2))
		c.expectQuiet()
		idle.expectQuiet()
		classic.expect(numberFor("a", 1))
		classic.expectPong()

		again, _ := s.speak(t, "/", token(anybody))
		if f := again.expectOK(subscribing("a") + since(before.Position)); f.Resumed == nil || *f.Resumed {
			t.Errorf("from before the gap: answered %+v", f)
		}
		if f := again.expectOK(subscribing("b") + since(position)); f.Resumed == nil || !*f.Resumed {
			t.Errorf("from after the gap: answered %+v", f)
		}
		again.expectQuiet()
	}
	programtest.Eventually(t, "messages are taken again", func() bool {
		f := idle.ask(publishing("a", "after"))
		return f.Op == "ok" || f.Code != "unavailable"
	})
	c.expectSaid("after")
}

// What a channel has missed that is open already is not sent again: the answer must not say that nothing is missing.
func TestV1ResumeOpenChannels(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	granted := token(`{"mode":"r","channels":["a","b"]}`)
	first, ready := s.speak(t, "/", granted)
	first.expectOK(subscribing("a", "b"))
	s.notify(t, `{"channel":"a"}`)
	first.hear()
	c, _ := s.speak(t, "/a", granted)
	for channels, want := range map[string]bool{`a`: false, `b`: true} {
		f := c.expectOK(subscribing(channels) + since(ready.Position))
		if f.Resumed == nil || *f.Resumed != want {
			t.Errorf("%s is answered %+v", channels, f)
		}
	}
}
