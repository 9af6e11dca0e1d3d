package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/hub"
)

// muting takes a batch of a sender that mutes every second message, from the
// first one.
func muting(t *testing.T, n *Notifier, sender *hub.Session, count int) *batch {
	t.Helper()
	for i := range count {
		m := message(fmt.Sprint(i))
		m.Sender, m.Mute = sender, i%2 == 0
		publish(t, n, m)
	}
	return take(t, n)
}

// TestMutes hears a batch of four messages, the first and the third of which are
// muted.
func TestMutes(t *testing.T) {
	t.Parallel()
	sender := new(hub.Session)
	hear := func(t *testing.T, n *Notifier, b *batch, from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			want := sender
			if i%2 == 1 {
				want = nil
			}
			if got := n.hear(b.payload(i)); got != want {
				t.Errorf("message %d is kept from %p, want %p", i, got, want)
			}
		}
	}
	again := func(t *testing.T, n *Notifier, b *batch) int { // as the listener is replaced
		t.Helper()
		n.setListening(false)
		n.setListening(true)
		n.finish(b)
		if take(t, n) != b {
			t.Fatal("the batch is not sent again")
		}
		return n.expect(b)
	}
	tests := map[string]func(t *testing.T, n *Notifier, b *batch, turn int){
		"heard after the answer":  func(t *testing.T, n *Notifier, b *batch, turn int) { n.commit(b, turn); hear(t, n, b, 0, 4) },
		"heard before the answer": func(t *testing.T, n *Notifier, b *batch, turn int) { hear(t, n, b, 0, 4); n.commit(b, turn) },
		"heard in part, sent again": func(t *testing.T, n *Notifier, b *batch, turn int) {
			n.commit(b, turn)
			hear(t, n, b, 0, 3)
			n.commit(b, again(t, n, b))
			hear(t, n, b, 0, 4)
		},
		"heard while the listener comes back": func(t *testing.T, n *Notifier, b *batch, turn int) {
			n.setListening(false)
			n.stillTurn(b, turn)
			hear(t, n, b, 0, 4)
			n.commit(b, again(t, n, b))
			hear(t, n, b, 0, 4)
		},
		"sent twice, heard twice": func(t *testing.T, n *Notifier, b *batch, turn int) {
			b.unsure = true // as send does after a failure
			send := func(text string) *batch {
				publish(t, n, message(text))
				other, _ := n.next(true)
				n.commit(other, n.expect(other))
				return other
			}
			overtaking := send("sent before it is committed")
			n.commit(b, turn)
			hear(t, n, b, 0, 4)
			n.hear(overtaking.lastPayload())
			hear(t, n, b, 0, 4)
			n.finish(b)
			n.finish(overtaking)
			n.hear(send("sent after").lastPayload())
		},
		"heard, and the answer is lost": func(t *testing.T, n *Notifier, b *batch, turn int) {
			hear(t, n, b, 0, 4)
			n.stillTurn(b, turn)
		},
		"refused": func(_ *testing.T, n *Notifier, b *batch, _ int) {
			for i := range 4 {
				part := b.part(i, i+1)
				n.expect(part)
				n.isolate(context.Background(), part, errors.New("22P05"))
			}
			n.forget(b)
		},
		"the end":                func(_ *testing.T, n *Notifier, _ *batch, _ int) { n.refuseMore() },
		"committed, and the end": func(_ *testing.T, n *Notifier, b *batch, turn int) { n.commit(b, turn); n.refuseMore() },
		"the end, and committed": func(_ *testing.T, n *Notifier, b *batch, turn int) {
			n.refuseMore()
			b.unsure = true
			n.commit(b, turn)
		},
	}
	for name, happen := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, _ := following(t, 0)
			n.Connections = 2
			b := muting(t, n, sender, 4)
			happen(t, n, b, n.expect(b))
			expectForgotten(t, n)
		})
	}
}

// expectForgotten finds nothing left of what was muted.
func expectForgotten(t *testing.T, n *Notifier) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if muted := &n.echo.muted; len(muted.sessions)+len(muted.lingering) > 0 || n.echo.count.Load() != 0 {
		t.Errorf("%d payloads and %d batches are muted still, %d are awaited",
			len(muted.sessions), len(muted.lingering), n.echo.count.Load())
	}
}

// TestMuteWithoutListener keeps nothing, since nobody would tell that it was heard.
func TestMuteWithoutListener(t *testing.T) {
	t.Parallel()
	n := NewNotifier(NotifierOptions{QueueBytes: 1 << 20, Connections: 1})
	b := muting(t, n, new(hub.Session), 4)
	b.unsure = true
	n.commit(b, n.expect(b))
	expectForgotten(t, n)
}

// TestMute sends through PostgreSQL, for several channels, text and JSON.
func TestMute(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	n, _ := notify(t, uri, nil)
	h, _ := listen(t, uri, func(o *ListenerOptions) { o.Notifier = n })
	h.awaitUp(t, true)
	a, b := new(hub.Session), new(hub.Session)
	tests := []struct {
		sender *hub.Session
		mute   bool
		want   *hub.Session
	}{{a, true, a}, {a, false, nil}, {b, true, b}, {nil, true, nil}, {nil, false, nil}, {a, true, a}}
	for range 20 {
		for i, test := range tests {
			m := message(fmt.Sprint(i))
			m.Channels, m.Sender, m.Mute, m.JSON = []string{"c", "d"}, test.sender, test.mute, i%2 == 0
			publish(t, n, m)
		}
	}
	for range 20 {
		for i, test := range tests {
			for _, channel := range []string{"c", "d"} {
				if p := h.next(t); p.channel != channel || p.except != test.want {
					t.Errorf("message %d: %s is kept from %p, want %p", i, p.payload, p.except, test.want)
				}
			}
		}
	}
	eventually(t, "what was heard is muted still", func() bool { return n.echo.count.Load() == 0 })
	expectForgotten(t, n)
}

// TestMuteHeardTwice loses PostgreSQL's answer, and has the message sent again
// while the first one is still on its way to the listener.
func TestMuteHeardTwice(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	p, proxied := proxy(t, uri)
	n, _ := notify(t, proxied, func(o *NotifierOptions) { o.Connections = 1 })
	late, proxiedListener := proxy(t, uri)
	h, _ := listen(t, proxiedListener, func(o *ListenerOptions) { o.Notifier = n })
	h.awaitUp(t, true)
	witness, _ := listen(t, uri, nil)
	witness.awaitUp(t, true)
	await(t, n.Ready(), "the notifier")
	delayAnswers(t, late, time.Hour)
	m, answers := asking("twice")
	m.Sender, m.Mute = new(hub.Session), true
	loseAnswers(t, p)
	publish(t, n, m)
	witness.next(t)
	restart(t, p)
	expectCommitted(t, answers)
	witness.next(t)
	late.Toxics.ResetToxics(t.Context())
	for range 2 {
		if p := h.next(t); p.except != m.Sender {
			t.Errorf("%s is kept from %p, want %p", p.payload, p.except, m.Sender)
		}
	}
	publish(t, n, message("later"))
	h.next(t)
	eventually(t, "what was heard is muted still", func() bool { return n.echo.count.Load() == 0 })
	expectForgotten(t, n)
	expectNoMore(t, answers)
}
