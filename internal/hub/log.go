package hub

import (
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
)

// A run holds consecutive publications of one channel, their frames end to end
// in one slice so that a session far behind is written to in few pieces. The
// last run of a log is empty and waits to be filled: whoever has caught up
// points to it and so keeps nothing alive. Once next is set, nothing changes.
type run struct {
	frames []byte
	marks  []mark
	start  uint64 // bytes of the log before this run
	next   atomic.Pointer[run]
}

// A mark ends one publication of a run.
type mark struct {
	position uint64
	end      int // in run.frames
}

// A batch is a run in the making.
type batch struct {
	frames []byte
	marks  []mark
}

func (b *batch) add(position uint64, payload string) {
	if b.frames == nil {
		b.frames = make([]byte, 0, maxFrameHeader+len(payload))
	}
	b.frames = appendTextFrame(b.frames, payload)
	b.marks = append(b.marks, mark{position: position, end: len(b.frames)})
}

// A log is one channel: its runs from some cursor's place to the end, and the
// cursors in it.
type log struct {
	name  string
	users int // guarded by the bucket's lock

	next batch // the source's own, not yet seen by sessions

	end atomic.Uint64 // bytes in all

	mu      sync.Mutex
	tail    *run        // the empty run
	members [][]*cursor // by writer
}

func newLog(name string, writers int) *log {
	return &log{name: name, tail: new(run), members: make([][]*cursor, writers)}
}

// commit makes a run of the batch and shows it to the cursors.
func (l *log) commit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.tail
	r.frames, r.marks = l.next.frames, l.next.marks
	l.next = batch{}
	l.tail = &run{start: r.start + uint64(len(r.frames))}
	l.end.Store(l.tail.start)
	r.next.Store(l.tail)
}

// join puts a cursor at the end of the log.
func (l *log) join(c *cursor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.at = l.tail
	members := &l.members[c.session.writer]
	c.member = len(*members)
	*members = append(*members, c)
}

// leave takes a cursor out; the last member takes its place.
func (l *log) leave(c *cursor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	members := &l.members[c.session.writer]
	last := len(*members) - 1
	moved := (*members)[last]
	(*members)[c.member] = moved
	moved.member = c.member
	(*members)[last] = nil
	*members = (*members)[:last]
}

func (l *log) hasMembers(writer int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.members[writer]) > 0
}

// sessions appends the sessions of one writer to dst.
func (l *log) sessions(writer int, dst []*Session) []*Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.members[writer] {
		dst = append(dst, c.session)
	}
	return dst
}

// maxFrameHeader is the longest header of an unmasked frame (RFC 6455,
// section 5.2).
const maxFrameHeader = 10

// finalText is the first byte of a frame that is a whole text message.
const finalText = 0x80 | 0x1

// appendTextFrame appends payload as one unmasked text frame.
func appendTextFrame(dst []byte, payload string) []byte {
	dst = append(dst, finalText)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n <= math.MaxUint16:
		dst = append(dst, 126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return append(dst, payload...)
}
