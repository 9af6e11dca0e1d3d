package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"pgws/internal/hub"
	"pgws/internal/protocol"
)

// BenchmarkFormats brings a notification of 1 kB into each form. One operation is one
// notification.
func BenchmarkFormats(b *testing.B) {
	d := newDialects(1)
	text := chat(1 << 10)
	for _, form := range []struct {
		name    string
		format  *hub.Format
		payload string
	}{
		{"classic", d.classic.format, text},
		{"classic-packed", d.classic.packed, text},
		{"v1", d.v1.format, text},
		{"v1-text", d.v1.format, "is no JSON: " + text},
		{"v1-packed", d.v1.packed, text},
		{"events", d.events.format, text},
		{"events-v1", d.eventsV1.format, text},
	} {
		b.Run(form.name, func(b *testing.B) {
			p := publicationOf(form.payload)
			b.SetBytes(int64(len(form.payload)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = form.format.Publication(dst[:0], p)
			}
		})
	}
}

// prompt is a publisher that knows at once.
type prompt struct{}

func (prompt) Publish(_ context.Context, m hub.Message) error {
	m.Done(1795352315019831, nil)
	return nil
}

// BenchmarkRequests carries out requests of a client of pgws.v1 that reads its answers.
// One operation is one request.
func BenchmarkRequests(b *testing.B) {
	for name, members := range map[string]string{
		"publish-text": `"op":"publish","channel":"a","payload":"the quick brown fox jumps over the lazy dog"`,
		"publish-JSON": `"op":"publish","channel":"a","payload":{"from":"ann","text":"the quick brown fox jumps over the lazy dog","n":12345}`,
		"ping":         `"op":"ping"`,
	} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, func(o *Options) { o.Publisher, o.Log = prompt{}, slog.New(slog.DiscardHandler) }).serveAll(b)
			p := r.speak(b, map[string]any{"mode": "w"})
			answers := make(chan struct{})
			go func() {
				defer close(answers)
				_, _ = io.Copy(io.Discard, p.in) // until it is closed
			}()
			c := r.keeper.all()[0]
			frame := []byte(fmt.Sprintf(`{"id":12345,%s}`, members))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.handle(frame); err != nil {
					b.Fatal(err)
				}
			}
			report(b, p.Close())
			<-answers
		})
	}
}

// BenchmarkHostile carries out requests that are nearly free to send, compressed, and as
// long as may be, or of the default PGWS_MAX_MESSAGE_BYTES. One operation is one request.
func BenchmarkHostile(b *testing.B) {
	for _, request := range []struct{ name, start, more, end string }{
		{"auth", `{"id":1,"op":"auth","token":"`, `x`, `"}`},
		{"subscribe", `{"id":1,"op":"subscribe","channels":["a"`, `,"a"`, `]}`},
		{"unsubscribe", `{"id":1,"op":"unsubscribe","channels":["a"`, `,"a"`, `]}`},
		{"publish", `{"id":1,"op":"publish","channel":"a","payload":[0`, `,1`, `]}`},
		{"ping", `{"id":1,"op":"ping"`, `,"":1`, `}`},
	} {
		for _, length := range []int{protocol.MaxFrameBytes, DefaultMaxMessageBytes} {
			b.Run(fmt.Sprint(request.name, "/", length), func(b *testing.B) {
				r := newRig(b, func(o *Options) { o.Publisher, o.Log = prompt{}, slog.New(slog.DiscardHandler) }).serveAll(b)
				p := r.speak(b, map[string]any{"mode": "rw"})
				answers := make(chan struct{})
				go func() {
					defer close(answers)
					_, _ = io.Copy(io.Discard, p.in) // until it is closed
				}()
				c := r.keeper.all()[0]
				filling := strings.Repeat(request.more, (length-len(request.start+request.end))/len(request.more))
				packed := []byte(pack(b, request.start+filling+request.end))
				f := frames{limit: c.limit(), op: ws.OpText, packed: true}
				b.ReportAllocs()
				for b.Loop() {
					_, frame, err := f.unpack(packed)
					if err == nil {
						err = c.handle(frame)
					}
					if (err != nil) != (length > protocol.MaxFrameBytes) {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(packed)), "wire-B/op")
				report(b, p.Close())
				<-answers
			})
		}
	}
}
