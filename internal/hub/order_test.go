package hub

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func numbers(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, strconv.Itoa(i))
	}
	return all
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
				s.Subscribe(to("channel " + strconv.Itoa(c)))
			}
		}
	}
	for p := range publications {
		c := random.IntN(channels)
		text := strconv.Itoa(p) + strings.Repeat(".", random.IntN(200))
		h.Append("channel "+strconv.Itoa(c), text, nil)
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
			h.Append("c", strconv.Itoa(i), nil)
			h.Append("d", strconv.Itoa(i), nil)
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
				s.Subscribe(to("c"))
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

// TestAllInOrder has sessions open all channels, in a format of their own, while the
// source flushes: each is sent every publication from its position on.
func TestAllInOrder(t *testing.T) {
	t.Parallel()
	const channels, sessions, publications = 40, 150, 100
	for _, history := range []int{0, 1 << 20} {
		t.Run("history="+strconv.Itoa(history), func(t *testing.T) {
			t.Parallel()
			h := start(t, Options{History: history})
			names := numbers(0, channels)
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() {
				for i := 1; ctx.Err() == nil; i++ {
					h.Append(names[i%channels], strconv.Itoa(i), nil)
					if i%5 == 0 {
						h.Flush()
						runtime.Gosched()
					}
				}
				h.Flush()
			})
			resumed := 0
			for range sessions {
				first := 0
				r := newRecorder()
				s := h.NewSession(r, &Format{Publication: texts.Publication})
				s.Start()
				s.Subscribe(Subscription{Channels: names, Since: at(h, 0), Answer: func(at Position, ok bool) []byte {
					if first = int(at.offset) + 1; ok {
						resumed++
					}
					return nil
				}})
				got := r.texts(t, publications)
				if diff := cmp.Diff(numbers(first, first+len(got)), got); diff != "" {
					t.Error(diff)
				}
				s.Detach()
			}
			stop()
			running.Wait()
			if history > 0 && resumed < sessions {
				t.Errorf("resumed %d times", resumed)
			}
		})
	}
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
	begin(h, busy).Subscribe(to("busy"))
	quiet := newRecorder()
	begin(h, quiet).Subscribe(to("quiet"))
	go func() {
		defer close(stopped)
		h.Append("busy", "x", nil)
		h.Append("quiet", "x", nil)
		h.Flush()
		for {
			select {
			case <-asked:
				h.Append("busy", "x", nil)
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
