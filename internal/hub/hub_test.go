package hub

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDelivery(t *testing.T) {
	t.Parallel()
	observer := new(counts)
	h := start(t, Options{Observer: observer})
	a, b := newRecorder(), newRecorder()
	sa, sb := begin(h, a), begin(h, b)
	h.Append("one", "before anybody is there", nil)
	h.Flush()
	sa.Subscribe(to("one"))
	sb.Subscribe(to("one", "two"))
	for i := range 10 {
		h.Append([]string{"one", "two", "three"}[i%3], strconv.Itoa(i), nil)
	}
	h.Flush()
	if diff := cmp.Diff([]string{"0", "3", "6", "9"}, a.texts(t, 4)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"0", "1", "3", "4", "6", "7", "9"}, b.texts(t, 7)); diff != "" {
		t.Error(diff)
	}
	sa.Detach()
	sb.Detach()
	assertNoLogs(t, h)
	for received, delivered := observer.totals(); received != 11 || delivered != 11; received, delivered = observer.totals() {
		if t.Context().Err() != nil {
			t.Fatalf("counted %d received, %d delivered, want 11 of both", received, delivered)
		}
		runtime.Gosched()
	}
}

// TestStart publishes to a session before it may write.
func TestStart(t *testing.T) {
	t.Parallel()
	h := start(t, Options{})
	early, witness := newRecorder(), newRecorder()
	s := h.NewSession(early, texts)
	s.Subscribe(to("c"))
	begin(h, witness).Subscribe(to("c"))
	h.Append("c", "one", nil)
	h.Flush()
	witness.texts(t, 1)
	s.Control([]byte{0x89, 0})
	if early.await(t, func() bool { return true }); len(early.written) > 0 {
		t.Errorf("wrote %q before Start", early.written)
	}
	s.Start()
	early.texts(t, 1)
	early.mu.Lock()
	defer early.mu.Unlock()
	if want := "\x89\x00\x81\x03one"; string(early.written) != want {
		t.Errorf("wrote %q, want %q", early.written, want)
	}
}

func TestLaggingSessionIsGivenUp(t *testing.T) {
	t.Parallel()
	const maxLag = 1 << 20
	h := start(t, Options{MaxLag: maxLag, Writers: 1}) // so that the slow one is looked at before the healthy one is written to
	healthy, slow := newRecorder(), newRecorder()
	slow.accept = func(int) int { return 0 }
	slow.room = make(chan struct{})
	defer close(slow.room)
	s := begin(h, slow)
	s.Subscribe(to("c"))
	begin(h, healthy).Subscribe(to("c"))
	payload := strings.Repeat("x", 7<<10)
	published := 0
	lagging := func() bool { return len(slow.aborted) > 0 }
	isLagging := func() bool { slow.mu.Lock(); defer slow.mu.Unlock(); return lagging() }
	for !isLagging() && !t.Failed() {
		h.Append("c", payload, nil)
		h.Flush()
		published++
		healthy.await(t, func() bool { return len(healthy.written) >= published*len(payload) })
	}
	slow.await(t, lagging)
	if err := slow.aborted[0]; !errors.Is(err, ErrLagging) {
		t.Errorf("aborted with %v, want ErrLagging", err)
	}
	if most := maxLag + 2*maxVectorBytes + len(payload); published*len(payload) > most {
		t.Errorf("given up after %d bytes, want at most %d", published*len(payload), most)
	}
	s.End([]byte("last"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cursors) != 0 {
		t.Errorf("an ended session that lags still holds %d channels", len(s.cursors))
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	h := start(t, Options{})
	r := newRecorder()
	s := begin(h, r)
	s.Subscribe(to("c"))
	h.Append("c", "one", nil)
	h.Flush()
	r.texts(t, 1)
	s.Control([]byte{0x89, 0})
	<-s.End([]byte{0x88, 0})
	s.Control([]byte{0x8A, 0})
	h.Append("c", "two", nil)
	h.Flush()
	<-s.End([]byte("another"))
	r.mu.Lock()
	defer r.mu.Unlock()
	if want := "\x81\x03one\x89\x00\x88\x00"; string(r.written) != want {
		t.Errorf("wrote %q, want %q", r.written, want)
	}
}

// TestEndWhileWriting ends a session whose socket is full: the last frame
// follows what has been flushed, and nothing else does.
func TestEndWhileWriting(t *testing.T) {
	t.Parallel()
	for name, channels := range map[string][]string{"one channel": {"c"}, "two": {"c", "d"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const publications = 5 * maxVectorFrames
			h := start(t, Options{})
			r := newRecorder()
			r.accept = func(int) int { return 2 }
			r.room = make(chan struct{})
			s := begin(h, r)
			s.Subscribe(to(channels...))
			begin(h, newRecorder()).Subscribe(to(channels...)) // stays
			want := numbers(0, publications)
			for i, text := range want {
				publish(h, channels[i%len(channels)], text)
			}
			r.await(t, func() bool { return len(r.written) == 2 })
			ended := s.End(appendTextFrame(nil, "end"))
			publish(h, "c", "too late")
			select {
			case <-ended:
				t.Error("ended before the frame could be written")
			default:
			}
			close(r.room)
			<-ended
			r.expect(t, append(want, "end")...)
		})
	}
}

type broken struct {
	*recorder
	err error
}

func (b broken) TryWrite([][]byte) (int, error) { return 0, b.err }

func TestWriteFails(t *testing.T) {
	t.Parallel()
	h := start(t, Options{})
	b := broken{newRecorder(), errors.New("reset")}
	s := begin(h, b)
	s.Subscribe(to("c"))
	h.Append("c", "one", nil)
	h.Flush()
	b.await(t, func() bool { return len(b.aborted) > 0 })
	if diff := cmp.Diff(b.err.Error(), b.aborted[0].Error()); diff != "" {
		t.Error(diff)
	}
	<-s.End([]byte("never written")) // does not wait for ever
}

// TestCaughtUpKeepsNothing checks that a session that has seen all points to
// the empty run at the end and so keeps no publication in memory.
func TestCaughtUpKeepsNothing(t *testing.T) {
	t.Parallel()
	h := start(t, Options{})
	r := newRecorder()
	s := begin(h, r)
	s.Subscribe(to("c", "d"))
	for i := range 100 {
		h.Append("c", strconv.Itoa(i), nil)
	}
	h.Flush()
	r.texts(t, 100)
	r.await(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return !s.writing })
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.cursors {
		if c.at != c.log.tail || len(c.at.frames) != 0 {
			t.Errorf("channel %s: the cursor holds %d bytes", c.log.name, len(c.at.frames))
		}
	}
}

func TestPayloadsBecomeTextFrames(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 127, 7999, 65535, 65536, 70000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			h := start(t, Options{})
			r := newRecorder()
			begin(h, r).Subscribe(to("c"))
			payload := strings.Repeat("ü", n/2) + strings.Repeat("x", n%2)
			h.Append("c", payload, nil)
			h.Flush()
			if diff := cmp.Diff([]string{payload}, r.texts(t, 1)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("not UTF-8", func(t *testing.T) {
		t.Parallel()
		h := start(t, Options{})
		r := newRecorder()
		begin(h, r).Subscribe(to("c"))
		h.Append("c", "a\xffb", nil)
		h.Flush()
		if diff := cmp.Diff([]string{"a\uFFFDb"}, r.texts(t, 1)); diff != "" {
			t.Error(diff)
		}
	})
}
