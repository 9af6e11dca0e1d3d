package hub

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
)

// expect waits for as many text frames as wanted and compares all there are.
func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.texts(t, len(want))); diff != "" {
		t.Error(diff)
	}
}

// ok is what answer makes.
func ok(at Position, resumed bool) string { return string(answer(at, resumed)[2:]) }

// TestAnswerComesFirst has everything happen before the first write.
func TestAnswerComesFirst(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		end  bool
		want string // after the answer
	}{
		"open":  {want: "\x81\x03one\x81\x03two"},
		"ended": {end: true, want: "\x81\x03one\x88\x00"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Options{})
			r := newRecorder()
			s := h.NewSession(r, texts)
			publish(h, "c", "before")
			first := at(h, 0)
			s.Subscribe(Subscription{Channels: []string{"c"}, Answer: answer})
			publish(h, "c", "one")
			if test.end {
				s.End([]byte("\x88\x00"))
			}
			publish(h, "c", "two")
			s.Start()
			want := string(answer(first, false)) + test.want
			r.await(t, func() bool { return len(r.written) >= len(want) })
			if diff := cmp.Diff(want, string(r.written)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestOpenChannelsStay opens channels once more, beside others.
func TestOpenChannelsStay(t *testing.T) {
	t.Parallel()
	h := start(t, Options{})
	r := newRecorder()
	s := begin(h, r)
	s.Subscribe(to("a", "b"))
	s.Subscribe(to("b", "c", "a"))
	if diff := cmp.Diff([]string{"a", "b", "c"}, s.Channels()); diff != "" {
		t.Error(diff)
	}
	s.Unsubscribe([]string{"b", "d", "b"}, nil)
	if diff := cmp.Diff([]string{"a", "c"}, s.Channels()); diff != "" {
		t.Error(diff)
	}
	for _, channel := range []string{"a", "b", "c"} {
		publish(h, channel, channel)
	}
	r.expect(t, "a", "c")
}

// TestUnsubscribe closes a channel whose publications wait.
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	h := start(t, Options{History: 1 << 20})
	r := newRecorder()
	s := h.NewSession(r, texts)
	publish(h, "b", "b0")
	s.Subscribe(to("a"))
	s.Subscribe(Subscription{Channels: []string{"b"}, Since: at(h, 1)})
	publish(h, "a", "a1")
	publish(h, "b", "b1")
	s.Unsubscribe([]string{"b"}, appendTextFrame(nil, "closed"))
	publish(h, "b", "b2")
	publish(h, "a", "a2")
	s.Start()
	r.expect(t, "closed", "a1", "a2")
}

// TestReply leaves the writing to the writer.
func TestReply(t *testing.T) {
	t.Parallel()
	h := New(Options{Writers: 1, Observer: new(counts)})
	r := newRecorder()
	s := begin(h, r)
	s.Subscribe(to("c"))
	publish(h, "c", "publication")
	for _, text := range []string{"1", "2"} {
		s.Reply(appendTextFrame(nil, text))
	}
	if len(r.written) > 0 || len(h.writers[0].queue.sessions) != 1 {
		t.Errorf("written: %q; the writer is to look at %d sessions", r.written, len(h.writers[0].queue.sessions))
	}
	serve(t, h)
	r.expect(t, "1", "2", "publication")
	s.Reply(appendTextFrame(nil, "3"))
	r.expect(t, "1", "2", "publication", "3")
	<-s.End(nil)
	s.Reply(appendTextFrame(nil, "4"))
	r.expect(t, "1", "2", "publication", "3")
}

// TestEachReplyIsSent has clients ask as soon as they have been answered: nothing
// else wakes the writer.
func TestEachReplyIsSent(t *testing.T) {
	t.Parallel()
	h := start(t, Options{Writers: 1})
	var asking sync.WaitGroup
	for range 10 {
		asking.Go(func() {
			r := newRecorder()
			s := begin(h, r)
			for i := range 500 {
				s.Reply(appendTextFrame(nil, "answer"))
				r.texts(t, i+1)
			}
			s.Detach()
		})
	}
	asking.Wait()
}

// TestPongBesideAnswers has a client ping while a long answer waits.
func TestPongBesideAnswers(t *testing.T) {
	t.Parallel()
	h := start(t, Options{})
	r := newRecorder()
	s := h.NewSession(r, texts)
	s.Reply(appendTextFrame(nil, strings.Repeat("x", 2*maxPingBytes)))
	s.Control(appendTextFrame(nil, "pong"))
	for range maxPingBytes {
		s.Control(appendTextFrame(nil, "too many"))
	}
	if n := len(s.control); n > 3*maxPingBytes+10 {
		t.Errorf("%d bytes wait", n)
	}
	s.Start()
	if got := r.texts(t, 2); len(got) < 2 || got[1] != "pong" {
		t.Errorf("the answer and a pong came as %.20q", got)
	}
	again := strings.Repeat("y", maxPingBytes/2)
	s.Control(appendTextFrame(nil, again))
	r.await(t, func() bool { return r.payloads[len(r.payloads)-1] == again })
}

// TestAskingWithoutReading gives a client up that asks and does not read.
func TestAskingWithoutReading(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*Session){
		"reply":       func(s *Session) { s.Reply(make([]byte, 1000)) },
		"unsubscribe": func(s *Session) { s.Unsubscribe([]string{"c"}, make([]byte, 1000)) },
		"subscribe": func(s *Session) {
			s.Subscribe(Subscription{Channels: []string{"c"}, Answer: func(Position, bool) []byte { return make([]byte, 1000) }})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Options{})
			r := newRecorder()
			r.accept = func(int) int { return 0 }
			r.room = make(chan struct{})
			defer close(r.room)
			s := begin(h, r)
			given := func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.aborted) > 0 }
			for range 10 * maxAnswerBytes / 1000 {
				if ask(s); given() {
					break
				}
			}
			if !given() || !errors.Is(r.aborted[0], ErrLagging) {
				t.Fatalf("aborted with %v, want ErrLagging", r.aborted)
			}
			s.mu.Lock()
			waiting := len(s.control)
			s.mu.Unlock()
			most := maxAnswerBytes
			if name == "subscribe" { // whose answer is made when all else is done
				most += 1000
			}
			if waiting <= most-1000 || waiting > most {
				t.Errorf("%d bytes wait", waiting)
			}
			s.End(nil)
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.control) > 0 {
				t.Errorf("an ended session that lags is still to be sent %d bytes", len(s.control))
			}
		})
	}
}

