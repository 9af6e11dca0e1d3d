package hub

import (
	"strconv"
	"strings"
	"sync"
	"testing"
)

// sink is a transport that takes all, and tells when it has taken enough.
type sink struct {
	want int
	done *sync.WaitGroup
}

func (s *sink) TryWrite(frames [][]byte) (int, error) {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	if s.want -= size; s.want == 0 {
		s.done.Done()
	}
	return size, nil
}
func (s *sink) Write(frames [][]byte) error { _, err := s.TryWrite(frames); return err }
func (s *sink) Abort(error)                 {}

// BenchmarkFanout delivers bursts of 50 publications to 1,000 sessions of one
// channel; the cost of sockets is not in it. One operation is one delivery.
func BenchmarkFanout(b *testing.B) {
	const sessions, burst = 1000, 50
	h := start(b, Options{})
	payload := strings.Repeat("x", 200)
	rounds := b.N/(sessions*burst) + 1
	var done sync.WaitGroup
	for range sessions {
		done.Add(1)
		size := len(appendTextFrame(nil, payload))
		begin(h, &sink{want: size * burst * rounds, done: &done}).Subscribe(to("c"))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range rounds {
		for range burst {
			h.Append("c", payload, nil)
		}
		h.Flush()
	}
	done.Wait()
}

// BenchmarkMerge is the fan-out to sessions with 8 channels each.
func BenchmarkMerge(b *testing.B) {
	const sessions, channels = 100, 8
	h := start(b, Options{})
	names := strings.Split("a b c d e f g h", " ")
	payload := strings.Repeat("x", 200)
	rounds := b.N/(sessions*channels) + 1
	var done sync.WaitGroup
	for range sessions {
		done.Add(1)
		size := len(appendTextFrame(nil, payload))
		begin(h, &sink{want: size * channels * rounds, done: &done}).Subscribe(to(names...))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range rounds {
		for _, name := range names {
			h.Append(name, payload, nil)
		}
		h.Flush()
	}
	done.Wait()
}

func BenchmarkAppendJSON(b *testing.B) {
	for name, text := range map[string]string{
		"short": strings.Repeat("hello ", 30), "long": strings.Repeat("hello ", 1200), "quotes": strings.Repeat(`{"a":1}`, 30),
	} {
		b.Run(name, func(b *testing.B) {
			m := Message{Event: "WebsocketMessage", Text: []byte(text), Claims: `{"mode":"rw","sub":"ann"}`}
			var buffer []byte
			b.ReportAllocs()
			for b.Loop() {
				buffer = m.AppendJSON(buffer[:0], "chat", false)
			}
			b.SetBytes(int64(len(buffer)))
		})
	}
}

// BenchmarkChannels publishes to 10,000 channels of one session in turn, 50 in
// a burst. One operation is one publication.
func BenchmarkChannels(b *testing.B) { benchmarkChannels(b, 0) }

// BenchmarkChannelsHeld is the same with a history.
func BenchmarkChannelsHeld(b *testing.B) { benchmarkChannels(b, history4MiB) }

const history4MiB = 4 << 20

func benchmarkChannels(b *testing.B, history int) {
	const channels, burst = 10_000, 50
	h := start(b, Options{History: history})
	names := make([]string, channels)
	payload := strings.Repeat("x", 200)
	rounds := b.N/channels + 1
	var done sync.WaitGroup
	for i := range names {
		names[i] = strconv.Itoa(i)
		done.Add(1)
		begin(h, &sink{want: len(appendTextFrame(nil, payload)) * rounds, done: &done}).Subscribe(to(names[i]))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range rounds {
		for i, name := range names {
			h.Append(name, payload, nil)
			if i%burst == burst-1 {
				h.Flush()
			}
		}
	}
	done.Wait()
}

// BenchmarkAppend publishes to 1,000 channels without sessions, 50 in a burst. One
// operation is one publication.
func BenchmarkAppend(b *testing.B) {
	for name, history := range map[string]int{"none": 0, "4MiB": history4MiB} {
		b.Run("history="+name, func(b *testing.B) {
			h := New(Options{History: history, Observer: new(counts)})
			fill(h, 4*history) // It is full.
			names := strings.Fields(strings.Repeat("alice bob carol ", 300))
			payload := strings.Repeat("x", 200)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.Append(names[i%len(names)], payload, nil)
				if i%50 == 49 {
					h.Flush()
				}
			}
		})
	}
}

// fill publishes so many bytes to 1,000 channels in turn.
func fill(h *Hub, bytes int) {
	payload := strings.Repeat("x", 200)
	for i := 0; i < bytes; i += len(payload) {
		h.Append("channel "+strconv.Itoa(i/len(payload)%1000), payload, nil)
	}
	h.Flush()
}

// BenchmarkResume has a session come back to 1, or to all, of 1,000 channels from
// the beginning of a full history. One operation is one session; what it is sent is
// gathered, but not written.
func BenchmarkResume(b *testing.B) {
	for _, channels := range []int{1, 1000} {
		b.Run("channels="+strconv.Itoa(channels), func(b *testing.B) {
			h := New(Options{History: history4MiB, Writers: 1, Observer: new(counts)})
			fill(h, 2*history4MiB)
			var names []string
			for i := range channels {
				names = append(names, "channel "+strconv.Itoa(i))
			}
			since := Position{h.epoch, h.history.start}
			var done sync.WaitGroup
			b.ReportAllocs()
			for b.Loop() {
				s := begin(h, &sink{done: &done, want: -1})
				s.Subscribe(Subscription{Channels: names, Since: since})
				h.writers[0].swap(round{}) // It is not there to write,
				s.write()                  // so we do.
				s.Detach()
			}
		})
	}
}
