package hub

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestInterval publishes at once after a pause, and together what comes before the interval has passed.
func TestInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Options{Interval: 20 * time.Millisecond})
		var writes atomic.Int32
		r := newRecorder()
		r.accept = func(size int) int { writes.Add(1); return size }
		s := begin(h, r)
		s.Subscribe(to("c"))
		publish := func(texts ...string) {
			for _, text := range texts {
				h.Append("c", text, nil)
				h.Flush()
			}
			synctest.Wait()
		}
		expect := func(when string, wantWrites int32, want ...string) {
			t.Helper()
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			if diff := cmp.Diff(want, r.payloads); diff != "" || writes.Load() != wantWrites {
				t.Errorf("%s: %d writes, want %d; payloads (-want +got):\n%s", when, writes.Load(), wantWrites, diff)
			}
		}
		publish("1")
		expect("after a pause", 1, "1")
		publish("2", "3")
		<-time.After(19 * time.Millisecond)
		expect("within the interval", 1, "1")
		<-time.After(time.Millisecond)
		expect("after it", 2, "1", "2", "3")
		<-time.After(time.Second)
		publish("4")
		expect("after another pause", 3, "1", "2", "3", "4")
		<-s.End([]byte("\x88\x00"))
	})
}

// TestEndInInterval ends a session while its writer rests: what has been flushed comes first.
func TestEndInInterval(t *testing.T) {
	t.Parallel()
	for name, channels := range map[string][]string{"one channel": {"c"}, "two": {"c", "d"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := start(t, Options{Interval: time.Second})
				r := newRecorder()
				s := begin(h, r)
				s.Subscribe(to(channels...))
				for _, text := range []string{"1", "2"} {
					h.Append(channels[len(channels)-1], text, nil)
					h.Flush()
					synctest.Wait()
				}
				h.Append("c", "not flushed", nil)
				<-s.End([]byte("\x88\x00"))
				h.Flush()
				if want := "\x81\x011\x81\x012\x88\x00"; string(r.written) != want {
					t.Errorf("wrote %q, want %q", r.written, want)
				}
			})
		})
	}
}

// TestIntervalDoesNotLag publishes more than MaxLag at once to a session that takes everything.
func TestIntervalDoesNotLag(t *testing.T) {
	t.Parallel()
	const pairs, maxLag = 4000, 1 << 20
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Options{Interval: time.Second, MaxLag: maxLag, Writers: 1})
		r := newRecorder()
		s := begin(h, r)
		s.Subscribe(to("c", "d"))
		payload := strings.Repeat("x", 1000)
		for range pairs {
			h.Append("c", payload, nil)
			h.Append("d", payload, nil)
			h.Flush()
			synctest.Wait()
		}
		<-time.After(2 * time.Second)
		<-s.End([]byte("\x88\x00"))
		if len(r.aborted) > 0 || len(r.payloads) != 2*pairs {
			t.Errorf("aborted with %v after %d of %d", r.aborted, len(r.payloads), 2*pairs)
		}
	})
}
