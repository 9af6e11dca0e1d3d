package hub

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counts is an Observer that adds up.
type counts struct {
	mu                  sync.Mutex
	received, delivered int
}

func (c *counts) Received(n int)  { c.mu.Lock(); defer c.mu.Unlock(); c.received += n }
func (c *counts) Delivered(n int) { c.mu.Lock(); defer c.mu.Unlock(); c.delivered += n }
func (c *counts) totals() (received, delivered int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received, c.delivered
}

// start runs a hub until the test ends.
func start(t testing.TB, o Options) *Hub {
	t.Helper()
	if o.Observer == nil {
		o.Observer = new(counts)
	}
	h := New(o)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return h
}

// begin makes a session that writes.
func begin(h *Hub, t Transport) *Session {
	s := h.NewSession(t)
	s.Start()
	return s
}

// recorder is a transport that keeps what is written. Each TryWrite takes a
// part only, as accept says; Write waits for room.
type recorder struct {
	accept func(size int) int // nil: all
	room   chan struct{}      // nil or closed: Write does not wait

	mu       sync.Mutex
	changed  *sync.Cond
	written  []byte
	parsed   int      // bytes of written that are in payloads
	payloads []string // of the text frames
	aborted  []error
}

func newRecorder() *recorder {
	r := new(recorder)
	r.changed = sync.NewCond(&r.mu)
	return r
}

func (r *recorder) TryWrite(frames [][]byte) (int, error) {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	if r.accept != nil {
		size = r.accept(size)
	}
	r.take(frames, size)
	return size, nil
}

func (r *recorder) Write(frames [][]byte) error {
	if r.room != nil {
		<-r.room
	}
	r.take(frames, -1)
	return nil
}

func (r *recorder) take(frames [][]byte, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range frames {
		if size >= 0 {
			f = f[:min(len(f), size)]
			size -= len(f)
		}
		r.written = append(r.written, f...)
	}
	r.parse()
	r.changed.Broadcast()
}

func (r *recorder) Abort(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aborted = append(r.aborted, cause)
	r.changed.Broadcast()
}

// texts waits until n whole text frames are written and returns their payloads.
func (r *recorder) texts(t testing.TB, n int) []string {
	t.Helper()
	var texts []string
	r.await(t, func() bool {
		texts = r.payloads
		return len(texts) >= n
	})
	return texts
}

// await waits for a condition on the recorder, which is locked meanwhile.
func (r *recorder) await(t testing.TB, met func() bool) {
	t.Helper()
	timeout := time.AfterFunc(20*time.Second, func() {
		t.Error("timed out")
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changed.Broadcast()
	})
	defer timeout.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !met() && !t.Failed() {
		r.changed.Wait()
	}
}

// parse takes the whole frames off what is written.
func (r *recorder) parse() {
	for {
		b := r.written[r.parsed:]
		if len(b) < 2 {
			return
		}
		n, header := int(b[1]), 2
		switch {
		case n == 126 && len(b) >= 4:
			n, header = int(binary.BigEndian.Uint16(b[2:])), 4
		case n == 127 && len(b) >= 10:
			n, header = int(binary.BigEndian.Uint64(b[2:])), 10
		case n >= 126:
			return
		}
		if len(b) < header+n {
			return
		}
		if b[0] == finalText {
			r.payloads = append(r.payloads, string(b[header:header+n]))
		}
		r.parsed += header + n
	}
}

func numbers(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, strconv.Itoa(i))
	}
	return all
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	observer := new(counts)
	h := start(t, Options{Observer: observer})
	a, b := newRecorder(), newRecorder()
	sa, sb := begin(h, a), begin(h, b)
	h.Append("one", "before anybody is there")
	h.Flush()
	sa.Subscribe("one")
	sb.Subscribe("one", "two")
	for i := range 10 {
		h.Append([]string{"one", "two", "three"}[i%3], strconv.Itoa(i))
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
	for i := range h.buckets {
		if n := len(h.buckets[i].logs); n > 0 {
			t.Errorf("%d channels are kept without sessions", n)
		}
	}
	for received, delivered := observer.totals(); received != 11 || delivered != 11; received, delivered = observer.totals() {
		if t.Context().Err() != nil {
			t.Fatalf("counted %d received, %d delivered, want 11 of both", received, delivered)
		}
		runtime.Gosched()
	}
}

