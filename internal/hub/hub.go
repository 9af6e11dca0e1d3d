// Package hub fans publications out to sessions.
//
// A channel is a log: a linked list of runs, each the frames of consecutive
// publications. A session is a cursor in the log of each of its channels. The
// source appends and never waits; writers follow with the sessions' cursors,
// and what every cursor has passed is left to the garbage collector. So a slow
// session costs a pointer, not a queue.
//
// Sessions are sent what is published in a Format, and a log has one: where
// sessions of several formats share a channel, it has as many logs.
//
// What comes between two flushes is shown to the sessions in one step: it waits in
// the batch, and is in the logs and the history only when Flush has brought it into
// all of them. Who joins or comes back holds the history's lock meanwhile, and so finds
// each publication either everywhere or nowhere.
//
// Locks: history.mu comes before Session.mu, and that before bucket.mu and log.mu,
// which are never held together; writer.mu comes before log.mu alone. None is held
// while a transport is called.
package hub

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
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

// maxBatchBytes ends a batch: more than this is not held back from the writers.
const maxBatchBytes = 64 << 10

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
	// MaxLag is how many bytes a session may be behind, also when it comes back; 0
	// means DefaultMaxLag.
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
	// History is how many bytes of what was published are held for sessions that
	// come back; 0 means none.
	History int
	// Observer counts; it is required.
	Observer Observer
}

// Hub holds the channels that have sessions. Append and Flush belong to the
// source's goroutine; everything else may be called from anywhere.
type Hub struct {
	maxLag   uint64
	interval time.Duration
	observer Observer
	epoch    uint64

	seed    maphash.Seed
	buckets [bucketCount]bucket

	writers  []*writer
	sessions atomic.Uint32  // numbers them, and deals them out to the writers
	waiting  sync.WaitGroup // goroutines of sessions that wait for their socket

	// The source's own.
	position uint64     // of the newest publication appended
	batch    []appended // since the last flush
	held     int        // bytes of batch
	fresh    []*log     // those that Flush has appended to

	history history

	// visible is the position up to which every log is complete. A session that
	// merges several logs goes no further, so that it keeps the source's order.
	visible atomic.Uint64
}

// An appended publication waits for the flush.
type appended struct {
	Publication
	except uint32 // the number of the session that is not sent it; 0: none
}

// A bucket holds the logs of some channels: the first of each, which leads to those
// in other formats.
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
	h := &Hub{
		maxLag: uint64(o.MaxLag), interval: o.Interval, observer: o.Observer,
		epoch: 1 + rand.N[uint64](1<<48), seed: maphash.MakeSeed(),
	}
	h.history.max, h.history.dropped.seed = o.History, h.seed
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
// the next Flush, but for the one that is excepted, if any.
func (h *Hub) Append(channel, payload string, except *Session) {
	h.position++
	p := appended{Publication: Publication{Channel: channel, Position: Position{h.epoch, h.position}, Payload: payload}}
	if except != nil {
		p.except = except.number
	}
	h.batch = append(h.batch, p)
	if h.held += len(channel) + len(payload) + frameRoom; h.held >= maxBatchBytes {
		h.Flush()
	}
}

// Flush shows the sessions what has been appended. The source calls it
// whenever it is about to wait for more.
func (h *Hub) Flush() {
	if len(h.batch) == 0 {
		return
	}
	h.show(func() {
		for i := range h.batch {
			h.add(&h.batch[i])
		}
	})
	h.observer.Received(len(h.batch))
	clear(h.batch)
	h.batch, h.held = h.batch[:0], 0
}

// Gap tells the sessions that publications may have been missed, and forgets what
// was before. Each channel's gap has a position of its own: who was told one and not
// the other goes on between them.
func (h *Hub) Gap() {
	h.Flush()
	h.position++
	h.show(func() {
		h.history.forget(h.position)
		for i := range h.buckets {
			h.addGap(&h.buckets[i])
		}
	})
}

// add brings a publication into the history and the logs of its channel, where it
// is not seen yet.
func (h *Hub) add(p *appended) {
	b := h.bucket(p.Channel)
	b.mu.RLock()
	l := b.logs[p.Channel]
	// Neither a text frame (RFC 6455, section 5.6) nor an event stream may be anything
	// but UTF-8; a database in SQL_ASCII may send anything.
	if (l != nil || h.history.max > 0) && !utf8.ValidString(p.Payload) {
		p.Payload = strings.ToValidUTF8(p.Payload, "\uFFFD")
	}
	for ; l != nil; l = l.other {
		h.touch(l)
		l.add(p)
	}
	b.mu.RUnlock()
	h.history.add(p)
}

func (h *Hub) addGap(b *bucket) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for name, l := range b.logs {
		h.position++
		h.history.lose(name, h.position)
		for ; l != nil; l = l.other {
			if l.format.Gap != nil {
				h.touch(l)
				l.addGap(Position{h.epoch, h.position})
			}
		}
	}
}

// touch is called before something is added to a log.
func (h *Hub) touch(l *log) {
	if len(l.tail.marks) == 0 {
		h.fresh = append(h.fresh, l)
	}
}

// show has add bring what is new into the logs and the history, shows it to all at
// once, and wakes the writers concerned.
func (h *Hub) show(add func()) {
	h.history.mu.Lock()
	add()
	bytes := 0
	for _, l := range h.fresh {
		bytes += l.commit()
	}
	h.visible.Store(h.position)
	h.history.mu.Unlock()
	for _, w := range h.writers {
		w.enqueue(h.fresh)
		w.count(bytes)
	}
	clear(h.fresh)
	h.fresh = h.fresh[:0]
}

// NewSession returns a session without channels that writes to t, from Start on,
// what is published in a format.
func (h *Hub) NewSession(t Transport, format *Format) *Session {
	number := h.sessions.Add(1)
	return &Session{
		hub: h, transport: t, format: format, number: number,
		writer: uint16(number % uint32(len(h.writers))), held: true,
	}
}

func (h *Hub) bucket(channel string) *bucket {
	return &h.buckets[maphash.String(h.seed, channel)%bucketCount]
}

// acquire returns the channel's log in a format, made if need be, and counts one user.
func (h *Hub) acquire(channel string, format *Format) *log {
	b := h.bucket(channel)
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.logs[channel]
	l := first
	for l != nil && l.format != format {
		l = l.other
	}
	if l == nil {
		l = newLog(channel, format, len(h.writers), first)
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
	if l.users--; l.users > 0 {
		return
	}
	first := b.logs[l.name]
	switch {
	case first != l:
		for first.other != l {
			first = first.other
		}
		first.other = l.other
	case l.other != nil:
		b.logs[l.name] = l.other
	default:
		delete(b.logs, l.name)
	}
}
