package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/hub"
)

// notify runs a notifier until the test ends.
func notify(t *testing.T, uri string, change func(*NotifierOptions)) (*Notifier, *heard) {
	t.Helper()
	h := newHeard()
	o := NotifierOptions{
		Config: parse(t, uri), Connections: 10, Channel: listenChannel, QueueBytes: 16 << 20, Observer: h, Log: testLog(t),
	}
	if change != nil {
		change(&o)
	}
	n := NewNotifier(o)
	run(t, n.Run)
	return n, h
}

func message(text string) hub.Message {
	return hub.Message{Event: "WebsocketMessage", Channels: []string{"c"}, Text: []byte(text), Claims: `{"mode":"rw"}`}
}

func publish(t *testing.T, n *Notifier, m hub.Message) {
	t.Helper()
	if err := n.Publish(t.Context(), m); err != nil {
		t.Error(err)
	}
}

// received is what a client reads of a message.
type received struct {
	Channel, Payload string
	Claims           struct {
		At float64 `json:"message_delivered_at"`
	}
}

func decode(t *testing.T, p publication) received {
	t.Helper()
	var r received
	if err := json.Unmarshal([]byte(p.payload), &r); err != nil {
		t.Fatalf("%s: %v", p.payload, err)
	}
	return r
}

// TestNotifierSends has many senders send equal texts at once: all arrive,
// each sender's in order, each with a stamp of its own.
func TestNotifierSends(t *testing.T) {
	t.Parallel()
	const senders, each = 20, 500
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	n, counts := notify(t, uri, nil)
	start := time.Now()
	var sending sync.WaitGroup
	for s := range senders {
		sending.Go(func() {
			sender := new(hub.Session)
			for i := range each {
				m := message(fmt.Sprintf("%d %d", s, i))
				m.Sender = sender
				if i%2 == 0 {
					m.Text = []byte("equal")
				}
				publish(t, n, m)
			}
		})
	}
	sending.Wait()
	next := make(map[int]int)
	stamps := make(map[float64]bool)
	equal := 0
	for range senders * each {
		r := decode(t, h.next(t))
		if stamps[r.Claims.At] || r.Claims.At < float64(start.UnixMicro())/1e6-1 {
			t.Fatalf("stamp %f a second time, or before the start", r.Claims.At)
		}
		stamps[r.Claims.At] = true
		if r.Payload == "equal" {
			equal++
			continue
		}
		var s, i int
		if _, err := fmt.Sscan(r.Payload, &s, &i); err != nil {
			t.Fatal(err)
		}
		if i != next[s]+1 {
			t.Fatalf("sender %d: message %d after %d", s, i, next[s]-1)
		}
		next[s] = i + 1
	}
	if equal != senders*each/2 {
		t.Errorf("%d equal messages arrived, want %d", equal, senders*each/2)
	}
	counts.mu.Lock()
	defer counts.mu.Unlock()
	if len(counts.batches) >= senders*each/2 {
		t.Errorf("%d transactions for %d messages", len(counts.batches), senders*each)
	}
}

func TestNotifierSeveralChannels(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	n, _ := notify(t, uri, nil)
	m := message("x")
	m.Channels = []string{"a", "b"}
	publish(t, n, m)
	for _, channel := range m.Channels {
		if p := h.next(t); p.channel != channel {
			t.Errorf("got channel %q, want %q", p.channel, channel)
		}
	}
}

// TestNotifierMeasures sends the longest payload that PostgreSQL takes, and one more byte.
func TestNotifierMeasures(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	n, _ := notify(t, uri, nil)
	m := message("")
	room := maxPayloadBytes - len(m.AppendJSON(nil, "c", false))
	m.Text = bytes.Repeat([]byte("x"), room+1)
	if err := n.Publish(t.Context(), m); !errors.Is(err, hub.ErrTooLarge) {
		t.Errorf("one byte too many: %v", err)
	}
	m.Channels = []string{"c", "cc"}
	m.Text = m.Text[:room]
	if err := n.Publish(t.Context(), m); !errors.Is(err, hub.ErrTooLarge) {
		t.Errorf("too long for the second channel: %v", err)
	}
	m.Channels = []string{"c"}
	publish(t, n, m)
	if p := h.next(t); len(p.payload) != maxPayloadBytes {
		t.Errorf("got %d bytes", len(p.payload))
	}
}

