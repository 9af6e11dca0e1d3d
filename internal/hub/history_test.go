package hub

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHistoryBounds publishes messages of all sizes: what is held takes no more than it
// may, but for a single block, is a good part of that, and all that has come since its start.
func TestHistoryBounds(t *testing.T) {
	t.Parallel()
	const largest = 8000
	for _, most := range []int{1, 1 << 10, 100 << 10, 1 << 20} {
		for name, size := range map[string]func(*rand.Rand) int{
			"small":  func(r *rand.Rand) int { return r.IntN(10) },
			"large":  func(r *rand.Rand) int { return r.IntN(largest) },
			"varied": func(r *rand.Rand) int { return r.IntN(1 << r.IntN(13)) },
		} {
			t.Run(strconv.Itoa(most)+" "+name, func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(1, 2))
				h := New(Options{History: most, Observer: new(counts)})
				held := &h.history
				published := []string{""} // by offset
				for held.start <= 1000 {
					channel, payload := strconv.Itoa(random.IntN(20)), strings.Repeat("x", size(random))
					if len(published) == 500 { // The history is full by now, or not.
						payload = strings.Repeat("x", most/2)
					}
					h.Append(channel, payload, nil)
					published = append(published, channel+payload)
					if h.held >= maxBatchBytes {
						t.Fatalf("%d bytes wait for the flush", h.held)
					}
					if random.IntN(3) == 0 {
						h.Flush()
					}
					if bytes, limit := memory(held), max(most, most/2+2*largest); bytes > limit {
						t.Fatalf("%d bytes are held, want at most %d", bytes, limit)
					}
				}
				h.Flush()
				got := contents(held.blocks)
				if diff := cmp.Diff(published[held.start+1:], got); diff != "" {
					t.Errorf("held since %d: %s", held.start, diff)
				}
				if used := len(strings.Join(got, "")) + len(got)*pastBytes; used < most/4-largest {
					t.Errorf("%d bytes are of use", used)
				}
			})
		}
	}
}

// memory returns the bytes that a history takes.
func memory(h *history) int {
	bytes := 0
	for i := range h.blocks {
		bytes += cap(h.blocks[i].text) + cap(h.blocks[i].past)*pastBytes
	}
	return bytes
}

// contents returns channel and payload of each publication.
func contents(blocks []block) []string {
	var all []string
	for _, b := range blocks {
		begin := uint32(0)
		for _, p := range b.past {
			all = append(all, string(b.text[begin:p.end]))
			begin = p.end
		}
	}
	return all
}

// TestHistoryIsRead reads what is about to be dropped.
func TestHistoryIsRead(t *testing.T) {
	t.Parallel()
	h := New(Options{History: 1 << 10, Observer: new(counts)})
	done := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			h.history.mu.RLock()
			start, end := h.history.start, h.visible.Load()
			blocks, _ := h.history.since(start, nil)
			h.history.mu.RUnlock()
			if diff := cmp.Diff(numbers(int(start)+1, int(end)+1), contents(blocks)); diff != "" {
				t.Error(diff)
			}
			h.history.reading.Add(-1)
		}
	})
	for _, text := range numbers(1, 20_000) {
		publish(h, "", text)
	}
	close(done)
	reading.Wait()
}
