package postgres

import (
	"slices"

	"pgws/internal/hub"
)

// mutes knows which notifications of the notifier are to be kept from the
// session that sent them, from before they are sent until the listener has heard
// them. The stamps make payloads unique, so that the bytes tell which one it is.
//
// What is sent again is muted again. A batch that is put back stays muted all the
// while. When PostgreSQL's answer was lost and the batch was sent a second time, it may
// be heard twice: it is muted until the listener has heard a batch that was sent
// after PostgreSQL had committed this one, since notifications come in the order of
// commits. One case is left: a transaction that was abandoned, and that PostgreSQL
// commits only after that later batch, is heard by its sender.
//
// It is guarded by the notifier's lock. Without a listener, and when the notifier
// has stopped, it is empty.
type mutes struct {
	sessions  map[string]*hub.Session // by payload
	lingering []*batch                // heard, and maybe once more
}

// add mutes what is about to be sent.
func (m *mutes) add(b *batch) {
	if !b.muted {
		return
	}
	for i, e := range b.entries {
		if e.mute {
			m.sessions[b.payload(i)] = e.sender
		}
	}
}

func (m *mutes) remove(b *batch) {
	for i, e := range b.entries {
		if e.mute {
			delete(m.sessions, b.payload(i))
		}
	}
}

// release is told the stamp of a batch that was heard, and forgets those that
// cannot be heard any more.
func (m *mutes) release(stamp int64) {
	if len(m.lingering) == 0 {
		return
	}
	m.lingering = slices.DeleteFunc(m.lingering, func(b *batch) bool {
		passed := b.fence < stamp
		if passed {
			m.remove(b)
		}
		return passed
	})
}

// unmute is for a batch that is done with.
func (n *Notifier) unmute(b *batch) {
	muted := &n.echo.muted
	if !b.muted || muted.sessions == nil {
		return
	}
	if b.unsure {
		b.fence = n.last
		muted.lingering = append(muted.lingering, b)
		return
	}
	muted.remove(b)
	n.echo.recount()
}