// TestOrder has sessions with several channels, some of them slow, follow a
// source under way: each must see all of its channels in the source's order.
func TestOrder(t *testing.T) {
	t.Parallel()
	const sessions, publications, channels = 40, 3000, 5
	h := start(t, Options{Writers: 3})
	want := make([][]string, sessions)
	recorders := make([]*recorder, sessions)
	open := make([][]bool, sessions)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range recorders {
		r := newRecorder()
		switch i % 3 {
		case 1: // takes parts of what is offered
			parts := rand.New(rand.NewPCG(3, uint64(i)))
			r.accept = func(size int) int { return parts.IntN(size + 1) }
		case 2: // takes nothing without waiting
			r.accept = func(int) int { return 0 }
		}
		recorders[i] = r
		open[i] = make([]bool, channels)
		s := begin(h, r)
		for c := range channels {
			if open[i][c] = random.IntN(2) == 0; open[i][c] {
				s.Subscribe("channel " + strconv.Itoa(c))
			}
		}
	}
	for p := range publications {
		c := random.IntN(channels)
		text := strconv.Itoa(p) + strings.Repeat(".", random.IntN(200))
		h.Append("channel "+strconv.Itoa(c), text)
		if random.IntN(7) == 0 {
			h.Flush()
		}
		for i := range open {
			if open[i][c] {
				want[i] = append(want[i], text)
			}
		}
	}
	h.Flush()
	for i, r := range recorders {
		if diff := cmp.Diff(want[i], r.texts(t, len(want[i]))); diff != "" {
			t.Fatalf("session %d: %s", i, diff)
		}
	}
}

