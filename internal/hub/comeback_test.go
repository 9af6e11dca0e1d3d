package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestComeBack has readers of several formats lose their connections, and leave and
// open channels, while publications flow, some of which are kept from one of them.
// Each reader gets all of its channels, once and in order, as far as it is told so.
func TestComeBack(t *testing.T) {
	t.Parallel()
	const short, long = 1 << 10, 64 << 20
	for name, test := range map[string]struct {
		history  int
		together bool // open all channels at once, from the last position
	}{
		"each channel":                {history: long},
		"together":                    {history: long, together: true},
		"each channel, short history": {history: short},
		"together, short history":     {history: short, together: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Options{History: test.history})
			w := &world{hub: h, muted: make(map[string]*Session)}
			stop := w.publish(t)
			var readers sync.WaitGroup
			formats := []*Format{placed(), placed(), placed()}
			for i := range 6 {
				r := &reader{
					world: w, format: formats[i%len(formats)], together: test.together,
					random: rand.New(rand.NewPCG(uint64(i), 1)), places: make(map[string]*following), mine: make(map[*Session]bool),
				}
				readers.Go(func() {
					for range 15 {
						r.visit(t)
					}
				})
			}
			readers.Wait()
			stop()
			assertNoLogs(t, h)
			if n := h.history.reading.Load(); n != 0 {
				t.Errorf("%d still read the history", n)
			}
			if w.resumed.Load() == 0 || (w.lost.Load() > 0) != (test.history == short) {
				t.Errorf("resumed %d times, and could not %d times", w.resumed.Load(), w.lost.Load())
			}
		})
	}
}

// A world is what the readers share.
type world struct {
	hub           *Hub
	resumed, lost atomic.Int32

	mu       sync.Mutex
	sessions []*Session          // that are open
	muted    map[string]*Session // by publication: who is not sent it
}

var worldChannels = strings.Fields("a b c d e")

// publish publishes numbers to each channel until the returned function is called.
func (w *world) publish(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	paced := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { // lets the source go on while readers do
		for ctx.Err() == nil {
			select {
			case paced <- struct{}{}:
			case <-ctx.Done():
			}
			runtime.Gosched()
		}
	})
	running.Go(func() {
		random := rand.New(rand.NewPCG(2, 3))
		next := make([]int, len(worldChannels))
		for ctx.Err() == nil {
			c := random.IntN(len(next))
			w.append(worldChannels[c], strconv.Itoa(next[c]), random)
			next[c]++
			if random.IntN(4) == 0 {
				w.hub.Flush()
				select {
				case <-paced:
				case <-ctx.Done():
				}
			}
		}
		w.hub.Flush()
	})
	return func() { cancel(); running.Wait() }
}

func (w *world) append(channel, text string, random *rand.Rand) {
	var except *Session
	w.mu.Lock()
	if len(w.sessions) > 0 && random.IntN(5) == 0 {
		except = w.sessions[random.IntN(len(w.sessions))]
		w.muted[channel+" "+text] = except
	}
	w.mu.Unlock()
	w.hub.Append(channel, text, except)
}

func (w *world) except(publication string) *Session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.muted[publication]
}

func (w *world) enter(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = append(w.sessions, s)
}

func (w *world) leave(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = slices.DeleteFunc(w.sessions, func(other *Session) bool { return other == s })
}

// A reader is a client that comes back.
type reader struct {
	*world
	format   *Format
	together bool
	random   *rand.Rand
	places   map[string]*following
	last     Position // of all
	mine     map[*Session]bool

	// The connection's own.
	session *Session
	in      *recorder
	read    int // texts of in
}

// A following is what a reader knows of a channel.
type following struct {
	open     bool
	position Position
	next     int // number; -1: any
}

