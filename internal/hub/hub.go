// Package hub fans publications out to sessions.
//
// A channel is a log: a linked list of runs, each the frames of consecutive
// publications. A session is a cursor in the log of each of its channels. The
// source appends and never waits; writers follow with the sessions' cursors,
// and what every cursor has passed is left to the garbage collector. So a slow
// session costs a pointer, not a queue.
//
// Locks: Session.mu comes before bucket.mu and log.mu, which are never held
// together; writer.mu is taken alone. None is held while a transport is called.
package hub

import (
	"context"
	"errors"
	"hash/maphash"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// DefaultMaxLag is how far, in bytes, a session may fall behind the end of its
// channels unless Options says otherwise.
const DefaultMaxLag = 32 << 20

// bucketCount spreads the table of channels over this many locks.
const bucketCount = 64

// maxRunBytes ends a batch: more than this is not held back from the writers.
const maxRunBytes = 64 << 10

// ErrLagging ends a session that has fallen behind by more than Options.MaxLag.
var ErrLagging = errors.New("hub: session lags behind its channels")

// Observer is told what happens in the hub. Its methods are called often and
// from many goroutines; they must not block.
type Observer interface {
	// Received counts publications that the source has appended.
	Received(publications int)
	// Delivered counts publications handed to sessions' sockets.
	Delivered(publications int)
}

// Options configure a Hub. The zero value of each but Observer is sane.
type Options struct {
	// MaxLag is how many bytes a session may be behind; 0 means DefaultMaxLag.
	MaxLag int64
	// Writers is the number of goroutines that write; 0 means one less than
	// GOMAXPROCS, at least 1. They keep their processors busy while a burst lasts;
	// one is left to those who listen and read, and to whoever else has to run for
	// the frames to arrive.
	Writers int
	// Interval is the least time between a writer's rounds: what is flushed
	// meanwhile goes to each session in one write. It trades latency, for channels
	// that are busy, against CPU. 0 means none.
	Interval time.Duration
	// Observer counts; it is required.
	Observer Observer
}

// Hub holds the channels that have sessions. Append and Flush belong to the
// source's goroutine; everything else may be called from anywhere.
type Hub struct {
	maxLag   uint64
	interval time.Duration
	observer Observer

	seed    maphash.Seed
	buckets [bucketCount]bucket

	writers []*writer
	turn    atomic.Uint32  // deals sessions out to the writers
	waiting sync.WaitGroup // goroutines of sessions that wait for their socket

	// The source's own.
	position uint64 // of the newest publication appended
	received int    // since the last flush
	held     int    // bytes appended since the last flush
	fresh    []*log // logs appended to since the last flush

	// visible is the position up to which every log is complete. A session that
	// merges several logs goes no further, so that it keeps the source's order.
	visible atomic.Uint64
}

type bucket struct {
	mu   sync.RWMutex
	logs map[string]*log
}

// New returns a hub at rest; Run starts its writers.
func New(o Options) *Hub {
	if o.MaxLag == 0 {
		o.MaxLag = DefaultMaxLag
	}
	if o.Writers == 0 {
		o.Writers = max(runtime.GOMAXPROCS(0)-1, 1)
	}
	h := &Hub{maxLag: uint64(o.MaxLag), interval: o.Interval, observer: o.Observer, seed: maphash.MakeSeed()}
	for i := range h.buckets {
		h.buckets[i].logs = make(map[string]*log)
	}
	for i := range o.Writers {
		h.writers = append(h.writers, &writer{hub: h, index: i, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1)})
	}
	return h
}

// Run writes to the sessions until ctx is done, then waits for all that the
// hub has started. Sessions must have been ended before, else they are left
// with what they have been sent so far.
func (h *Hub) Run(ctx context.Context) error {
	var writers sync.WaitGroup
	for _, w := range h.writers {
		writers.Go(func() { w.run(ctx) })
	}
	writers.Wait()
	h.waiting.Wait()
	return nil
}

// Append adds one publication to the end of a channel. Sessions see it after
// the next Flush. A channel without sessions keeps nothing.
func (h *Hub) Append(channel, payload string) {
	h.position++
	h.received++
	l := h.find(channel)
	if l == nil {
		return
	}
	// A text frame must be UTF-8 (RFC 6455, section 5.6) or browsers drop the
	// connection; a database in SQL_ASCII may send anything.
	if !utf8.ValidString(payload) {
		payload = strings.ToValidUTF8(payload, "\uFFFD")
	}
	if len(l.next.marks) == 0 {
		h.fresh = append(h.fresh, l)
	}
	l.next.add(h.position, payload)
	if h.held += len(payload); h.held >= maxRunBytes {
		h.Flush()
	}
}

// Flush shows the sessions what has been appended. The source calls it
// whenever it is about to wait for more.
func (h *Hub) Flush() {
	if h.received == 0 {
		return
	}
	for _, l := range h.fresh {
		l.commit()
	}
	h.visible.Store(h.position)
	for _, l := range h.fresh {
		for i, w := range h.writers {
			if l.hasMembers(i) {
				w.enqueue(l)
			}
		}
	}
	for _, w := range h.writers {
		w.count(h.held)
	}
	h.observer.Received(h.received)
	clear(h.fresh)
	h.fresh, h.received, h.held = h.fresh[:0], 0, 0
}

// NewSession returns a session without channels that writes to t, from Start on.
func (h *Hub) NewSession(t Transport) *Session {
	return &Session{hub: h, transport: t, writer: int(h.turn.Add(1)) % len(h.writers), held: true}
}

func (h *Hub) bucket(channel string) *bucket {
	return &h.buckets[maphash.String(h.seed, channel)%bucketCount]
}

func (h *Hub) find(channel string) *log {
	b := h.bucket(channel)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.logs[channel]
}

// acquire returns the channel's log, made if need be, and counts one user.
func (h *Hub) acquire(channel string) *log {
	b := h.bucket(channel)
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.logs[channel]
	if l == nil {
		l = newLog(channel, len(h.writers))
		b.logs[channel] = l
	}
	l.users++
	return l
}

// release takes one user back; a log without users is forgotten.
func (h *Hub) release(l *log) {
	b := h.bucket(l.name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(b.logs, l.name)
	}
}
