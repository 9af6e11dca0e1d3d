package postgres

import (
	"slices"
	"sync"
)

// tell tells the senders of messages what has become of them. It is called
// without the notifier's lock.
func tell(entries []entry, err error) {
	for _, e := range entries {
		if e.done == nil {
			continue
		}
		if err != nil {
			e.done(0, err)
		} else {
			e.done(e.stamp, nil)
		}
	}
}

// answered is for a batch that is to be sent again although it is committed:
// its senders are told once. That may be under way, so the entries that they are told
// by are left as they are.
func (b *batch) answered() {
	b.entries = slices.Clone(b.entries)
	for i := range b.entries {
		b.entries[i].done = nil
	}
}

// gather makes one answer of those for a message's notifications, of which
// there are count: the last stamp, or the first error.
func gather(done func(stamp int64, err error), count int) func(stamp int64, err error) {
	var (
		mu     sync.Mutex // they may travel in several transactions at once
		last   int64
		failed error
	)
	return func(stamp int64, err error) {
		mu.Lock()
		count--
		last = max(last, stamp)
		if failed == nil {
			failed = err
		}
		answer, fault, all := last, failed, count == 0
		mu.Unlock()
		switch {
		case !all:
		case fault != nil:
			done(0, fault)
		default:
			done(answer, nil)
		}
	}
}
