package bench

import "fmt"

// A ledger checks that numbered messages come: all, each once, and those of one stream in order. A stream is what one
// client receives, or what one sender has sent. Numbers begin with 0; a stream has every step-th of them.
type ledger struct {
	numbers int
	step    int
	due     []int // by stream, the number that must come next; or anyNumber
	missing int   // messages that have not come
}

// anyNumber is due of a stream that may begin with any number.
const anyNumber = -1

// newLedger returns a ledger for messages that are numbered up to numbers, with the first one of each stream.
func newLedger(first []int, step, numbers int) *ledger {
	l := &ledger{numbers: numbers, step: step, due: first}
	for _, due := range first {
		l.missing += l.left(due)
	}
	return l
}

// left returns how many messages a stream still has when one is due.
func (l *ledger) left(due int) int { return (l.numbers - due + l.step - 1) / l.step }

// take enters a message, or tells what is wrong with it. After an error the ledger is of no more use.
func (l *ledger) take(stream, number int) error {
	if stream < 0 || stream >= len(l.due) {
		return fmt.Errorf("message %d of client %d, which does not exist", number, stream)
	}
	if number >= l.numbers {
		return fmt.Errorf("message %d, which was never sent", number)
	}
	switch due := l.due[stream]; {
	case due == anyNumber:
		l.missing += l.left(number)
	case number < due:
		return fmt.Errorf("message %d again, where %d was due", number, due)
	case number > due:
		return fmt.Errorf("message %d where %d was due: lost or overtaken", number, due)
	}
	l.due[stream] = number + l.step
	l.missing--
	return nil
}

// excuse has a stream owe nothing, until something comes: then it owes all that follows.
func (l *ledger) excuse(stream int) {
	if due := l.due[stream]; due != anyNumber {
		l.missing -= l.left(due)
		l.due[stream] = anyNumber
	}
}

// complete reports whether all messages have come.
func (l *ledger) complete() bool { return l.missing == 0 }

// missingText tells what has not come.
func (l *ledger) missingText() string {
	streams := 0
	for _, due := range l.due {
		if due != anyNumber && due < l.numbers {
			streams++
		}
	}
	return fmt.Sprintf("%d messages of %d clients have not come", l.missing, streams)
}
