package hub

// A replay is what has come for some channels since a position, for a session
// that comes back. It is made of runs that lead into the logs: so it is written, and
// bounded, as what a session lags behind.
type replay struct {
	session  *Session
	channels map[string]*stretch
	complete bool // nothing since its beginning is missing
	offset   uint64
	size     uint64 // bytes in all

	past []block // what was taken, but not added yet,
	upTo uint64  // and the offset that it goes to
}

// A stretch is a replay's part of one channel.
type stretch struct {
	channel     string
	first, last *run
	size        uint64
}

// newReplay returns what the history holds up to now. It is not complete where
// that is not all, or more than the session may lag, or the position is not of this hub.
func newReplay(s *Session, o *Subscription) replay {
	h := s.hub
	r := replay{session: s, offset: o.Since.offset}
	if r.complete = o.Since.epoch == h.epoch; !r.complete {
		return r
	}
	r.channels = make(map[string]*stretch, len(o.Channels))
	for _, name := range o.Channels {
		r.channels[name] = &stretch{channel: name}
	}
	h.history.mu.RLock()
	r.take()
	h.history.mu.RUnlock()
	r.add()
	return r
}

// take takes what has come since, with the history's lock held. It is to be added.
func (r *replay) take() {
	if !r.complete {
		return
	}
	h := r.session.hub
	if r.upTo = h.visible.Load(); r.offset > r.upTo {
		r.complete = false
		return
	}
	r.past, r.complete = h.history.since(r.offset, r.channels)
}

// add adds what was taken.
func (r *replay) add() {
	if !r.complete {
		return
	}
	h := r.session.hub
	defer h.history.reading.Add(-1)
	for i := range r.past {
		b := &r.past[i]
		begin := uint32(0)
		for _, p := range b.past {
			if p.offset > r.offset && p.except != r.session.number {
				if st := r.channels[string(b.text[begin:p.payload])]; st != nil {
					r.size += st.add(r.session, p, string(b.text[p.payload:p.end]))
				}
			}
			begin = p.end
		}
		if r.complete = r.size <= h.maxLag; !r.complete {
			break
		}
	}
	r.past, r.offset = nil, r.upTo
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
	st.last.add(&Publication{Channel: st.channel, Position: Position{s.hub.epoch, p.offset}, Payload: payload}, s.format, 0)
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
