package hub

// A replay is what has come for some channels since a position, for a session
// that comes back. It is made of runs that lead into the logs: so it is written, and
// bounded, as what a session lags behind.
type replay struct {
	session  *Session
	offset   uint64 // up to which it goes
	complete bool   // nothing since its beginning is missing
	size     uint64
	channels map[string]*stretch
}

// A stretch is a replay's part of one channel.
type stretch struct {
	channel     string
	first, last *run
	size        uint64
}

// newReplay returns what the history holds up to now. It is not complete where
// that is not all, or more than the session may lag, or the position is not of this hub.
func newReplay(s *Session, o *Subscription) *replay {
	h := s.hub
	r := &replay{session: s, offset: o.Since.offset}
	if o.Since.epoch != h.epoch {
		return r
	}
	h.history.mu.RLock()
	at := h.visible.Load()
	past, held := h.history.since(r.offset)
	h.history.mu.RUnlock()
	if r.complete = held && r.offset <= at; !r.complete {
		return r
	}
	r.channels = make(map[string]*stretch, len(o.Channels))
	for _, name := range o.Channels {
		r.channels[name] = &stretch{channel: name}
	}
	r.add(past, at)
	return r
}

// rest returns what has come since, with the history's lock held.
func (r *replay) rest() []block {
	if !r.complete {
		return nil
	}
	var past []block
	past, r.complete = r.session.hub.history.since(r.offset)
	return past
}

// add adds what is in blocks up to an offset.
func (r *replay) add(blocks []block, upTo uint64) {
	for i := range blocks {
		b := &blocks[i]
		begin := uint32(0)
		for _, p := range b.past {
			if p.offset > r.offset {
				if st := r.channels[string(b.text[begin:p.payload])]; st != nil {
					r.size += st.add(r.session, p, string(b.text[p.payload:p.end]))
				}
			}
			begin = p.end
		}
		if r.size > r.session.hub.maxLag {
			r.complete = false
			return
		}
	}
	r.offset = upTo
}

// add returns by how many bytes the stretch has grown.
func (st *stretch) add(s *Session, p past, payload string) uint64 {
	if st.last == nil || len(st.last.frames) >= maxBatchBytes {
		next := new(run)
		if st.last == nil {
			st.first = next
		} else {
			st.last.next.Store(next)
		}
		st.last = next
	}
	before := len(st.last.frames)
	st.last.add(&Publication{Channel: st.channel, Position: Position{s.hub.epoch, p.offset}, Payload: payload}, s.format, p.except)
	grown := uint64(len(st.last.frames) - before)
	st.size += grown
	return grown
}

// rewind puts cursors, which are at the end of their logs, before the replay, if that
// is complete.
func (r *replay) rewind(cursors []*cursor) bool {
	if r.complete {
		for _, c := range cursors {
			r.channels[c.log.name].lead(c)
		}
	}
	return r.complete
}

// lead puts a cursor before the stretch, whose end leads to where the cursor was.
func (st *stretch) lead(c *cursor) {
	if st.first == nil {
		return
	}
	end := c.at
	start := end.start - st.size // It may wrap around: only differences count.
	c.at = st.first
	for r := st.first; r != nil; r = r.next.Load() {
		r.start = start
		start += uint64(len(r.frames))
	}
	st.last.next.Store(end)
}
