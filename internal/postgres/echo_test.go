package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/hub"
)

// following returns a notifier that does not run, with messages 0 to count-1
// of one sender queued and its listener up, and what senders are told.
func following(t *testing.T, count int) (*Notifier, *receipts) {
	t.Helper()
	told := newReceipts()
	n := NewNotifier(NotifierOptions{QueueBytes: 1 << 20, Connections: 1, Observer: newHeard(), Log: testLog(t)})
	n.attach()
	n.setListening(true)
	sender := new(hub.Session)
	for i := range count {
		m := message(fmt.Sprint(i))
		m.Sender, m.Done = sender, told.done(fmt.Sprint(i))
		publish(t, n, m)
	}
	return n, told
}

// queued returns the texts that wait, in order.
func queued(t *testing.T, n *Notifier) (texts []string) {
	t.Helper()
	for _, b := range n.queue.batches {
		for i := range b.entries {
			payload := string(b.element(i)[elementHeaderBytes:])
			payload = strings.Replace(payload, hub.Stamp, "1", 1) // not stamped yet: no number of JSON
			texts = append(texts, decode(t, publication{payload: payload}).Payload)
		}
	}
	return texts
}

func take(t *testing.T, n *Notifier) *batch {
	t.Helper()
	b, _ := n.next(false)
	if b == nil {
		t.Fatal("there is nothing to send")
	}
	return b
}

func TestEchoes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		happen func(n *Notifier, b *batch, turn int) (committed []entry)
		queued []string
		done   bool // nothing is accepted and open
	}{
		"heard after the answer": {func(n *Notifier, b *batch, turn int) []entry {
			defer n.hear(b.lastPayload())
			return n.commit(b, turn)
		}, nil, true},
		"heard before the answer": {func(n *Notifier, b *batch, turn int) []entry {
			n.hear(b.lastPayload())
			return n.commit(b, turn)
		}, nil, true},
		"not heard yet": {func(n *Notifier, b *batch, turn int) []entry { return n.commit(b, turn) }, nil, false},
		"never heard": {func(n *Notifier, b *batch, turn int) []entry {
			defer n.setListening(true)
			defer n.setListening(false)
			return n.commit(b, turn)
		}, []string{"0", "1"}, false},
		"answer after the listener is replaced": {func(n *Notifier, b *batch, turn int) []entry {
			n.setListening(false)
			n.setListening(true)
			return n.commit(b, turn)
		}, []string{"0", "1"}, false},
		"heard, and the answer is lost": {func(n *Notifier, b *batch, turn int) []entry {
			n.hear(b.lastPayload())
			committed, _ := n.stillTurn(b, turn)
			return committed
		}, nil, true},
		"fails while the listener is down": {func(n *Notifier, b *batch, turn int) []entry {
			n.setListening(false)
			committed, _ := n.stillTurn(b, turn)
			return committed
		}, []string{"0", "1"}, false},
		"fails after the listener was down": {func(n *Notifier, b *batch, turn int) []entry {
			n.setListening(false)
			n.setListening(true)
			committed, _ := n.stillTurn(b, turn)
			return committed
		}, []string{"0", "1"}, false},
		"refused in parts while the listener is down": {func(n *Notifier, b *batch, _ int) []entry {
			n.setListening(false)
			n.isolate(context.Background(), b, errors.New("22P05"))
			return nil
		}, []string{"0", "1"}, false},
		"committed at the end": {func(n *Notifier, b *batch, turn int) []entry {
			defer n.refuseMore()
			return n.commit(b, turn)
		}, nil, true},
		"the end, then committed": {func(n *Notifier, b *batch, turn int) []entry {
			n.refuseMore()
			return n.commit(b, turn)
		}, nil, true},
		"heard, and given up": {func(n *Notifier, b *batch, _ int) []entry { n.hear(b.lastPayload()); return n.giveUp(b) }, nil, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, told := following(t, 2)
			b := take(t, n)
			committed := test.happen(n, b, n.expect(b))
			n.finish(b)
			if diff := cmp.Diff(test.queued, queued(t, n)); diff != "" {
				t.Error(diff)
			}
			if done := n.size == 0; done != test.done || n.size < 0 {
				t.Errorf("%d bytes are open", n.size)
			}
			if len(n.underWay) > 0 {
				t.Error("the sender is busy still")
			}
			tell(committed, nil)
			n.setListening(true)
			for b, _ := n.next(false); b != nil; b, _ = n.next(false) { // what is sent again
				tell(n.commit(b, n.expect(b)), nil)
				n.finish(b)
			}
			told.expectOnce(t, 2)
		})
	}
}

// TestEchoesKeepOrder has two transactions of one sender sent again.
func TestEchoesKeepOrder(t *testing.T) {
	t.Parallel()
	n, _ := following(t, 1)
	first := take(t, n)
	n.commit(first, n.expect(first))
	n.finish(first)
	m := message("1")
	publish(t, n, m)
	second := take(t, n)
	turn := n.expect(second)
	publish(t, n, message("2"))
	n.setListening(false)
	n.setListening(true)
	n.stillTurn(second, turn)
	n.finish(second)
	if diff := cmp.Diff([]string{"0", "1", "2"}, queued(t, n)); diff != "" {
		t.Error(diff)
	}
	again := take(t, n)
	if again != first || again.stamp() == 0 {
		t.Error("the first is not sent again as it was")
	}
}

// TestSettle waits for what is under way, and not for ever.
func TestSettle(t *testing.T) {
	t.Parallel()
	n, _ := following(t, 1)
	n.settle(t.Context()) // nothing is
	b := take(t, n)
	settled := make(chan struct{})
	go func() { defer close(settled); n.settle(t.Context()) }()
	select {
	case <-settled:
		t.Error("settled while a transaction is under way")
	case <-time.After(10 * time.Millisecond):
	}
	n.finish(b)
	<-settled
}