// TestNotifierRefusesBadText hides texts that PostgreSQL does not take among
// good ones: those arrive, and only the others are refused.
func TestNotifierRefusesBadText(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	n := NewNotifier(NotifierOptions{
		Config: parse(t, uri), Connections: 1, Channel: listenChannel, QueueBytes: 1 << 20, Observer: h, Log: testLog(t),
	})
	var told [20]<-chan answer
	for i := range told {
		m, answers := asking(fmt.Sprint(i))
		if i%7 == 3 {
			m.Text = []byte("\xff")
		}
		told[i] = answers
		publish(t, n, m)
	}
	run(t, n.Run)
	for i, answers := range told {
		if i%7 != 3 {
			expectCommitted(t, answers)
			if r := decode(t, h.next(t)); r.Payload != fmt.Sprint(i) {
				t.Errorf("got %q, want %d", r.Payload, i)
			}
		} else if a := await(t, answers, "the refusal"); !errors.Is(a.err, hub.ErrRefused) || a.stamp != 0 {
			t.Errorf("the sender of %d is told %+v", i, a)
		}
	}
	m, answers := asking("\xff")
	publish(t, n, m)
	await(t, answers, "the refusal")
	publishPromptly(t, n, "PostgreSQL is not away")
	for _, answers := range told {
		expectNoMore(t, answers)
	}
}

// TestNotifierOtherEncodings sends what a database's encoding cannot hold.
func TestNotifierOtherEncodings(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"LATIN1", "EUC_JP", "SQL_ASCII"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			uri := encodedDatabase(t, encoding)
			h, _ := listen(t, uri, func(o *ListenerOptions) { o.Channel = "plain" })
			h.awaitUp(t, true)
			n, _ := notify(t, uri, func(o *NotifierOptions) { o.Channel = "plain" })
			const text = "ü and 😀"
			<-n.Ready()
			for range 2 {
				publish(t, n, message(text))
				if r := decode(t, h.next(t)); r.Payload != text {
					t.Errorf("got %q", r.Payload)
				}
			}
		})
	}
}

// TestNotifierFlushes stops right after messages were accepted.
func TestNotifierFlushes(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	n := NewNotifier(NotifierOptions{
		Config: parse(t, uri), Connections: 1, Channel: listenChannel, QueueBytes: 1 << 20, Observer: h, Log: testLog(t),
	})
	for i := range 100 {
		publish(t, n, message(fmt.Sprint(i)))
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := n.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if r := decode(t, h.next(t)); r.Payload != fmt.Sprint(i) {
			t.Errorf("got %q, want %d", r.Payload, i)
		}
	}
	if err := n.Publish(t.Context(), message("late")); !errors.Is(err, ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
}

// TestNotifierUsesItsConnections has each transaction take long: those of
// other senders overtake it, on as many connections as are allowed.
func TestNotifierUsesItsConnections(t *testing.T) {
	t.Parallel()
	const connections = 3
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	p, proxied := proxy(t, uri)
	delayAnswers(t, p, 100*time.Millisecond)
	n, _ := notify(t, proxied, func(o *NotifierOptions) { o.Connections = connections })
	<-n.Ready()
	sent := 0
	for deadline := time.Now().Add(20 * time.Second); n.pool.Stat().TotalConns() < connections || sent < 100; sent++ {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections after %d messages", n.pool.Stat().TotalConns(), sent)
		}
		m := message(fmt.Sprint(sent))
		m.Sender = new(hub.Session)
		publish(t, n, m)
		<-time.After(time.Millisecond)
	}
	seen := make(map[string]bool)
	for range sent {
		seen[decode(t, h.next(t)).Payload] = true
	}
	if len(seen) != sent {
		t.Errorf("%d messages arrived of %d", len(seen), sent)
	}
	if most := n.pool.Stat().MaxConns(); most != connections {
		t.Errorf("%d connections are allowed, want %d", most, connections)
	}
}
