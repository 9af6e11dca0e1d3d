package server

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"pgws/internal/hub"
)

// BenchmarkDialects delivers a notification of 1 kB and one of 4 kB to 200 clients of
// one channel on real sockets, in each of the forms that there are. One operation is
// one delivery; wire-B is what it sends.
func BenchmarkDialects(b *testing.B) {
	const v1, packed = "Sec-WebSocket-Protocol: pgws.v1\r\n", "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	for _, size := range []int{1 << 10, 4 << 10} {
		for _, form := range []struct{ name, headers string }{
			{"classic", askUpgrade},
			{"classic-packed", askUpgrade + packed},
			{"v1", askUpgrade + v1},
			{"v1-packed", askUpgrade + v1 + packed},
			{"events", "Accept: text/event-stream\r\n"},
		} {
			b.Run(fmt.Sprintf("%s/%d", form.name, size), func(b *testing.B) { deliverAs(b, form.headers, chat(size)) })
		}
	}
}

// chat is a notification as a chat sends it, of about a size.
func chat(size int) string {
	const words = "the quick brown fox jumps over a lazy dog while seven wizards box with jugs of pure liquid nitrogen "
	var text strings.Builder
	for i := 0; text.Len() < size-150; i++ {
		fmt.Fprintf(&text, "%s%d ", words[i*17%60:i*17%60+30], i*7919)
	}
	return fmt.Sprintf(`{"event":"WebsocketMessage","channel":"c","payload":%q,"claims":{"mode":"rw","sub":"ann","message_delivered_at":1795352315.019831}}`, text.String())
}

func deliverAs(b *testing.B, headers, payload string) {
	const clients = 200
	r := newRig(b, func(o *Options) { o.Log = slog.New(slog.DiscardHandler); o.CompressMinBytes = 1 })
	r.http = httptest.NewServer(r.Handler(http.NotFoundHandler()))
	b.Cleanup(r.http.Close)
	d := &r.dialects.classic
	switch {
	case strings.Contains(headers, "v1"):
		d = &r.dialects.v1
	case strings.Contains(headers, "event-stream"):
		d = &r.dialects.events
	}
	format := d.format
	if strings.Contains(headers, "deflate") {
		format = d.packed
	}
	epoch := "1"
	next := make([]chan int64, clients)
	var reading, round sync.WaitGroup
	for i := range clients {
		in, ready := r.request(b, "/c/"+r.token(b, map[string]any{"mode": "r"}), headers)
		if _, position, ok := strings.Cut(ready, `"position":"`); ok {
			epoch, _, _ = strings.Cut(position, "-")
		}
		next[i] = make(chan int64, 1)
		reading.Go(func() {
			for size := range next[i] {
				if _, err := io.CopyN(io.Discard, in, size); err != nil {
					b.Error(err)
				}
				round.Done()
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	size := int64(0)
	for offset := 1; offset <= b.N/clients+1; offset++ {
		at := hub.ParsePosition(fmt.Sprintf("%s-%d", epoch, offset))
		size = int64(len(format.Publication(nil, hub.Publication{Channel: "c", Position: at, Payload: payload})))
		round.Add(clients)
		for _, c := range next {
			c <- size
		}
		r.publish("c", payload)
		round.Wait()
	}
	b.StopTimer()
	b.ReportMetric(float64(size), "wire-B/op")
	for _, c := range next {
		close(c)
	}
	reading.Wait()
}

// request sends a request and reads what comes before the first publication: the head,
// and how the server greets.
func (r *rig) request(b *testing.B, path, headers string) (in *bufio.Reader, greeting string) {
	b.Helper()
	conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, upgradeRequest(path, headers)); err != nil {
		b.Fatal(err)
	}
	in = bufio.NewReader(conn)
	blocks := 1
	if strings.Contains(headers, "event-stream") {
		blocks = 3 // the head, the retry and the event ready
	}
	for blocks > 0 {
		line, err := in.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		greeting += line
		if strings.TrimSpace(line) == "" {
			blocks--
		}
	}
	if strings.Contains(headers, "v1") {
		frame, err := ws.ReadFrame(in)
		if err != nil {
			b.Fatal(err)
		}
		greeting += string(frame.Payload)
	}
	return in, greeting
}
