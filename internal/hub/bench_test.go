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
func BenchmarkChannels(b *testing.B) {
	const channels, burst = 10_000, 50
	h := start(b, Options{})
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
