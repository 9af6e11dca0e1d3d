package hub

import (
	"sync"
	"sync/atomic"
)

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
	format    *Format
	number    uint32      // tells it from the hub's other sessions; after 4 billion it comes again
	awaited   atomic.Bool // its writer is about to look at it

	mu      sync.Mutex
	writer  uint16 // which of the hub's writers looks after it; does not change
	pings   uint16 // how many bytes of control have come by Control
	held    bool   // until Start nothing is written
	writing bool   // somebody holds the right to write and will look again
	lagging bool   // too far behind: what is left of its channels is not written
	over    bool   // nothing is written any more
	cursors []*cursor
	control []byte // frames that go before the publications that wait
	end     *end   // set by End: the session hears nothing new
}

// An end is how a session ends.
type end struct {
	until   uint64        // the position of the last publication
	frame   []byte        // goes after it; nil once gathered
	written chan struct{} // closed when frame is written, or never will be
}

// Start begins to write, with what has been published to the session's
// channels before. It is called once.
func (s *Session) Start() {
	s.mu.Lock()
	s.held = false
	s.mu.Unlock()
	s.write()
}

// maxPingBytes bounds the control frames that wait. A client that pings and
// does not read need not have an answer to each ping (RFC 6455, section 5.5.3).
const maxPingBytes = 1 << 10

// Control sends a control frame ahead of the publications that wait. Frames
// after End, and too many, are dropped.
func (s *Session) Control(frame []byte) {
	s.mu.Lock()
	if s.over || s.end != nil || int(s.pings)+len(frame) > maxPingBytes {
		s.mu.Unlock()
		return
	}
	s.pings += uint16(len(frame))
	s.control = append(s.control, frame...)
	s.mu.Unlock()
	s.write()
}

// End leaves all channels and sends frame as the last one, after what has been
// flushed to them so far; a session that lags is spared that. The channel it
// returns is closed when the frame has been written or never will be.
func (s *Session) End(frame []byte) <-chan struct{} {
	s.mu.Lock()
	first := s.end == nil
	if first {
		s.end = &end{until: s.hub.visible.Load(), frame: frame, written: make(chan struct{})}
		s.leave()
		if s.lagging {
			s.cursors, s.control = nil, nil
		}
		if s.over {
			close(s.end.written)
		}
	}
	written := s.end.written
	s.mu.Unlock()
	if first { // A transport that is told of a lag by this write calls End again.
		s.write()
	}
	return written
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
	if !s.over && s.end != nil {
		close(s.end.written)
	}
	s.over = true
}

func (s *Session) leave() {
	for _, c := range s.cursors {
		if c.log != nil {
			s.hub.leave(c)
		}
	}
}

// leave takes a cursor out of its log.
func (h *Hub) leave(c *cursor) {
	c.log.leave(c)
	h.release(c.log)
	c.log = nil
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
		lag += c.lag()
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
	if len(s.control) > 0 {
		v.add(s.control)
		s.control, s.pings = nil, 0
	}
	switch len(s.cursors) {
	case 0:
	case 1:
		s.cursors[0].follow(v)
	default:
		s.merge(v)
	}
	if s.end != nil && !v.full() { // The last publication has been gathered.
		if len(s.end.frame) > 0 {
			v.add(s.end.frame)
			s.end.frame = nil
		}
		if v.size == 0 {
			s.finish()
		}
	}
	return v.size > 0
}