// visit opens a connection, reads for a while and leaves it.
func (r *reader) visit(t *testing.T) {
	for wait := r.hub.visible.Load() + r.random.Uint64N(50); r.hub.visible.Load() < wait; {
		runtime.Gosched()
	}
	r.in, r.read = newRecorder(), 0
	switch r.random.IntN(3) {
	case 1: // takes parts of what is offered
		parts := rand.New(rand.NewPCG(r.random.Uint64(), 1))
		r.in.accept = func(size int) int { return parts.IntN(size + 1) }
	case 2: // takes nothing without waiting
		r.in.accept = func(int) int { return 0 }
	}
	r.session = r.hub.NewSession(r.in, r.format)
	r.mine[r.session] = true
	r.enter(r.session)
	late := r.random.IntN(2) == 0
	if !late {
		r.session.Start()
	}
	r.open(worldChannels)
	if late {
		r.session.Start()
	}
	if !r.together && r.random.IntN(5) > 0 {
		for range worldChannels {
			r.until(t, "ok")
		}
		for range r.random.IntN(10) {
			r.follow(t, r.read+r.random.IntN(20))
			r.toggle(t, worldChannels[r.random.IntN(len(worldChannels))])
		}
	}
	r.follow(t, r.read+r.random.IntN(50))
	if r.random.IntN(2) == 0 {
		<-r.session.End(appendTextFrame(nil, "bye"))
		r.until(t, "bye")
	} else {
		r.session.Detach()
	}
	r.leave(r.session)
	for _, p := range r.places {
		p.open = false
	}
}

// open asks for channels from where the reader is.
func (r *reader) open(channels []string) {
	if r.together {
		r.session.Subscribe(r.subscription(channels, r.last))
		return
	}
	for _, name := range channels {
		since := Position{}
		if p := r.places[name]; p != nil {
			since = p.position
		}
		r.session.Subscribe(r.subscription([]string{name}, since))
	}
}

func (r *reader) subscription(channels []string, since Position) Subscription {
	return Subscription{Channels: channels, Since: since, Answer: func(at Position, resumed bool) []byte {
		return appendTextFrame(nil, fmt.Sprintf("ok %s %t %s", at.Append(nil), resumed, strings.Join(channels, " ")))
	}}
}

// toggle opens a channel that is not open, and closes one that is, but not the last.
func (r *reader) toggle(t *testing.T, channel string) {
	switch {
	case !r.places[channel].open:
		r.open([]string{channel})
		r.until(t, "ok")
	case len(r.session.Channels()) > 1:
		r.session.Unsubscribe([]string{channel}, appendTextFrame(nil, "closed "+channel))
		r.until(t, "closed")
	}
}

// follow reads until there were so many texts.
func (r *reader) follow(t *testing.T, n int) {
	for _, text := range r.in.texts(t, n)[r.read:] {
		r.take(t, text)
	}
}

// until reads up to a text that begins with a word.
func (r *reader) until(t *testing.T, word string) {
	for {
		texts := r.in.texts(t, r.read+1)
		if t.Failed() {
			return
		}
		text := texts[r.read]
		if r.take(t, text); strings.HasPrefix(text, word) {
			return
		}
	}
}

// take checks what the reader is sent.
func (r *reader) take(t *testing.T, text string) {
	r.read++
	words := strings.Fields(text)
	switch words[0] {
	case "bye":
	case "closed":
		r.places[words[1]].open = false
	case "ok":
		r.opened(ParsePosition(words[1]), words[2] == "true", words[3:])
	default:
		r.takePublication(t, ParsePosition(words[0]), words[1], words[2])
	}
}

func (r *reader) opened(at Position, resumed bool, channels []string) {
	r.last = at
	for _, name := range channels {
		p := r.places[name]
		switch {
		case p == nil:
			p = &following{next: -1}
			r.places[name] = p
		case resumed:
			r.resumed.Add(1)
		default:
			r.lost.Add(1)
			p.next = -1
		}
		p.open = true
		if !resumed {
			p.position = at
		}
	}
}

func (r *reader) takePublication(t *testing.T, at Position, channel, text string) {
	p := r.places[channel]
	number, err := strconv.Atoi(text)
	if err != nil || p == nil || !p.open {
		t.Errorf("publication %s %s, which is not open; %v", channel, text, err)
		return
	}
	if at.offset <= p.position.offset || r.together && at.offset <= r.last.offset {
		t.Errorf("publication %s %s is at %d, after %d of its channel and %d of all", channel, text, at.offset, p.position.offset, r.last.offset)
	}
	for p.next >= 0 && p.next < number && r.mine[r.except(channel+" "+strconv.Itoa(p.next))] {
		p.next++
	}
	if p.next >= 0 && p.next != number || r.except(channel+" "+text) == r.session {
		t.Errorf("publication %s %s, want %d", channel, text, p.next)
	}
	p.position, p.next, r.last = at, number+1, at
}
