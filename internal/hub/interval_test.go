package hub

import (
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
		s.Subscribe("c")
		publish := func(texts ...string) {
			for _, text := range texts {
				h.Append("c", text)
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
