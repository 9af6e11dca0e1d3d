package hub

import (
	"strconv"
	"strings"
	"testing"
)

// TestResume comes back to the channels a and b of three.
func TestResume(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	tests := map[string]struct {
		history int
		epoch   uint64 // 0: the hub's
		since   uint64
		at      uint64 // what the answer says, and
		resumed bool
		want    []string // what follows it
	}{
		"from the beginning": {history: most, since: 0, at: 0, resumed: true, want: []string{"1", "2", "4", "5"}},
		"after the second":   {history: most, since: 2, at: 3, resumed: true, want: []string{"4", "5"}},
		"others' are missed": {history: most, since: 5, at: 6, resumed: true},
		"nothing is missed":  {history: most, since: 6, at: 6, resumed: true},
		"from the future":    {history: most, since: 7, at: 6},
		"another hub's":      {history: most, epoch: 1 << 60, since: 6, at: 6},
		"no history":         {since: 5, at: 6},
		"none is needed":     {since: 6, at: 6, resumed: true},
		"a short history":    {history: 1, since: 4, at: 6},
		"long enough":        {history: 1, since: 5, at: 6, resumed: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Options{History: test.history})
			for i := range 6 {
				publish(h, string("abc"[i%3]), strconv.Itoa(i+1))
			}
			since := Position{test.epoch, test.since}
			if test.epoch == 0 {
				since.epoch = h.epoch
			}
			r := newRecorder()
			begin(h, r).Subscribe(Subscription{Channels: []string{"a", "b"}, Since: since, Answer: answer})
			want := append([]string{ok(Position{h.epoch, test.at}, test.resumed)}, test.want...)
			r.expect(t, want...)
			publish(h, "b", "7")
			r.expect(t, append(want, "7")...)
		})
	}
}

// TestResumeBetweenFlushes comes back to a channel without sessions, and with those of
// another format, while the source has appended something that it has not flushed.
func TestResumeBetweenFlushes(t *testing.T) {
	t.Parallel()
	for _, history := range []int{0, 1 << 20} {
		t.Run("history="+strconv.Itoa(history), func(t *testing.T) {
			t.Parallel()
			h := start(t, Options{History: history})
			begin(h, newRecorder()).Subscribe(to("c"))
			since := at(h, 0)
			var recorders []*recorder
			for i := range 10 {
				h.Append("c", strconv.Itoa(i), nil)
				r := newRecorder()
				recorders = append(recorders, r)
				s := h.NewSession(r, &Format{Publication: texts.Publication})
				s.Subscribe(Subscription{Channels: []string{"c"}, Since: since, Answer: answer})
				s.Start()
			}
			h.Flush()
			for _, r := range recorders {
				r.expect(t, append([]string{ok(since, true)}, numbers(0, 10)...)...)
			}
		})
	}
}

// TestResumeBesideOthers comes back to a channel while publications of another one
// wait: all go in the source's order, and who goes on from the answer misses none.
func TestResumeBesideOthers(t *testing.T) {
	t.Parallel()
	h := start(t, Options{History: 1 << 20})
	r := newRecorder()
	s := h.NewSession(r, texts)
	publish(h, "b", "b1")
	s.Subscribe(to("a"))
	for _, text := range []string{"2", "3", "4"} {
		publish(h, "a", "a"+text)
		publish(h, "b", "b"+text)
	}
	s.Subscribe(Subscription{Channels: []string{"b"}, Since: at(h, 5), Answer: answer})
	s.Subscribe(Subscription{Channels: []string{"c"}, Answer: answer})
	publish(h, "b", "b5")
	publish(h, "a", "a5")
	s.Start()
	first := Position{h.epoch, 1}
	r.expect(t, ok(first, true), ok(first, false), "a2", "b2", "a3", "b3", "a4", "b4", "b5", "a5")
}

