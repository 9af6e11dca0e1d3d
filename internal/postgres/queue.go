package postgres

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"

	"pgws/internal/hub"
)

// maxBatchBytes ends a batch: a larger one gains nothing and comes late.
const maxBatchBytes = 256 << 10

// leastBatchBytes is the room that a batch begins with.
const leastBatchBytes = 4 << 10

// arrayHeaderBytes is the length of the binary form of a one-dimensional
// array before its elements: dimensions, flags, element type, length, first index.
const arrayHeaderBytes = 20

// elementHeaderBytes is the length of an element's length.
const elementHeaderBytes = 4

// textOID is the type text in pg_type.
const textOID = 25

// A batch is what goes into one transaction: its payloads as PostgreSQL takes
// a text[] in binary, and where each ends.
type batch struct {
	array   []byte
	entries []entry
	muted   bool // some entries are

	committed bool
	heard     bool  // by the listener
	unsure    bool  // it may have been committed before, unanswered
	fence     int64 // while it lingers, see mutes: what has a later stamp was sent after
}

// An entry is one notification of a batch.
type entry struct {
	end    int32 // in batch.array
	mute   bool  // sender is not to hear it
	stamp  int64 // 0 until it is about to be sent for the first time
	sender *hub.Session
	done   func(stamp int64, err error) // if set, tells the sender what has become of it
}

// newBatch returns an empty batch with room for what is expected.
func newBatch(bytes, entries int) *batch {
	return &batch{array: make([]byte, arrayHeaderBytes, max(bytes, leastBatchBytes)), entries: make([]entry, 0, entries)}
}

func (b *batch) add(element []byte, e entry) {
	b.array = append(b.array, element...)
	e.end = int32(len(b.array))
	b.entries = append(b.entries, e)
	b.muted = b.muted || e.mute
}

// element returns the i-th array element with its length before it.
func (b *batch) element(i int) []byte {
	start := int32(arrayHeaderBytes)
	if i > 0 {
		start = b.entries[i-1].end
	}
	return b.array[start:b.entries[i].end]
}

// part returns a batch of the entries from i to before j.
func (b *batch) part(i, j int) *batch {
	p := newBatch(len(b.array), j-i)
	for ; i < j; i++ {
		p.add(b.element(i), b.entries[i])
	}
	return p
}

// stamp returns the first one, by which batches are in order; 0 for a batch that
// was never about to be sent.
func (b *batch) stamp() int64 { return b.entries[0].stamp }

func (b *batch) payload(i int) string { return string(b.element(i)[elementHeaderBytes:]) }

func (b *batch) lastPayload() string { return b.payload(len(b.entries) - 1) }

// split moves the entries whose sender is not in busy to a batch of their own.
// It returns nil when there is none.
func (b *batch) split(busy map[*hub.Session]bool) *batch {
	if !slices.ContainsFunc(b.entries, func(e entry) bool { return !busy[e.sender] }) {
		return nil
	}
	free, rest := newBatch(0, 0), newBatch(len(b.array), len(b.entries))
	for i, e := range b.entries {
		if busy[e.sender] {
			rest.add(b.element(i), e)
		} else {
			free.add(b.element(i), e)
		}
	}
	*b = *rest
	return free
}

// senders returns who has messages in the batches.
func senders(batches []*batch) map[*hub.Session]bool {
	busy := make(map[*hub.Session]bool)
	for _, b := range batches {
		for _, e := range b.entries {
			if e.sender != nil {
				busy[e.sender] = true
			}
		}
	}
	return busy
}

// param completes the array's header and returns the whole.
func (b *batch) param() []byte {
	header := binary.BigEndian.AppendUint32(b.array[:0], 1) // dimensions
	header = binary.BigEndian.AppendUint32(header, 0)       // no nulls
	header = binary.BigEndian.AppendUint32(header, textOID)
	header = binary.BigEndian.AppendUint32(header, uint32(len(b.entries)))
	binary.BigEndian.AppendUint32(header, 1) // first index
	return b.array
}

// stampAll writes the time of delivery into each payload, once: what is sent
// again is the same to the byte, so that a receiver can tell. Each stamp is a
// microsecond after the one before at least, since PostgreSQL folds equal
// notifications of one transaction. It returns the last stamp.
func (b *batch) stampAll(now, last int64) int64 {
	if b.stamp() != 0 {
		return last
	}
	for i := range b.entries {
		e := &b.entries[i]
		last = max(now, last+1)
		e.stamp = last
		place := b.array[:int(e.end)-hub.StampEnd]
		writeStamp(place[len(place)-len(hub.Stamp):], last)
	}
	return last
}

// writeStamp writes microseconds since 1970 as seconds with a fraction.
func writeStamp(dst []byte, micros int64) {
	const million = 1_000_000
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], max(micros, 1e9*million), 10)
	whole := len(text) - 6
	copy(dst, text[:whole])
	dst[whole] = '.'
	copy(dst[whole+1:], text[whole:])
}

// A queue holds the batches that wait, oldest first.
type queue struct {
	batches []*batch
	// The size of the batch taken last: the next ones are likely to be about as large.
	bytes, entries int
}

func (q *queue) add(element []byte, e entry) {
	if n := len(q.batches); n == 0 || q.batches[n-1].stamp() != 0 || len(q.batches[n-1].array)+len(element) > maxBatchBytes {
		q.batches = append(q.batches, newBatch(q.bytes, q.entries))
	}
	q.batches[len(q.batches)-1].add(element, e)
}

// putBack queues batches that were taken, before all that were taken after
// them: a sender's messages stay in order.
func (q *queue) putBack(batches ...*batch) {
	fresh := 0
	for fresh < len(q.batches) && q.batches[fresh].stamp() != 0 {
		fresh++
	}
	again := append(slices.Clone(q.batches[:fresh]), batches...)
	slices.SortFunc(again, func(a, b *batch) int { return cmp.Compare(a.stamp(), b.stamp()) })
	q.batches = append(again, q.batches[fresh:]...)
}

func (q *queue) empty() bool { return len(q.batches) == 0 }

// take returns the next batch, without the messages of senders who have some
// under way: a sender's messages never travel in two transactions at once. It
// returns nil when there is none.
func (q *queue) take(underWay []*batch) *batch {
	if q.empty() {
		return nil
	}
	first := q.batches[0]
	if len(underWay) > 0 {
		taken := first.split(senders(underWay))
		if len(first.entries) > 0 {
			return taken
		}
		first = taken
	}
	q.bytes, q.entries = len(first.array), len(first.entries)
	q.batches[0] = nil
	q.batches = q.batches[1:]
	return first
}
