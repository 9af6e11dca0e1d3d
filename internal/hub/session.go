package hub

import "sync"

// Transport carries a session's frames to its client.
type Transport interface {
	// TryWrite writes as much of frames as it can without waiting and returns
	// the number of bytes. A transport that cannot write so returns 0.
	TryWrite(frames [][]byte) (int, error)
	// Write writes all of frames and waits for it, but not longer than the
	// transport's time-out. It may change the elements of frames.
	Write(frames [][]byte) error
	// Abort tells that the hub gives the session up: it lags (ErrLagging; End may
	// still be called) or a write has failed. It may come more than once and
	// must not wait.
	Abort(cause error)
}

// A Session is one connection's place in the hub. Its methods may be called
// from any goroutine.
type Session struct {
	hub       *Hub
	transport Transport
	writer    int // which of the hub's writers looks after it

	mu      sync.Mutex
	cursors []*cursor
	control []byte // frames that go before the next publication; once last, after all
	until   uint64 // once last: the position of the last publication
	ended   chan struct{}
	held    bool // until Start nothing is written
	writing bool // somebody holds the right to write and will look again
	lagging bool // too far behind: what is left of its channels is not written
	last    bool // End was called: the session hears nothing new
	over    bool // nothing is written any more
}

// A cursor is a session's place in one log. Its place is guarded by the
// session's lock, member by the log's.
type cursor struct {
	session *Session
	log     *log // nil when the cursor has left it, and still has some way to go
	at      *run
	done    int // publications of at that were written already
	member  int // index in log.members
}

// offset returns how many bytes of the log the cursor has passed.
func (c *cursor) offset() uint64 {
	if c.done == 0 {
		return c.at.start
	}
	return c.at.start + uint64(c.at.marks[c.done-1].end)
}

// Start begins to write, with what has been published to the session's
// channels before. It is called once.
func (s *Session) Start() {
	s.mu.Lock()
	s.held = false
	s.mu.Unlock()
	s.write()
}

// Subscribe opens channels: the session is sent what is flushed to them from
// now on. A channel must be named once only.
func (s *Session) Subscribe(channels ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.last {
		return
	}
	for _, name := range channels {
		c := &cursor{session: s, log: s.hub.acquire(name)}
		s.cursors = append(s.cursors, c)
		c.log.join(c)
	}
}

// maxControlBytes bounds the control frames that wait. A client that pings and
// does not read need not have an answer to each ping (RFC 6455, section 5.5.3).
const maxControlBytes = 1 << 10

// Control sends a control frame ahead of the publications that wait. Frames
// after End, and too many, are dropped.
func (s *Session) Control(frame []byte) {
	s.mu.Lock()
	if s.over || s.last || len(s.control)+len(frame) > maxControlBytes {
		s.mu.Unlock()
		return
	}
	s.control = append(s.control, frame...)
	s.mu.Unlock()
	s.write()
}

// End leaves all channels and sends frame as the last one, after what has been
// flushed to them so far; a session that lags is spared that. The channel it
// returns is closed when the frame has been written or never will be.
func (s *Session) End(frame []byte) <-chan struct{} {
	s.mu.Lock()
	if s.ended == nil {
		s.ended = make(chan struct{})
		if s.over {
			close(s.ended)
		}
	}
	ended := s.ended
	if s.over || s.last {
		s.mu.Unlock()
		return ended
	}
	s.last = true
	s.until = s.hub.visible.Load()
	s.control = append(s.control, frame...)
	s.leave()
	if s.lagging {
		s.cursors = nil
	}
	s.mu.Unlock()
	s.write()
	return ended
}

// Detach leaves all channels; nothing more is begun to be written.
func (s *Session) Detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
}

// finish and leave are called with the lock held.
func (s *Session) finish() {
	s.leave()
	s.cursors, s.control = nil, nil
	if !s.over && s.ended != nil {
		close(s.ended)
	}
	s.over = true
}

func (s *Session) leave() {
	for _, c := range s.cursors {
		if c.log != nil {
			c.log.leave(c)
			s.hub.release(c.log)
			c.log = nil
		}
	}
}

// begin takes the right to write and gathers what there is. It reports false
// when there is nothing, or another holds the right: that one looks again.
func (s *Session) begin(v *vector) bool {
	s.mu.Lock()
	if s.held {
		s.mu.Unlock()
		return false
	}
	if s.writing {
		s.lagging = s.lagging || s.lag() > s.hub.maxLag
		lagging := s.lagging
		s.mu.Unlock()
		if lagging {
			s.transport.Abort(ErrLagging)
		}
		return false
	}
	s.writing = s.gather(v)
	begun := s.writing
	s.mu.Unlock()
	return begun
}

// proceed gathers again for the holder of the right to write and, when there
// is nothing, gives the right back.
func (s *Session) proceed(v *vector) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = s.gather(v)
	return s.writing
}

// fail gives the session up after a write has failed.
func (s *Session) fail(cause error) {
	s.mu.Lock()
	s.finish()
	s.writing = false
	s.mu.Unlock()
	s.transport.Abort(cause)
}

// lag returns how many bytes of its channels the session has not written yet.
func (s *Session) lag() uint64 {
	var lag uint64
	for _, c := range s.cursors {
		if c.log != nil { // Who has left falls behind no further.
			lag += c.log.end.Load() - c.offset()
		}
	}
	return lag
}

// gather moves control frames and then publications into v, and the cursors
// past them. It is called by the holder of the right to write when all that
// was gathered before has been written.
func (s *Session) gather(v *vector) bool {
	v.reset()
	if s.over {
		return false
	}
	if !s.last {
		s.gatherControl(v)
	}
	switch len(s.cursors) {
	case 0:
	case 1:
		s.cursors[0].follow(v)
	default:
		s.merge(v)
	}
	if s.last && !v.full() { // The last publication has been gathered.
		s.gatherControl(v)
		if v.size == 0 {
			s.finish()
		}
	}
	return v.size > 0
}

func (s *Session) gatherControl(v *vector) {
	if len(s.control) > 0 {
		v.add(s.control)
		s.control = nil
	}
}

// follow adds the runs before the cursor, each as a whole. A run is flushed as a
// whole, too.
func (c *cursor) follow(v *vector) {
	for !v.full() {
		next := c.at.next.Load()
		if next == nil || c.session.last && c.at.marks[0].position > c.session.until {
			return
		}
		from := int(c.offset() - c.at.start)
		v.add(c.at.frames[from:])
		v.publications += len(c.at.marks) - c.done
		c.at, c.done = next, 0
	}
}

// merge adds the publications before all cursors in the order of their
// positions, which is the source's order.
func (s *Session) merge(v *vector) {
	limit := s.hub.visible.Load()
	if s.last {
		limit = s.until
	}
	for !v.full() {
		var first *cursor
		lowest := limit
		for _, c := range s.cursors {
			if p, ok := c.position(); ok && p <= lowest {
				first, lowest = c, p
			}
		}
		if first == nil {
			return
		}
		first.step(v)
	}
}

// position returns the position of the publication before the cursor.
func (c *cursor) position() (uint64, bool) {
	if c.at.next.Load() == nil {
		return 0, false
	}
	return c.at.marks[c.done].position, true
}

// step adds the publication before the cursor.
func (c *cursor) step(v *vector) {
	from := int(c.offset() - c.at.start)
	v.join(c.at.frames, from, c.at.marks[c.done].end)
	v.publications++
	if c.done++; c.done == len(c.at.marks) {
		c.at, c.done = c.at.next.Load(), 0
	}
}
