package postgres

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"pgws/internal/hub"
)

// An echo follows what was sent until the listener has heard it. PostgreSQL
// takes a notification whether or not anybody listens, so a commit alone does
// not tell that it reaches this server's sessions: the listener's connection may
// be lost already, and nobody may have noticed yet. A batch is heard when its
// last payload is, since the stamps make payloads unique and PostgreSQL delivers a
// transaction's notifications in order.
//
// All fields but the count are guarded by the notifier's lock.
type echo struct {
	attached  bool              // a listener reports to the notifier
	up        bool              // it hears
	turn      int               // how often it has come up
	expected  map[string]*batch // sent, maybe committed, and not heard, by last payload
	committed []*batch          // those of them that are
	muted     mutes
	count     atomic.Int64 // of expected and muted, for a look without the lock
}

// attach makes the notifier wait for a listener.
func (n *Notifier) attach() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.echo.attached = true
	n.echo.expected = make(map[string]*batch)
	n.echo.muted.sessions = make(map[string]*hub.Session)
}

func (n *Notifier) listenerUp() bool { return n.echo.up || !n.echo.attached }

// setListening tells whether the listener hears. When it does again, what it
// has missed is sent once more: the same bytes, so that others who have heard it
// can tell.
func (n *Notifier) setListening(up bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.echo.up = up
	if !up {
		return
	}
	n.echo.turn++
	for _, b := range n.echo.committed {
		n.forget(b)
		b.committed = false
		b.answered()
	}
	n.queue.putBack(n.echo.committed...)
	n.echo.committed = nil
	n.signal()
}

// settle waits, not for long, until no transaction is under way. The listener
// does so before it listens again: what commits after that would be heard before
// what is sent again, which was sent first.
func (n *Notifier) settle(ctx context.Context) {
	n.mu.Lock()
	settled := n.settled
	n.mu.Unlock()
	select {
	case <-settled:
	case <-ctx.Done():
	case <-time.After(settleTimeout):
	}
}

// hear is told every payload that the listener hears. It returns the session
// that is not to be sent it, usually nil.
func (n *Notifier) hear(payload string) (except *hub.Session) {
	if n.echo.count.Load() == 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	except = n.echo.muted.sessions[payload]
	b := n.echo.expected[payload]
	if b == nil {
		return except
	}
	n.echo.muted.release(b.stamp())
	n.forget(b)
	b.heard = true
	if b.committed {
		n.echo.committed = slices.DeleteFunc(n.echo.committed, func(other *batch) bool { return other == b })
		n.free(b)
	}
	return except
}

// expect begins to wait for a batch's echo, which may come before PostgreSQL's
// answer. It returns the listener's turn.
func (n *Notifier) expect(b *batch) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.echo.attached && !n.stopped {
		n.echo.expected[b.lastPayload()] = b
		n.echo.muted.add(b)
		n.echo.recount()
	}
	return n.echo.turn
}

// expectNoMore is for a batch that is sent no more in this form.
func (n *Notifier) expectNoMore(b *batch) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget(b)
}

func (n *Notifier) forget(b *batch) {
	if !n.echo.attached {
		return
	}
	delete(n.echo.expected, b.lastPayload())
	n.echo.recount()
}

func (e *echo) recount() { e.count.Store(int64(len(e.expected) + len(e.muted.sessions))) }

// stillTurn reports whether a batch is to be sent now. It is not when it was
// heard already, though the answer to its commit was lost: then it returns what is
// committed so. It is put back when the listener is down, or has been: batches before
// it may have been put back.
func (n *Notifier) stillTurn(b *batch, turn int) (committed []entry, still bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case b.heard:
		n.down.Store(false) // nothing of the failure is left to be sent again
		n.free(b)
		return b.entries, false
	case n.stopped || n.listenerUp() && n.echo.turn == turn:
		return nil, true
	}
	n.forget(b)
	n.queue.putBack(b)
	return nil, false
}

// commit is for a batch that PostgreSQL has taken, and returns what is to be
// told of that. When the listener was replaced since the batch was sent, nobody
// knows whether it hears it still.
func (n *Notifier) commit(b *batch, turn int) (committed []entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	committed = b.entries
	switch {
	case !n.echo.attached || b.heard || n.stopped:
		n.free(b)
	case n.echo.turn != turn:
		n.forget(b)
		b.answered()
		n.queue.putBack(b)
	default:
		b.committed = true
		n.echo.committed = append(n.echo.committed, b)
	}
	return committed
}

// forgetEchoes is for the end: what is committed is done with.
func (n *Notifier) forgetEchoes() {
	for _, b := range n.echo.committed {
		n.free(b)
	}
	n.echo.committed = nil
	clear(n.echo.expected)
	n.echo.muted = mutes{}
	n.echo.recount()
}
