package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/hub"
)

// TestNotifierOutage stops the server under the notifier: all that was
// accepted arrives when it is back, senders wait when the queue is full.
func TestNotifierOutage(t *testing.T) {
	t.Parallel()
	for _, mode := range []devpg.Mode{devpg.Fast, devpg.Immediate} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			t.Parallel()
			cluster := pgtest.Private(t, devpg.Options{})
			uri := cluster.URI()
			n, _ := notify(t, uri, func(o *NotifierOptions) { o.QueueBytes = 64 << 10 })
			h, _ := listen(t, uri, func(o *ListenerOptions) { o.Notifier = n })
			h.awaitUp(t, true)
			sender := new(hub.Session)
			told := newReceipts()
			send := func(ctx context.Context, i int) error {
				m := message(fmt.Sprint(i))
				m.Sender, m.Done = sender, told.done(fmt.Sprint(i))
				return n.Publish(ctx, m)
			}
			accepted := 0
			for ; accepted < 100; accepted++ { // some of them on their way when the server goes
				if err := send(t.Context(), accepted); err != nil {
					t.Fatal(err)
				}
			}
			if err := cluster.Stop(t.Context(), mode); err != nil {
				t.Fatal(err)
			}
			h.awaitUp(t, false)
			for {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				err := send(ctx, accepted)
				cancel()
				if err != nil {
					break
				}
				accepted++
			}
			waiting := make(chan error)
			go func() { waiting <- send(t.Context(), accepted) }()
			eventually(t, "a sender waits, but the notifier does not say so", n.Full)
			if accepted < 300 {
				t.Errorf("only %d messages were accepted", accepted)
			}
			if err := cluster.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-waiting; err != nil {
				t.Fatal(err)
			}
			h.awaitUp(t, true)
			expectAll(t, h, accepted+1)
			told.expectOnce(t, accepted+1)
		})
	}
}

// expectAll hears the messages 0 to count-1 in order. What was heard before may
// come again, equal to the byte.
func expectAll(t *testing.T, h *heard, count int) {
	t.Helper()
	stamps := make(map[string]float64)
	for next := 0; next < count; {
		r := decode(t, h.next(t))
		if r.Payload == fmt.Sprint(next) {
			stamps[r.Payload] = r.Claims.At
			next++
		} else if at, ok := stamps[r.Payload]; !ok || at != r.Claims.At {
			t.Fatalf("got %q with stamp %f where %d was to come", r.Payload, r.Claims.At, next)
		}
	}
}

// TestUnheardIsSentAgain loses the listener's connection without a sign while
// the notifier's goes on: what is committed meanwhile reaches the sessions all
// the same.
func TestUnheardIsSentAgain(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	p, proxied := proxy(t, uri)
	n, counts := notify(t, uri, nil)
	h, _ := listen(t, proxied, func(o *ListenerOptions) { o.Notifier, o.CheckInterval = n, time.Second })
	h.awaitUp(t, true)
	witness, _ := listen(t, uri, nil)
	witness.awaitUp(t, true)
	sender := new(hub.Session)
	told, sends := newReceipts(), 0
	send := func(i int) {
		m := message(fmt.Sprint(i))
		m.Sender, m.Done = sender, told.done(fmt.Sprint("send ", sends))
		sends++
		publish(t, n, m)
	}
	send(0)
	h.next(t)
	witness.next(t)
	blackHole(t, p)
	sent, up := 0, true
	for ; up && sent < 50; sent++ {
		send(sent)
		select {
		case <-witness.flushed: // it is committed, and h cannot hear it
		case up = <-h.ups:
		}
	}
	if up {
		h.awaitUp(t, false)
	}
	p.Toxics.ResetToxics(t.Context())
	h.awaitUp(t, true)
	send(sent)
	expectAll(t, h, sent+1)
	told.expectOnce(t, sends)
	counts.mu.Lock()
	defer counts.mu.Unlock()
	if counts.failures > 0 {
		t.Errorf("%d transactions failed: the test does not show what it is to show", counts.failures)
	}
	if n.Full() || n.echo.count.Load() > 1 {
		t.Error("what was heard is still waited for")
	}
}