// TestMute publishes what one session is not sent, in runs with and without others.
func TestMute(t *testing.T) {
	t.Parallel()
	for name, channels := range map[string][]string{"one channel": {"c"}, "two": {"d", "c"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Options{})
			var sessions [3]*Session
			var recorders [3]*recorder
			for i := range sessions {
				recorders[i] = newRecorder()
				sessions[i] = begin(h, recorders[i])
				sessions[i].Subscribe(to(channels...))
			}
			var want [3][]string
			excepted := []int{0, 1, -1, 0, 0, -1, 2, -1, -1, 0}
			for i, text := range numbers(0, 10*len(excepted)) {
				except := excepted[i%len(excepted)]
				if except < 0 {
					h.Append("c", text, nil)
				} else {
					h.Append("c", text, sessions[except])
				}
				if i%7 == 0 || i > 80 {
					h.Flush()
				}
				for s := range want {
					if s != except {
						want[s] = append(want[s], text)
					}
				}
			}
			h.Flush()
			for i, r := range recorders {
				r.expect(t, want[i]...)
			}
		})
	}
}

// TestGap tells the sessions whose format has a word for it, in order.
func TestGap(t *testing.T) {
	t.Parallel()
	h := start(t, Options{History: 1 << 20})
	format := placed()
	format.Publication = texts.Publication
	one, two, silent := newRecorder(), newRecorder(), newRecorder()
	for r, channels := range map[*recorder][]string{one: {"c"}, two: {"c", "d"}} {
		s := h.NewSession(r, format)
		s.Subscribe(to(channels...))
		s.Start()
	}
	begin(h, silent).Subscribe(to("c"))
	h.Append("c", "before", nil)
	before := at(h, 0)
	h.Gap()
	publish(h, "c", "after")
	one.expect(t, "before", "gap c", "after")
	silent.expect(t, "before", "after")
	got := two.texts(t, 4)
	if got[1] == "gap d" {
		got[1], got[2] = got[2], got[1]
	}
	two.expect(t, "before", "gap c", "gap d", "after")

	late := newRecorder()
	s := begin(h, late)
	s.Subscribe(Subscription{Channels: []string{"c"}, Since: before, Answer: answer})
	s.Unsubscribe([]string{"c"}, nil)
	s.Subscribe(Subscription{Channels: []string{"c"}, Since: at(h, 1), Answer: answer})
	late.expect(t, ok(at(h, 0), false), ok(at(h, 1), true), "after")
}

// TestGapHalfTold comes back from between the gaps of two channels.
func TestGapHalfTold(t *testing.T) {
	t.Parallel()
	for _, history := range []int{0, 1 << 20} {
		h := start(t, Options{History: history})
		r := newRecorder()
		format := placed()
		s := h.NewSession(r, format)
		s.Subscribe(to("a", "b"))
		s.Start()
		publish(h, "a", "before")
		h.Gap()
		r.texts(t, 3)
		first, second := at(h, 1), at(h, 0)
		told, other := "a", "b"
		if s.hub.history.dropped.has("a", first.offset) {
			told, other = other, told
		}
		for _, test := range []struct {
			channel string
			since   Position
			resumed bool
		}{{told, first, true}, {other, first, false}, {other, second, true}, {"c", first, true}, {"c", at(h, 3), false}} {
			r := newRecorder()
			s := begin(h, r)
			s.Subscribe(Subscription{Channels: []string{test.channel}, Since: test.since, Answer: answer})
			if got := r.texts(t, 1)[0]; !strings.HasSuffix(got, strconv.FormatBool(test.resumed)) {
				t.Errorf("history of %d, %s since %v of %v: %s", history, test.channel, test.since, second, got)
			}
		}
	}
}

// TestNothingKeepsASession has a session come and go that has left its mark everywhere.
func TestNothingKeepsASession(t *testing.T) {
	t.Parallel()
	h := start(t, Options{History: 1 << 20})
	slow := newRecorder()
	slow.accept = func(int) int { return 0 }
	slow.room = make(chan struct{})
	defer close(slow.room)
	begin(h, slow).Subscribe(to("c"))
	gone := func() weak.Pointer[Session] {
		r := newRecorder()
		s := begin(h, r)
		s.Subscribe(Subscription{Channels: []string{"c", "d"}, Answer: answer})
		publish(h, "c", "1")
		h.Append("c", "2", s)
		h.Append("d", "3", s)
		publish(h, "c", "4")
		s.Reply(appendTextFrame(nil, "5"))
		r.texts(t, 4)
		s.Detach()
		return weak.Make(s)
	}()
	for deadline := time.Now().Add(20 * time.Second); gone.Value() != nil; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("the session is kept alive")
		}
		publish(h, "c", "6") // The writers go on.
	}
}
