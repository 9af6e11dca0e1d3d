package postgres

import (
	"context"
	"fmt"
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

func (c *countdown) Append(string, string) {
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
