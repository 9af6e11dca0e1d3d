package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// BenchmarkFrames reads a client's messages. One operation is one message.
func BenchmarkFrames(b *testing.B) {
	const batch = 15
	stream := bytes.Repeat(masked(true, ws.OpText, strings.Repeat("x", 200)), batch)
	c := bareConn(DefaultMaxMessageBytes)
	source := &chunks{size: func() int { return readBytes }}
	c.net = source
	c.frames.init(c, nil)
	b.SetBytes(int64(len(stream) / batch))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%batch == 0 {
			source.rest = stream
		}
		if _, _, err := c.frames.next(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSockets delivers to 500 clients of one channel on real sockets. One
// operation is one delivery.
func BenchmarkSockets(b *testing.B) {
	for _, burst := range []int{1, 50} {
		b.Run(fmt.Sprintf("burst=%d", burst), func(b *testing.B) { deliver(b, 500, burst) })
	}
}

// deliver publishes in bursts, and the next one when all clients have the last.
func deliver(b *testing.B, clients, burst int) {
	r := newRig(b, func(o *Options) { o.Log = slog.New(slog.DiscardHandler) }).serve(b)
	payload := strings.Repeat("x", 200)
	size := burst * (len(payload) + 4)
	token := r.token(b, map[string]any{"mode": "r"})
	next := make([]chan struct{}, clients)
	var reading, round sync.WaitGroup
	for i := range clients {
		p := r.dial(b, "/c/"+token)
		next[i] = make(chan struct{}, 1)
		buffer := make([]byte, size)
		reading.Go(func() {
			for range next[i] {
				if _, err := io.ReadFull(p.Conn, buffer); err != nil {
					b.Error(err)
				}
				round.Done()
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N/(clients*burst) + 1 {
		round.Add(clients)
		for _, c := range next {
			c <- struct{}{}
		}
		for range burst {
			r.Hub.Append("c", payload, nil)
		}
		r.Hub.Flush()
		round.Wait()
	}
	b.StopTimer()
	for _, c := range next {
		close(c)
	}
	reading.Wait()
}

// BenchmarkHandshake opens sessions: the request, the token's proof and the
// answer. One operation is one session.
func BenchmarkHandshake(b *testing.B) {
	r := newRig(b, func(o *Options) { o.Log = slog.New(slog.DiscardHandler) }).serve(b)
	token := r.token(b, map[string]any{"mode": "r", "exp": 4102444800})
	b.ReportAllocs()
	for b.Loop() {
		p := r.dial(b, "/c/"+token)
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
		<-r.events.closings
	}
}
