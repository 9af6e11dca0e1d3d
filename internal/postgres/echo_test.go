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
// of one sender queued and its listener up.
func following(t *testing.T, count int) *Notifier {
	t.Helper()
	n := NewNotifier(NotifierOptions{QueueBytes: 1 << 20, Connections: 1, Observer: newHeard(), Log: testLog(t)})
	n.attach()
	n.setListening(true)
	sender := new(hub.Session)
	for i := range count {
		m := message(fmt.Sprint(i))
		m.Sender = sender
		publish(t, n, m)
	}
	return n
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
		happen func(n *Notifier, b *batch, turn int)
		queued []string
		done   bool // nothing is accepted and open
	}{
		"heard after the answer":  {func(n *Notifier, b *batch, turn int) { n.commit(b, turn); n.hear(b.lastPayload()) }, nil, true},
		"heard before the answer": {func(n *Notifier, b *batch, turn int) { n.hear(b.lastPayload()); n.commit(b, turn) }, nil, true},
		"not heard yet":           {func(n *Notifier, b *batch, turn int) { n.commit(b, turn) }, nil, false},
		"never heard": {func(n *Notifier, b *batch, turn int) {
			n.commit(b, turn)
			n.setListening(false)
			n.setListening(true)
		}, []string{"0", "1"}, false},
		"answer after the listener is replaced": {func(n *Notifier, b *batch, turn int) {
			n.setListening(false)
			n.setListening(true)
			n.commit(b, turn)
		}, []string{"0", "1"}, false},
		"heard, and the answer is lost": {func(n *Notifier, b *batch, turn int) { n.hear(b.lastPayload()); n.stillTurn(b, turn) }, nil, true},
		"fails while the listener is down": {func(n *Notifier, b *batch, turn int) {
			n.setListening(false)
			n.stillTurn(b, turn)
		}, []string{"0", "1"}, false},
		"fails after the listener was down": {func(n *Notifier, b *batch, turn int) {
			n.setListening(false)
			n.setListening(true)
			n.stillTurn(b, turn)
		}, []string{"0", "1"}, false},
		"refused in parts while the listener is down": {func(n *Notifier, b *batch, _ int) {
			n.setListening(false)
			n.isolate(context.Background(), b, errors.New("22P05"))
		}, []string{"0", "1"}, false},
		"committed at the end":    {func(n *Notifier, b *batch, turn int) { n.commit(b, turn); n.refuseMore() }, nil, true},
		"the end, then committed": {func(n *Notifier, b *batch, turn int) { n.refuseMore(); n.commit(b, turn) }, nil, true},
		"heard, and given up":     {func(n *Notifier, b *batch, _ int) { n.hear(b.lastPayload()); n.giveUp(b) }, nil, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := following(t, 2)
			b := take(t, n)
			test.happen(n, b, n.expect(b))
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
		})
	}
}

// TestEchoesKeepOrder has two transactions of one sender sent again.
func TestEchoesKeepOrder(t *testing.T) {
	t.Parallel()
	n := following(t, 1)
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
	n := following(t, 1)
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
