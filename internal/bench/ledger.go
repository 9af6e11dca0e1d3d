package bench

import "fmt"

// A ledger checks that numbered messages come: all, each once, and those of one stream in order. A stream is what one
// client receives, or what one sender has sent. Numbers begin with 0.
type ledger struct {
	each    int   // messages of each stream
	due     []int // by stream, the number that must come next
	missing int   // messages that have not come
}

func newLedger(streams, each int) *ledger {
	return &ledger{each: each, due: make([]int, streams), missing: streams * each}
}

// take enters a message, or tells what is wrong with it. After an error the ledger is of no more use.
func (l *ledger) take(stream, number int) error {
	if stream < 0 || stream >= len(l.due) {
		return fmt.Errorf("message %d of client %d, which does not exist", number, stream)
	}
	due := l.due[stream]
	switch {
	case number >= l.each:
		return fmt.Errorf("message %d, which was never sent", number)
	case number < due:
		return fmt.Errorf("message %d again, where %d was due", number, due)
	case number > due:
		return fmt.Errorf("message %d where %d was due: lost or overtaken", number, due)
	}
	l.due[stream]++
	l.missing--
	return nil
}

// complete reports whether all messages have come.
func (l *ledger) complete() bool { return l.missing == 0 }

// missingText tells what has not come.
func (l *ledger) missingText() string {
	streams := 0
	for _, due := range l.due {
		if due < l.each {
			streams++
		}
	}
	return fmt.Sprintf("%d messages of %d clients have not come", l.missing, streams)
}
