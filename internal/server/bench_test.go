package server

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// BenchmarkFrames reads a client's messages. One operation is one message.
func BenchmarkFrames(b *testing.B) {
	const batch = 15
	stream := bytes.Repeat(masked(true, ws.OpText, strings.Repeat("x", 200)), batch)
	c := &conn{server: &Server{keeper: newKeeper()}}
	source := &chunks{size: func() int { return readBytes }}
	c.net = source
	c.frames.init(c, DefaultMaxMessageBytes, nil)
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

// BenchmarkSockets delivers bursts of 50 publications to 500 clients of one
// channel on real sockets. One operation is one delivery.
func BenchmarkSockets(b *testing.B) {
	const clients, burst = 500, 50
	r := newRig(b, func(o *Options) { o.Log = slog.New(slog.DiscardHandler) }).serve(b)
	payload := strings.Repeat("x", 200)
	rounds := b.N/(clients*burst) + 1
	want := int64(rounds * burst * (len(payload) + 4))
	token := r.token(b, map[string]any{"mode": "r"})
	var reading sync.WaitGroup
	for range clients {
		p := r.dial(b, "/c/"+token)
		reading.Go(func() {
			if _, err := io.CopyN(io.Discard, noSplice{p.Conn}, want); err != nil {
				b.Error(err)
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range rounds {
		for range burst {
			r.Hub.Append("c", payload)
		}
		r.Hub.Flush()
	}
	reading.Wait()
}

// noSplice hides what io.Copy would do by itself.
type noSplice struct{ net.Conn }

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
