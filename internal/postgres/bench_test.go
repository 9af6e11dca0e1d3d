package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/hub"
)

// countdown is a sink that tells when it has been told enough.
type countdown struct {
	*heard
	left int
	done chan struct{}
}

func (c *countdown) Append(string, string, *hub.Session) {
	if c.left--; c.left == 0 {
		close(c.done)
	}
}
func (c *countdown) Flush() {}

// listenTo runs a listener that expects count notifications.
func listenTo(b *testing.B, uri string, count int, n *Notifier) *countdown {
	b.Helper()
	c := &countdown{heard: newHeard(), left: count, done: make(chan struct{})}
	l := NewListener(ListenerOptions{
		Config: parse(b, uri).ConnConfig, Channel: listenChannel, Retries: 1, Sink: c, Notifier: n,
		Observer: c, Log: slog.New(slog.DiscardHandler),
	})
	run(b, l.Run)
	c.awaitUp(b, true)
	return c
}

// BenchmarkNotify has 100 senders send into PostgreSQL, until all is heard
// back. One operation is one message.
func BenchmarkNotify(b *testing.B) {
	const senders = 100
	uri := pgtest.Database(b)
	n := NewNotifier(NotifierOptions{
		Config: parse(b, uri), Connections: 10, Channel: listenChannel, QueueBytes: 16 << 20,
		Observer: newHeard(), Log: slog.New(slog.DiscardHandler),
	})
	each := b.N/senders + 1
	c := listenTo(b, uri, senders*each, n)
	run(b, n.Run)
	<-n.Ready()
	b.ReportAllocs()
	b.ResetTimer()
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			m := message(strings.Repeat("x", 100))
			m.Sender = new(hub.Session)
			for range each {
				if err := n.Publish(context.Background(), m); err != nil {
					b.Error(err)
				}
			}
		})
	}
	sending.Wait()
	<-c.done
}

// BenchmarkListen hears notifications of one transaction. One operation is one
// notification.
func BenchmarkListen(b *testing.B) {
	uri := pgtest.Database(b)
	c := listenTo(b, uri, b.N, nil)
	db := connect(b, uri)
	b.ReportAllocs()
	b.ResetTimer()
	execute(b, db, fmt.Sprintf(`select count(*) from (select pg_notify($1, '{"channel":"c","payload":"' || i || repeat('x', 100) || '"}')
		from generate_series(1, %d) i offset 0) sent`, b.N), listenChannel)
	<-c.done
}

// A ring is read round and round.
type ring struct {
	block []byte
	at    int
}

func (r *ring) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

// BenchmarkHear is what the listener does with a notification, without the
// network and the hub.
func BenchmarkHear(b *testing.B) {
	m := message(strings.Repeat("x", 100))
	sent := backendMessages(b, notification(listenChannel, string(m.AppendJSON(nil, "c", false))))
	c := &countdown{left: b.N, done: make(chan struct{})}
	n := NewNotifier(NotifierOptions{})
	l := NewListener(ListenerOptions{Channel: listenChannel, Sink: c, Notifier: n})
	all := io.LimitReader(&ring{block: bytes.Repeat(sent, 1000)}, int64(b.N*len(sent)))
	s := newStream(all, listenChannel, l.hear, c.Flush)
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := s.Read(nil); !errors.Is(err, io.EOF) {
		b.Fatal(err)
	}
	<-c.done
}

// BenchmarkEcho looks for a notification among the echoes that are awaited: a
// batch's last one is found.
func BenchmarkEcho(b *testing.B) {
	const count = 100
	n := NewNotifier(NotifierOptions{QueueBytes: 1 << 20, Connections: 1})
	n.attach()
	n.setListening(true)
	payloads := make([]string, count)
	fill(b, n, count)
	batch, _ := n.next(false)
	for i := range count {
		payloads[i] = batch.payload(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%count == 0 {
			n.expect(batch)
		}
		n.hear(payloads[i%count])
	}
}

// BenchmarkMute mutes a batch and hears it. One operation is one message.
func BenchmarkMute(b *testing.B) {
	const count = 100
	n := NewNotifier(NotifierOptions{QueueBytes: 1 << 20, Connections: 1})
	n.attach()
	n.setListening(true)
	fill(b, n, count)
	batch, _ := n.next(false)
	payloads := make([]string, count)
	for i := range count {
		payloads[i] = batch.payload(i)
		batch.entries[i].mute, batch.muted = true, true
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%count == 0 {
			n.expect(batch)
		}
		n.hear(payloads[i%count])
		if i%count == count-1 {
			n.unmute(batch)
		}
	}
}

// BenchmarkPublish builds messages, queues them, and takes them as one
// transaction.
func BenchmarkPublish(b *testing.B) {
	const count = 100
	n := NewNotifier(NotifierOptions{QueueBytes: 1 << 20, Connections: 1})
	b.ReportAllocs()
	for left := b.N; left > 0; left -= count {
		fill(b, n, min(left, count))
		taken, _ := n.next(false)
		n.commit(taken, 0)
		n.finish(taken)
	}
}

func fill(b *testing.B, n *Notifier, count int) {
	b.Helper()
	m := message(strings.Repeat("x", 100))
	m.Sender = new(hub.Session)
	for range count {
		if err := n.Publish(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkQueue puts messages of a hundred senders into batches and takes them
// out while half of the senders have some under way.
func BenchmarkQueue(b *testing.B) {
	const senders = 100
	element := make([]byte, 200)
	var entries [senders]entry
	for i := range entries {
		entries[i].sender = new(hub.Session)
	}
	underWay := []*batch{{entries: entries[:senders/2]}}
	var q queue
	b.ReportAllocs()
	for left := b.N; left > 0; left -= senders {
		for _, e := range entries[:min(left, senders)] {
			q.add(element, e)
		}
		for q.take(underWay) != nil { // the others'
		}
		for q.take(nil) != nil {
		}
	}
}
