package contract_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// resuming is a request of a browser that connects again.
func resuming(target, claims, id string) request {
	return bearing(target, claims).with("Last-Event-ID", id)
}

// resumed tells what the ready event says of that, and fails the test when it says nothing.
func (st *stream) resumed() bool {
	st.t.Helper()
	opened := st.opened()
	if opened.Resumed == nil {
		st.t.Fatalf("%s does not say whether it has resumed", st.ready.data)
	}
	return *opened.Resumed
}

// A stream that begins anew goes on after the last event that the client has seen: nothing is lost, nothing comes twice.
func TestEventsResume(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	both := `{"mode":"r","channels":["a","b"]}`
	first := s.events(t, bearing("/", both))
	if first.opened().Resumed != nil {
		t.Errorf("a stream that is new says %s", first.ready.data)
	}
	ids, all := []string{first.opened().Position}, []string{}
	more := func() {
		t.Helper()
		message := fmt.Sprintf(`{"channel":%q,"n":%d}`, []string{"a", "b", "b"}[len(all)%3], len(all))
		s.notify(t, `{"channel":"other"}`, message)
		first.expect(message)
		ids, all = append(ids, first.id), append(all, message)
	}
	for range 10 {
		more()
	}
	for seen := range all {
		again := s.events(t, resuming("/", both, ids[seen]))
		if !again.resumed() {
			t.Fatalf("from %s: %s", ids[seen], again.ready.data)
		}
		again.expect(all[seen:]...)
		more()
		again.expect(all[len(all)-1])
		again.hangUp()
		t.Log("Frames have the same positions.")
		framed := s.events(t, resuming("/?protocol=pgws.v1", both, ids[seen]))
		if !framed.resumed() {
			t.Fatalf("from %s: %s", ids[seen], framed.ready.data)
		}
		for i, message := range all[seen:] {
			if e := framed.next(); e.id != ids[seen+i+1] || !strings.Contains(e.data, message) {
				t.Fatalf("got %+v, want %s with the id %s", e, message, ids[seen+i+1])
			}
		}
		framed.hangUp()
	}
	t.Log("Each time it may ask for other channels.")
	onlyB := s.events(t, resuming("/b", both, ids[0]))
	onlyB.expect(slices.DeleteFunc(slices.Clone(all), func(m string) bool { return !strings.Contains(m, `"b"`) })...)
}

// A position is of use on every transport, whichever has given it: a client that falls back from one to another goes on.
func TestPositionsOfOtherTransports(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, ready := s.speak(t, "/chat", token(`{"mode":"rw"}`))
	plain, framed := s.events(t, bearing("/chat", `{"mode":"r"}`)), s.events(t, bearing("/chat?protocol=pgws.v1", `{"mode":"r"}`))
	positions, all := []string{ready.Position}, []string{}
	for n := range 5 {
		message := numberFor("chat", n)
		s.notify(t, message)
		position := c.expectNotification("chat", message)
		if plain.expect(message); plain.id != position || framed.next().id != position {
			t.Errorf("the positions are %s, %s and %s", position, plain.id, framed.id)
		}
		positions, all = append(positions, position), append(all, message)
	}
	for seen, position := range positions {
		st := s.events(t, resuming("/chat", `{"mode":"r"}`, position))
		if !st.resumed() {
			t.Errorf("from %s: %s", position, st.ready.data)
		}
		st.expect(all[seen:]...)
		again, _ := s.speak(t, "/", token(`{"mode":"r"}`))
		if f := again.expectOK(subscribing("chat") + since(position)); f.Resumed == nil || !*f.Resumed {
			t.Errorf("from %s: %+v", position, f)
		}
		for _, message := range all[seen:] {
			again.expectNotification("chat", message)
		}
	}
}

// A client that loses its connection again and again, while there is much to tell, misses nothing and gets nothing twice.
func TestEventsResumeUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	channels := []string{"a", "b", "c"}
	claims := `{"mode":"r","channels":` + list(channels) + `}`
	st := s.events(t, bearing("/", claims))
	numbers := s.keepNotifying(t, channels...)
	id, next := st.opened().Position, 0
	read := func(count int) {
		t.Helper()
		for range count {
			want := numberFor(channels[next%len(channels)], next)
			if got := st.next(); got.data != want || got.name != "" {
				t.Fatalf("got %+v, want %s", got, want)
			}
			id = st.id
			numbers.heard(next)
			next++
		}
	}
	const rounds, most = 100, 150
	for range rounds {
		read(rand.IntN(most))
		st.hangUp()
		if st = s.events(t, resuming("/", claims, id)); !st.resumed() {
			t.Fatalf("after %d, from %s: %s", next, id, st.ready.data)
		}
	}
	read(numbers.stop() - next)
}