// TestComeAndGo has sessions join and leave while publications flow: each sees
// a stretch without a hole.
func TestComeAndGo(t *testing.T) {
	t.Parallel()
	h := start(t, Options{Writers: 2})
	source, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	paced := make(chan struct{})
	running.Go(func() { // lets the source go on while sessions do
		defer close(paced)
		for source.Err() == nil {
			paced <- struct{}{}
			runtime.Gosched()
		}
	})
	running.Go(func() {
		for i := 0; source.Err() == nil; i++ {
			h.Append("c", strconv.Itoa(i))
			h.Append("d", strconv.Itoa(i))
			if i%3 == 0 {
				h.Flush()
				<-paced
			}
		}
		h.Flush()
	})
	var sessions sync.WaitGroup
	for range 8 {
		sessions.Go(func() {
			for range 50 {
				r := newRecorder()
				s := begin(h, r)
				s.Subscribe("c")
				texts := r.texts(t, 5)
				s.Detach()
				first, err := strconv.Atoi(texts[0])
				if err != nil {
					t.Error(err)
					return
				}
				if diff := cmp.Diff(numbers(first, first+len(texts)), texts); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	sessions.Wait()
	stop()
	running.Wait()
}

// TestStart publishes to a session before it may write.
func TestStart(t *testing.T) {
	t.Parallel()
	h := start(t, Options{})
	early, witness := newRecorder(), newRecorder()
	s := h.NewSession(early)
	s.Subscribe("c")
	begin(h, witness).Subscribe("c")
	h.Append("c", "one")
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
	h := start(t, Options{MaxLag: maxLag})
	healthy, slow := newRecorder(), newRecorder()
	slow.accept = func(int) int { return 0 }
	slow.room = make(chan struct{})
	defer close(slow.room)
	begin(h, healthy).Subscribe("c")
	s := begin(h, slow)
	s.Subscribe("c")
	payload := strings.Repeat("x", 7<<10)
	published := 0
	lagging := func() bool { return len(slow.aborted) > 0 }
	isLagging := func() bool { slow.mu.Lock(); defer slow.mu.Unlock(); return lagging() }
	for !isLagging() && !t.Failed() {
		h.Append("c", payload)
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
	if lag := s.lag(); lag != 0 {
		t.Errorf("an ended session still holds %d bytes", lag)
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	h := start(t, Options{})
	r := newRecorder()
	s := begin(h, r)
	s.Subscribe("c")
	h.Append("c", "one")
	h.Flush()
	r.texts(t, 1)
	s.Control([]byte{0x89, 0})
	<-s.End([]byte{0x88, 0})
	s.Control([]byte{0x8A, 0})
	h.Append("c", "two")
	h.Flush()
	<-s.End([]byte("another"))
	r.mu.Lock()
	defer r.mu.Unlock()
	if want := "\x81\x03one\x89\x00\x88\x00"; string(r.written) != want {
		t.Errorf("wrote %q, want %q", r.written, want)
	}
}

// TestEndWhileWriting ends a session whose socket is full: the last frame
// follows what was under way, and nothing else does.
func TestEndWhileWriting(t *testing.T) {
	t.Parallel()
	h := start(t, Options{})
	r := newRecorder()
	r.accept = func(int) int { return 2 }
	r.room = make(chan struct{})
	s := begin(h, r)
	s.Subscribe("c")
	h.Append("c", "one")
	h.Flush()
	r.await(t, func() bool { return len(r.written) == 2 })
	h.Append("c", "two")
	h.Flush()
	ended := s.End([]byte{0x88, 0})
	select {
	case <-ended:
		t.Error("ended before the frame could be written")
	default:
	}
	close(r.room)
	<-ended
	r.mu.Lock()
	defer r.mu.Unlock()
	if want := "\x81\x03one\x88\x00"; string(r.written) != want {
		t.Errorf("wrote %q, want %q", r.written, want)
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
	s.Subscribe("c")
	h.Append("c", "one")
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
	s.Subscribe("c", "d")
	for i := range 100 {
		h.Append("c", strconv.Itoa(i))
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
			begin(h, r).Subscribe("c")
			payload := strings.Repeat("ü", n/2) + strings.Repeat("x", n%2)
			h.Append("c", payload)
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
		begin(h, r).Subscribe("c")
		h.Append("c", "a\xffb")
		h.Flush()
		if diff := cmp.Diff([]string{"a\uFFFDb"}, r.texts(t, 1)); diff != "" {
			t.Error(diff)
		}
	})
}

// endless is a transport for which there is always more by the time it has
// written.
type endless struct {
	*recorder
	more func()
}

func (e endless) TryWrite(frames [][]byte) (int, error) {
	e.more()
	return e.recorder.TryWrite(frames)
}

func (e endless) Write(frames [][]byte) error {
	e.more()
	return e.recorder.Write(frames)
}

// TestTurns has one session that never catches up; another of the same writer
// gets its publications all the same.
func TestTurns(t *testing.T) {
	t.Parallel()
	h := start(t, Options{Writers: 1})
	asked, flushed := make(chan struct{}), make(chan struct{})
	stop, stopped := make(chan struct{}), make(chan struct{})
	busy := endless{newRecorder(), func() {
		select {
		case asked <- struct{}{}:
			<-flushed
		case <-stop:
		}
	}}
	begin(h, busy).Subscribe("busy")
	quiet := newRecorder()
	begin(h, quiet).Subscribe("quiet")
	go func() {
		defer close(stopped)
		h.Append("busy", "x")
		h.Append("quiet", "x")
		h.Flush()
		for {
			select {
			case <-asked:
				h.Append("busy", "x")
				h.Flush()
				flushed <- struct{}{}
			case <-stop:
				return
			}
		}
	}()
	quiet.texts(t, 1)
	close(stop)
	<-stopped
}