// TestResumeBesideOpen asks for what has come of two channels, one of which is open: nobody
// knows what that has missed, and nothing is sent again.
func TestResumeBesideOpen(t *testing.T) {
	t.Parallel()
	h := start(t, Options{History: 1 << 20})
	since := at(h, 0)
	publish(h, "a", "a1")
	publish(h, "b", "b1")
	r := newRecorder()
	s := begin(h, r)
	s.Subscribe(to("a"))
	s.Subscribe(Subscription{Channels: []string{"a", "b"}, Since: since, Answer: answer})
	publish(h, "b", "b2")
	r.expect(t, ok(Position{h.epoch, 2}, false), "b2")
}

// TestResumeMuted comes back in the session that is not to be sent its own.
func TestResumeMuted(t *testing.T) {
	t.Parallel()
	h := start(t, Options{History: 1 << 20})
	r, other := newRecorder(), newRecorder()
	s := begin(h, r)
	s.Subscribe(to("c"))
	s.Unsubscribe([]string{"c"}, nil)
	h.Append("c", "mine", s)
	h.Append("c", "theirs", nil)
	h.Flush()
	for r, s := range map[*recorder]*Session{r: s, other: begin(h, other)} {
		s.Subscribe(Subscription{Channels: []string{"c"}, Since: at(h, 2)})
		publish(h, "d")
		r.texts(t, 1)
	}
	r.expect(t, "theirs")
	other.expect(t, "mine", "theirs")
}

// TestResumeOfMuch comes back to more than the socket takes: what a session may not
// lag behind it is not sent, and what is sent goes in small writes.
func TestResumeOfMuch(t *testing.T) {
	t.Parallel()
	const maxLag = 1 << 20
	payload := strings.Repeat("x", 1000)
	for name, test := range map[string]struct {
		publications int
		resumed      bool
	}{
		"a lot":    {publications: 900, resumed: true},
		"too much": {publications: 1100, resumed: false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Options{History: 4 * maxLag, MaxLag: maxLag})
			for range test.publications {
				publish(h, "c", payload)
			}
			r := newRecorder()
			largest := 0
			r.accept = func(size int) int { largest = max(largest, size); return size }
			s := h.NewSession(r, texts)
			s.Subscribe(Subscription{Channels: []string{"c"}, Since: at(h, uint64(test.publications)), Answer: answer})
			publish(h, "c", "live")
			want, lag := 2, len(appendTextFrame(nil, "live"))
			if test.resumed {
				want += test.publications
				lag += test.publications * len(appendTextFrame(nil, payload))
			}
			if got := s.lag(); got != uint64(lag) {
				t.Errorf("lags by %d bytes, want %d", got, lag)
			}
			s.Start()
			if got := r.texts(t, want); len(got) != want || !strings.HasSuffix(got[0], strconv.FormatBool(test.resumed)) || got[want-1] != "live" {
				t.Errorf("got %d texts, want %d; the first is %q", len(got), want, got[0])
			}
			r.await(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return !s.writing })
			if largest > 2*maxVectorBytes {
				t.Errorf("%d bytes went in one write", largest)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if lag := s.lag(); lag > 0 {
				t.Errorf("lags by %d bytes", lag)
			}
		})
	}
}

// TestUnusedFormats has sessions of several formats leave a channel in all orders.
func TestUnusedFormats(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		h := start(t, Options{})
		var sessions []*Session
		var recorders []*recorder
		for i := range order {
			recorders = append(recorders, newRecorder())
			sessions = append(sessions, h.NewSession(recorders[i], placed()))
			sessions[i].Start()
			sessions[i].Subscribe(to("c"))
		}
		open := map[int]bool{0: true, 1: true, 2: true}
		for n, leaving := range order {
			publish(h, "c", "x")
			for i := range open {
				recorders[i].texts(t, n+1)
			}
			sessions[leaving].Detach()
			delete(open, leaving)
		}
		assertNoLogs(t, h)
	}
}

func assertNoLogs(t *testing.T, h *Hub) {
	t.Helper()
	for i := range h.buckets {
		if n := len(h.buckets[i].logs); n > 0 {
			t.Errorf("%d channels are kept without sessions", n)
		}
	}
}