// TestNotifierLosesNothing ends its connections again and again while another
// session, which stays, hears what arrives.
func TestNotifierLosesNothing(t *testing.T) {
	t.Parallel()
	const count = 3000
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	n, _ := notify(t, uri, nil)
	db := connect(t, uri)
	sender := new(hub.Session)
	for i := range count {
		m := message(fmt.Sprint(i))
		m.Sender = sender
		publish(t, n, m)
		if i%500 == 250 {
			terminate(t, db, "pgws notifier")
		}
	}
	expectAll(t, h, count)
}

// TestStress has a hundred senders send bursts, of small messages and of the
// longest, while the connections to PostgreSQL are ended again and again: all
// arrive, each sender's in order, and every second sender does not hear its own,
// however often they come.
func TestStress(t *testing.T) {
	t.Parallel()
	const senders, bursts, burst = 100, 6, 10
	uri := pgtest.Database(t)
	n, _ := notify(t, uri, func(o *NotifierOptions) { o.QueueBytes = 1 << 20 })
	h, _ := listen(t, uri, func(o *ListenerOptions) { o.Notifier = n })
	h.awaitUp(t, true)
	db := connect(t, uri)
	told := newReceipts()
	var sessions [senders]*hub.Session
	var sending sync.WaitGroup
	t.Cleanup(sending.Wait)
	empty := message("")
	room := maxPayloadBytes - len(empty.AppendJSON(nil, "c", false))
	for s := range senders {
		sender := new(hub.Session)
		mute := s%2 == 0
		if mute {
			sessions[s] = sender
		}
		sending.Go(func() {
			for i := range bursts * burst {
				text := fmt.Sprint(s, i)
				if (s+i)%burst == 0 {
					text += strings.Repeat(" ", room-len(text))
				}
				m := message(text)
				m.Sender, m.Mute, m.Done = sender, mute, told.done(text)
				publish(t, n, m)
			}
		})
	}
	seen := make([]int, senders)
	for missing, heard := senders*bursts*burst, 0; missing > 0; heard++ {
		var s, i int
		p := h.next(t)
		if _, err := fmt.Sscan(decode(t, p).Payload, &s, &i); err != nil {
			t.Fatal(err)
		}
		if p.except != sessions[s] {
			t.Fatalf("message %d of sender %d is kept from %p, want %p", i, s, p.except, sessions[s])
		}
		switch {
		case i == seen[s]:
			seen[s]++
			missing--
		case i > seen[s]:
			t.Fatalf("sender %d: message %d where %d was to come", s, i, seen[s])
		}
		switch heard % 2000 {
		case 500:
			terminate(t, db, "pgws notifier")
		case 1500:
			terminate(t, db, "pgws listener")
		}
	}
	told.expectOnce(t, senders*bursts*burst)
}

// gaps is a sink in whose order gaps stand, too.
type gaps struct{ *heard }

func (g gaps) Gap() { g.Append("", "gap", nil) }

// TestGapComesFirst has a message of ours and one of others go unheard: of the
// one, the sessions are told that something is missing, before the other comes again.
func TestGapComesFirst(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	p, proxied := proxy(t, uri)
	n, _ := notify(t, uri, nil)
	h, _ := listen(t, proxied, func(o *ListenerOptions) {
		o.Notifier, o.CheckInterval, o.Sink = n, time.Second, gaps{o.Sink.(*heard)}
	})
	h.awaitUp(t, true)
	publish(t, n, message("0"))
	if r := decode(t, h.next(t)); r.Payload != "0" { // no gap at start
		t.Errorf("got %q", r.Payload)
	}
	blackHole(t, p)
	publish(t, n, message("1"))
	execute(t, connect(t, uri), "select pg_notify($1, 'missed')", listenChannel)
	h.awaitUp(t, false)
	p.Toxics.ResetToxics(t.Context())
	h.awaitUp(t, true)
	if p := h.next(t); p.payload != "gap" {
		t.Fatalf("got %q before the gap", p.payload)
	}
	if r := decode(t, h.next(t)); r.Payload != "1" {
		t.Errorf("got %q", r.Payload)
	}
}
