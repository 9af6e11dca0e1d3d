package hub

import (
	"sync"
	"sync/atomic"
)

// A run holds consecutive publications of one channel, their frames end to end
// in one slice so that a session far behind is written to in few pieces. The
// last run of a log is empty and waits to be filled: whoever has caught up
// points to it and so keeps nothing alive. Only the source touches the rest of it
// until next is set; from then on nothing changes.
type run struct {
	frames []byte
	marks  []mark
	start  uint64 // bytes of the log before this run
	muted  bool   // some of the marks except a session
	next   atomic.Pointer[run]
}

// A mark ends one publication of a run.
type mark struct {
	position uint64
	end      uint32 // in run.frames
	except   uint32 // the number of the session that is not sent this one; 0: none
}

// add adds a publication in a format.
func (r *run) add(p *Publication, format *Format, except uint32) {
	r.frames = format.Publication(r.frames, *p)
	r.marks = append(r.marks, mark{position: p.Position.offset, end: uint32(len(r.frames)), except: except})
	r.muted = r.muted || except != 0
}

// A log is one channel in one format: its runs from some cursor's place to the
// end, and the cursors in it.
type log struct {
	name   string
	format *Format
	users  int  // guarded by the bucket's lock,
	other  *log // as is this: the same channel in another format

	room int // the source's own: what a frame has needed beside its payload

	end atomic.Uint64 // bytes in all

	mu      sync.Mutex
	tail    *run        // the empty run; changed by the source alone
	members [][]*cursor // by writer
}

func newLog(name string, format *Format, writers int, other *log) *log {
	return &log{name: name, format: format, other: other, tail: new(run), members: make([][]*cursor, writers)}
}

// frameRoom is for a header, which some formats write before they know its length.
const frameRoom = 10

// add adds a publication to the empty run, not yet seen by sessions.
func (l *log) add(p *appended) {
	r := l.tail
	first := r.frames == nil
	if first {
		r.frames = make([]byte, 0, frameRoom+max(0, l.room+len(p.Payload)))
	}
	r.add(&p.Publication, l.format, p.except)
	if first {
		l.room = len(r.frames) - len(p.Payload)
	}
}

// addGap adds the news of a gap to the empty run, not yet seen by sessions.
func (l *log) addGap(at Position) {
	r := l.tail
	r.frames = l.format.Gap(r.frames, Publication{Channel: l.name, Position: at})
	r.marks = append(r.marks, mark{position: at.offset, end: uint32(len(r.frames))})
}

// commit shows what was added to the cursors and returns its size.
func (l *log) commit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.tail
	l.tail = &run{start: r.start + uint64(len(r.frames))}
	l.end.Store(l.tail.start)
	r.next.Store(l.tail)
	return len(r.frames)
}

// join puts a cursor at the end of the log.
func (l *log) join(c *cursor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.at = l.tail
	members := &l.members[c.session.writer]
	c.member = uint32(len(*members))
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
