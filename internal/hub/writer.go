package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A writer is a goroutine that writes to its share of the sessions. It never
// waits for a socket: a session whose socket is full is given a goroutine of
// its own until it has caught up.
type writer struct {
	hub   *Hub
	index int
	wake  chan struct{}

	waiting atomic.Uint64 // bytes flushed since the last round
	hurry   chan struct{} // has one when those are too many to rest

	mu     sync.Mutex
	queue  round
	queued map[*log]struct{} // the logs in queue
}

// A round is what a writer is to look at.
type round struct {
	logs     []*log     // with publications that it has not looked at
	sessions []*Session // with answers
}

// enqueue asks the writer to look at its sessions of logs.
func (w *writer) enqueue(logs []*log) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queued == nil {
		w.queued = make(map[*log]struct{})
	}
	for _, l := range logs {
		if _, ok := w.queued[l]; !ok && l.hasMembers(w.index) {
			w.queued[l] = struct{}{}
			w.queue.logs = append(w.queue.logs, l)
		}
	}
	if len(w.queue.logs) > 0 {
		w.signal()
	}
}

// look asks the writer to look at one session.
func (w *writer) look(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.sessions = append(w.queue.sessions, s)
	w.signal()
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// hurryPart is which part of the hub's MaxLag may wait for a round: the writer's
// rest must not make a session lag.
const hurryPart = 4

// count counts what has been flushed, and ends a rest that lasts too long for it.
func (w *writer) count(bytes int) {
	if w.hub.interval == 0 || w.waiting.Add(uint64(bytes)) < w.hub.maxLag/hurryPart {
		return
	}
	select {
	case w.hurry <- struct{}{}:
	default:
	}
}

// swap takes what is queued and leaves the emptied slices of the last round.
func (w *writer) swap(last round) round {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.queue
	w.queue = round{last.logs[:0], last.sessions[:0]}
	clear(w.queued)
	return next
}

func (w *writer) run(ctx context.Context) {
	v := vectors.Get().(*vector)
	defer vectors.Put(v)
	var r round
	var sessions []*Session
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		w.waiting.Store(0)
		r = w.swap(r)
		for _, s := range r.sessions {
			s.awaited.Store(false)
		}
		w.hub.observer.Delivered(w.hub.writeAll(r.sessions, v))
		for _, l := range r.logs {
			sessions = l.sessions(w.index, sessions[:0])
			w.hub.observer.Delivered(w.hub.writeAll(sessions, v))
			clear(sessions)
		}
		clear(r.logs) // Nothing may be kept alive by a writer that waits.
		clear(r.sessions)
		v.reset()
		w.rest(ctx)
	}
}

// rest lets the hub's interval pass.
func (w *writer) rest(ctx context.Context) {
	if w.hub.interval == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-w.hurry:
	case <-time.After(w.hub.interval):
	}
}

// writeAll writes to each session what it lacks and returns the number of
// publications.
func (h *Hub) writeAll(sessions []*Session, v *vector) int {
	publications := 0
	for _, s := range sessions {
		publications += s.writeWith(v)
	}
	return publications
}

// write is for those who have no vector at hand.
func (s *Session) write() {
	v := vectors.Get().(*vector)
	if n := s.writeWith(v); n > 0 {
		s.hub.observer.Delivered(n)
	}
	v.reset()
	vectors.Put(v)
}

// maxTurn is how many vectors a session may write before others have theirs.
const maxTurn = 8

// writeWith writes what there is without waiting and returns the number of
// publications. What the socket does not take at once, and what is more than
// a fair share, is left to a goroutine.
func (s *Session) writeWith(v *vector) int {
	publications := 0
	turn := 0
	for more := s.begin(v); more; more = s.proceed(v) {
		if turn++; turn > maxTurn {
			s.handOver(v, 0)
			return publications
		}
		n, err := s.transport.TryWrite(v.pieces)
		if err != nil {
			s.fail(err)
			return publications
		}
		if n < v.size {
			s.handOver(v, n)
			return publications
		}
		publications += v.publications
	}
	return publications
}

// handOver starts the goroutine that writes the rest of v, and all that comes
// up meanwhile. The hub waits for it.
func (s *Session) handOver(v *vector, written int) {
	rest := vectors.Get().(*vector)
	rest.reset()
	rest.pieces = append(rest.pieces, v.pieces...)
	rest.size, rest.publications = v.size, v.publications
	if written > 0 {
		rest.skip(written)
	}
	s.hub.waiting.Go(func() {
		publications := s.writeWaiting(rest)
		s.hub.observer.Delivered(publications)
		rest.reset()
		vectors.Put(rest)
	})
}

func (s *Session) writeWaiting(v *vector) int {
	publications := 0
	for more := true; more; more = s.proceed(v) {
		if err := s.transport.Write(v.pieces); err != nil {
			s.fail(err)
			return publications
		}
		publications += v.publications
	}
	return publications
}
