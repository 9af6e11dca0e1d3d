package hub

import (
	"context"
	"encoding/binary"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counts is an Observer that adds up.
type counts struct {
	mu                  sync.Mutex
	received, delivered int
}

func (c *counts) Received(n int)  { c.mu.Lock(); defer c.mu.Unlock(); c.received += n }
func (c *counts) Delivered(n int) { c.mu.Lock(); defer c.mu.Unlock(); c.delivered += n }
func (c *counts) totals() (received, delivered int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received, c.delivered
}

// start makes a hub and runs it until the test ends.
func start(t testing.TB, o Options) *Hub {
	t.Helper()
	if o.Observer == nil {
		o.Observer = new(counts)
	}
	if _, test := t.(*testing.T); test && o.Writers == 0 {
		o.Writers = 2 // so that they meet on small machines too
	}
	h := New(o)
	serve(t, h)
	return h
}

// serve runs a hub until the test ends.
func serve(t testing.TB, h *Hub) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
}

// finalText is the first byte of a websocket frame that is a whole text.
const finalText = 0x81

// texts is the format of websocket text frames (RFC 6455, section 5.2).
var texts = &Format{Publication: func(dst []byte, p Publication) []byte { return appendTextFrame(dst, p.Payload) }}

func appendTextFrame(dst []byte, payload string) []byte {
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, finalText, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, finalText, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, finalText, 127), uint64(n))
	}
	return append(dst, payload...)
}

// placed returns another format each time: text frames of position, channel and payload.
func placed() *Format {
	return &Format{
		Publication: func(dst []byte, p Publication) []byte {
			return appendTextFrame(dst, string(p.Position.Append(nil))+" "+p.Channel+" "+p.Payload)
		},
		Gap: func(dst []byte, p Publication) []byte { return appendTextFrame(dst, "gap "+p.Channel) },
	}
}

// publish appends and flushes.
func publish(h *Hub, channel string, payloads ...string) {
	for _, p := range payloads {
		h.Append(channel, p, nil)
	}
	h.Flush()
}

// answer is the Answer of a subscription: a text frame that tells at and resumed.
func answer(at Position, resumed bool) []byte {
	return appendTextFrame(nil, "ok "+string(at.Append(nil))+" "+strconv.FormatBool(resumed))
}

// at returns the hub's position so many publications ago.
func at(h *Hub, ago uint64) Position { return Position{h.epoch, h.visible.Load() - ago} }

// to is a subscription to channels from now on.
func to(channels ...string) Subscription { return Subscription{Channels: channels} }

// begin makes a session that writes.
func begin(h *Hub, t Transport) *Session {
	s := h.NewSession(t, texts)
	s.Start()
	return s
}

// recorder is a transport that keeps what is written. Each TryWrite takes a
// part only, as accept says; Write waits for room.
type recorder struct {
	accept func(size int) int // nil: all
	room   chan struct{}      // nil or closed: Write does not wait

	mu       sync.Mutex
	changed  *sync.Cond
	written  []byte
	parsed   int      // bytes of written that are in payloads
	payloads []string // of the text frames
	aborted  []error
}

func newRecorder() *recorder {
	r := new(recorder)
	r.changed = sync.NewCond(&r.mu)
	return r
}

func (r *recorder) TryWrite(frames [][]byte) (int, error) {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	if r.accept != nil {
		size = r.accept(size)
	}
	r.take(frames, size)
	return size, nil
}

func (r *recorder) Write(frames [][]byte) error {
	if r.room != nil {
		<-r.room
	}
	r.take(frames, -1)
	return nil
}

func (r *recorder) take(frames [][]byte, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range frames {
		if size >= 0 {
			f = f[:min(len(f), size)]
			size -= len(f)
		}
		r.written = append(r.written, f...)
	}
	r.parse()
	r.changed.Broadcast()
}

func (r *recorder) Abort(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aborted = append(r.aborted, cause)
	r.changed.Broadcast()
}

// texts waits until n whole text frames are written and returns their payloads.
func (r *recorder) texts(t testing.TB, n int) []string {
	t.Helper()
	var texts []string
	r.await(t, func() bool {
		texts = r.payloads
		return len(texts) >= n
	})
	return texts
}

// await waits for a condition on the recorder, which is locked meanwhile.
func (r *recorder) await(t testing.TB, met func() bool) {
	t.Helper()
	timeout := time.AfterFunc(20*time.Second, func() {
		t.Error("timed out")
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changed.Broadcast()
	})
	defer timeout.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !met() && !t.Failed() {
		r.changed.Wait()
	}
}

// parse takes the whole frames off what is written.
func (r *recorder) parse() {
	for {
		b := r.written[r.parsed:]
		if len(b) < 2 {
			return
		}
		n, header := int(b[1]), 2
		switch {
		case n == 126 && len(b) >= 4:
			n, header = int(binary.BigEndian.Uint16(b[2:])), 4
		case n == 127 && len(b) >= 10:
			n, header = int(binary.BigEndian.Uint64(b[2:])), 10
		case n >= 126:
			return
		}
		if len(b) < header+n {
			return
		}
		if b[0] == finalText {
			r.payloads = append(r.payloads, string(b[header:header+n]))
		}
		r.parsed += header + n
	}
}
