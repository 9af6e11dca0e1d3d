package hub

// A cursor is a session's place in one log. Its place is guarded by the
// session's lock, member by the log's.
type cursor struct {
	session *Session
	log     *log // nil when the cursor has left it, and still has some way to go
	at      *run
	done    uint32 // publications of at that were written already
	member  uint32 // index in log.members
}

// begin returns where in its run the publication before the cursor begins.
func (c *cursor) begin() uint32 {
	if c.done == 0 {
		return 0
	}
	return c.at.marks[c.done-1].end
}

// lag returns how many bytes there are before the cursor. Who has left falls behind
// no further.
func (c *cursor) lag() uint64 {
	if c.log == nil {
		return 0
	}
	return c.log.end.Load() - (c.at.start + uint64(c.begin()))
}

// follow adds the runs before the cursor, each as a whole unless it is muted. A
// run is flushed as a whole, too.
func (c *cursor) follow(v *vector) {
	for !v.full() {
		next := c.at.next.Load()
		if next == nil || c.session.end != nil && c.at.marks[0].position > c.session.end.until {
			return
		}
		if c.at.muted {
			c.step(v)
			continue
		}
		v.add(c.at.frames[c.begin():])
		v.publications += len(c.at.marks) - int(c.done)
		c.at, c.done = next, 0
	}
}

// position returns the position of the publication before the cursor.
func (c *cursor) position() (uint64, bool) {
	if c.at.next.Load() == nil {
		return 0, false
	}
	return c.at.marks[c.done].position, true
}

// step adds the publication before the cursor, unless the session is not to be
// sent it.
func (c *cursor) step(v *vector) {
	m := &c.at.marks[c.done]
	if m.except != c.session.number {
		v.join(c.at.frames, int(c.begin()), int(m.end))
		v.publications++
	}
	if c.done++; int(c.done) == len(c.at.marks) {
		c.at, c.done = c.at.next.Load(), 0
	}
}
