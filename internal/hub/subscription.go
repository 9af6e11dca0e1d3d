package hub

import "slices"

// A Subscription says which channels to open, and from where on.
type Subscription struct {
	// Channels are to be opened, none twice; those that are open stay as they are.
	Channels []string
	// Since is the position of the last publication that was seen. The zero
	// Position: from now on.
	Since Position
	// Answer, if set, makes a frame that is sent before the first publication of these
	// channels. The session has been sent all that it is to be sent up to at, so that
	// who goes on from there misses nothing; resumed tells that nothing since Since is
	// missing, which nobody knows where a channel was open. It must not call the session.
	Answer func(at Position, resumed bool) []byte
}

// Subscribe opens channels. What has come since Since is sent first, if none of them is
// open, all of it is still held, and not more than a session may lag; else the session is
// sent what is flushed from now on.
func (s *Session) Subscribe(o Subscription) {
	if !s.lockToAnswer(0) { // How long the answer will be is not known yet.
		return
	}
	s.mu.Unlock()
	r := newReplay(s, &o) // Most of the work, while nobody waits for a lock.
	h := s.hub
	h.history.mu.RLock()
	s.mu.Lock()
	if s.over || s.end != nil {
		s.mu.Unlock()
		h.history.mu.RUnlock()
		return
	}
	at := h.visible.Load()
	r.take()
	opened := s.open(o.Channels)
	h.history.mu.RUnlock()
	r.add()
	resumed := len(opened) == len(o.Channels) && r.rewind(opened)
	if o.Answer != nil {
		s.control = append(s.control, o.Answer(Position{h.epoch, s.sentUpTo(at)}, resumed)...)
	}
	s.mu.Unlock()
	if o.Answer != nil || resumed {
		s.wake()
	}
}

// open joins the logs of channels, but those that it has joined already, and returns
// the new cursors. It is called with the locks of the history and the session held.
func (s *Session) open(channels []string) []*cursor {
	before := s.cursors
	isOpen := s.among(channels)
	for _, name := range channels {
		if isOpen[name] {
			continue
		}
		c := &cursor{session: s, log: s.hub.acquire(name, s.format)}
		s.cursors = append(s.cursors, c)
		c.log.join(c)
	}
	return s.cursors[len(before):]
}

// among returns which of some channels are open.
func (s *Session) among(channels []string) map[string]bool {
	if len(s.cursors) == 0 || len(channels) == 0 {
		return nil
	}
	open := make(map[string]bool, len(channels))
	for _, name := range channels {
		open[name] = false
	}
	for _, c := range s.cursors {
		if _, ok := open[c.log.name]; ok {
			open[c.log.name] = true
		}
	}
	return open
}

// sentUpTo returns the position up to which nothing waits, at most at. It is called with
// the lock held.
func (s *Session) sentUpTo(at uint64) uint64 {
	for _, c := range s.cursors {
		if p, ok := c.position(); ok {
			at = min(at, p-1)
		}
	}
	return at
}

// Unsubscribe closes channels. Frame is sent after the last publication of theirs.
func (s *Session) Unsubscribe(channels []string, frame []byte) {
	if !s.lockToAnswer(len(frame)) {
		return
	}
	closing := s.among(channels)
	s.cursors = slices.DeleteFunc(s.cursors, func(c *cursor) bool {
		if !closing[c.log.name] {
			return false
		}
		s.hub.leave(c)
		return true
	})
	s.control = append(s.control, frame...)
	s.mu.Unlock()
	s.wake()
}

// Channels returns those that are open.
func (s *Session) Channels() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, c := range s.cursors {
		if c.log != nil {
			names = append(names, c.log.name)
		}
	}
	return names
}

// maxAnswerBytes bounds the answers that wait: a client that asks and does not read is
// too slow.
const maxAnswerBytes = 1 << 20

// Reply sends a frame ahead of the publications that wait. It does not write
// itself, so that answers which come together go in one write.
func (s *Session) Reply(frame []byte) {
	if !s.lockToAnswer(len(frame)) {
		return
	}
	s.control = append(s.control, frame...)
	s.mu.Unlock()
	s.wake()
}

// lockToAnswer takes the session's lock, and keeps it if an answer of some bytes may be
// sent still.
func (s *Session) lockToAnswer(bytes int) bool {
	s.mu.Lock()
	if s.over || s.end != nil {
		s.mu.Unlock()
		return false
	}
	if len(s.control)+bytes <= maxAnswerBytes {
		return true
	}
	s.lagging = true
	s.mu.Unlock()
	s.transport.Abort(ErrLagging)
	return false
}

// wake has the session's writer look at it.
func (s *Session) wake() {
	if !s.awaited.Swap(true) {
		s.hub.writers[s.writer].look(s)
	}
}