// Where the server cannot go on, each channel has a gap; what comes then is told as ever.
func TestEventsGap(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	short := start(t, env{"PGWS_HISTORY_BYTES": "64KiB"})
	none := start(t, env{"PGWS_HISTORY_BYTES": "0"})
	claims := `{"mode":"r","channels":["chat","talk"]}`
	position := func(s *server) string {
		st := s.events(t, bearing("/", claims))
		defer st.hangUp()
		s.notify(t, `{"channel":"chat"}`)
		st.expect(`{"channel":"chat"}`)
		return st.id
	}
	ours, theirs, old, kept := position(s), position(short), position(short), position(none)
	const count = 50
	burst(t, connect(t, short.uri), 0, count) // of 7.5 kB each, more than the history holds
	none.notify(t, `{"channel":"talk"}`)
	for name, tc := range map[string]struct {
		server *server
		id     string
	}{
		"a text that is none":  {s, "yesterday"},
		"half of one":          {s, strings.Split(ours, "-")[0]},
		"one of the future":    {s, ours + "0000"},
		"another server's":     {s, theirs},
		"one long ago":         {short, old},
		"without history":      {none, kept},
		"a negative one":       {s, "-1"},
		"one written in zeros": {s, strings.Replace(ours, "-", "-0", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := tc.server.events(t, resuming("/", claims, tc.id))
			if st.resumed() {
				t.Errorf("from %q: %s", tc.id, st.ready.data)
			}
			st.expectGaps("gap", "chat", "talk")
			framed := tc.server.events(t, resuming("/?protocol=pgws.v1", claims, tc.id))
			if framed.resumed() {
				t.Errorf("from %q: %s", tc.id, framed.ready.data)
			}
			after := fmt.Sprintf(`{"channel":"chat","after":%q}`, name)
			tc.server.notify(t, after)
			for got := st.next(); got.data != after; got = st.next() {
				if got.name != "" || !strings.Contains(got.data, `"after"`) { // other subtests'
					t.Fatalf("got %+v", got)
				}
			}
		})
	}
}

// While the server has lost PostgreSQL it misses what others notify: each channel has a gap, also for who comes back later.
func TestEventsMissed(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_CHECK_LISTENER_INTERVAL": "60000"}) // A loss is noticed at once.
	claims := `{"mode":"r","channels":["chat","talk"]}`
	plain, framed := s.events(t, bearing("/", claims)), s.events(t, bearing("/?protocol=pgws.v1", claims))
	tell := func(payload string) {
		t.Helper()
		s.notify(t, payload)
		plain.expect(payload)
		if e := framed.next(); e.id != plain.id || !strings.Contains(e.data, payload) {
			t.Fatalf("got %+v", e)
		}
	}
	tell(`{"channel":"chat","n":0}`)
	before := plain.id
	missed := ""
	for n := range 3 {
		s.terminate(t)
		plain.expectGaps("gap", "chat", "talk")
		framed.expectGaps("", "chat", "talk")
		missed = plain.id
		tell(fmt.Sprintf(`{"channel":"talk","n":%d}`, n))
	}
	after := plain.id
	if told := s.events(t, resuming("/", claims, missed)); !told.resumed() {
		t.Errorf("from the gap itself, which was told already: %s", told.ready.data)
	}
	tell(`{"channel":"chat","n":3}`)

	late := s.events(t, resuming("/", claims, before))
	if late.resumed() {
		t.Errorf("from before the loss: %s", late.ready.data)
	}
	late.expectGaps("gap", "chat", "talk")
	late = s.events(t, resuming("/", claims, after))
	if !late.resumed() {
		t.Errorf("from after the loss: %s", late.ready.data)
	}
	late.expect(`{"channel":"chat","n":3}`)
}

// What is missed is told where it is missed, however much is notified meanwhile.
func TestEventsMissedUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_CHECK_LISTENER_INTERVAL": "60000"})
	st := s.events(t, bearing("/chat", `{"mode":"r"}`))
	numbers := s.keepNotifying(t, "chat")
	database := connect(t, s.uri)
	next, gap, gaps, missed := 0, false, 0, 0
	read := func() {
		t.Helper()
		got := st.next()
		if got.name == "gap" {
			gap, gaps = true, gaps+1
			numbers.missed()
			return
		}
		var n int
		if _, err := fmt.Sscanf(got.data, `{"channel":"chat","n":%d}`, &n); err != nil || n < next || n > next && !gap {
			t.Fatalf("got %+v, want the number %d (after a gap: %v)", got, next, gap)
		}
		numbers.heard(n)
		missed += n - next
		next, gap = n+1, false
	}
	for round := range 5 {
		for start := next; next < start+100; {
			read()
		}
		_, err := database.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and application_name = 'pgws listener'`)
		check(t, err)
		for gaps == round {
			read()
		}
	}
	last := numbers.stop() // The one before it may be missed, too.
	s.notify(t, numberFor("chat", last))
	for next <= last {
		read()
	}
	t.Logf("%d of %d are missed, in %d gaps", missed, next, gaps)
}
