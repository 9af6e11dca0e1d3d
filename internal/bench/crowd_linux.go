package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

const (
	// readBytes is what one read takes at most.
	readBytes = 256 << 10
	// lookEvery is how often, in milliseconds, a crowd to which nothing happens looks at its context.
	lookEvery = 50
	// gone is the descriptor of a client that has no connection.
	gone = -1
)

// A crowd is many websocket clients that one goroutine serves by one epoll.
type crowd struct {
	hooks
	target  *Target
	address *net.TCPAddr
	path    func(client int) string

	epoll   int
	events  []unix.EpollEvent
	buffer  []byte // every read goes here
	clients []client

	opened     int       // clients that are in: their handshake has been answered
	handshakes latencies // from connect to the answer
}

// A client is one connection. It has no buffer before a frame comes to it in two pieces, and then keeps it.
type client struct {
	fd      int
	began   time.Time
	open    bool
	deaf    bool   // it does not read
	writing bool   // epoll tells when the socket takes more
	rest    []byte // what has come of a frame, or of the handshake's answer, that is not whole
	out     []byte // what the socket has not taken yet
}

// serve handles what happens to the clients until done, which it asks after each round.
func (c *crowd) serve(ctx context.Context, done func() bool) error {
	for !done() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := c.poll(); err != nil {
			return err
		}
		if c.round != nil {
			if err := c.round(); err != nil {
				return err
			}
		}
	}
	return nil
}

// poll handles one round of events, or returns after lookEvery.
func (c *crowd) poll() error {
	n, err := unix.EpollWait(c.epoll, c.events, lookEvery)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range c.events[:max(n, 0)] {
		i := int(e.Fd)
		err := c.handle(i, e.Events)
		if how := (*ending)(nil); c.ended != nil && errors.As(err, &how) {
			if err = c.ended(i, how); err == nil {
				err = c.drop(i)
			}
		}
		if err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
	}
	return nil
}

// handle does what an event asks for. Errors of the connection are found by reading.
func (c *crowd) handle(i int, events uint32) error {
	if events&^unix.EPOLLOUT != 0 {
		if err := c.read(i); err != nil {
			return err
		}
	}
	if events&unix.EPOLLOUT != 0 {
		return c.write(i)
	}
	return nil
}

// read takes what one read finds. What is left over wakes the next round.
func (c *crowd) read(i int) error {
	cl := &c.clients[i]
	kept := copy(c.buffer, cl.rest)
	n, err := receive(cl.fd, c.buffer[kept:])
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return &ending{text: "read: " + err.Error()}
	case n == 0:
		return &ending{text: "the server has closed the connection"}
	}
	return c.take(i, c.buffer[:kept+n])
}

// take handles what has come, and keeps what is not whole.
func (c *crowd) take(i int, data []byte) error {
	cl := &c.clients[i]
	if !cl.open {
		end, err := parseAnswer(data)
		if err != nil {
			return err
		}
		if end > 0 {
			if err := c.handshakes.record(time.Since(cl.began)); err != nil {
				return err
			}
			cl.open = true
			c.opened++
			if c.admitted != nil {
				c.admitted(i)
			}
			data = data[end:]
		}
	}
	if cl.open {
		var err error
		if data, err = c.frames(i, data); err != nil {
			return err
		}
	}
	cl.rest = append(cl.rest[:0], data...)
	return nil
}

// frames handles all whole frames and returns what is left.
func (c *crowd) frames(i int, data []byte) ([]byte, error) {
	for {
		op, payload, n, err := parseFrame(data)
		if n == 0 || err != nil {
			return data, err
		}
		data = data[n:]
		switch op {
		case ws.OpText:
			if c.deliver != nil {
				err = c.deliver(i, payload)
			}
		case ws.OpPing:
			c.clients[i].out = appendFrame(c.clients[i].out, ws.OpPong, payload)
			err = c.wantWrite(i)
		case ws.OpPong:
		case ws.OpClose:
			err = closing(payload)
		default:
			err = fmt.Errorf("a frame with opcode %d", op)
		}
		if err != nil {
			return nil, err
		}
	}
}

// write writes what is left from before, or else the next frames, once. A client that has nothing stops asking.
func (c *crowd) write(i int) error {
	cl := &c.clients[i]
	data := cl.out
	if len(data) == 0 && c.more != nil && cl.open {
		data = c.more(i)
	}
	if len(data) == 0 {
		cl.out = nil
		return c.watch(i, false)
	}
	n, err := send(cl.fd, data)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		n, err = 0, nil
	}
	if err != nil {
		return &ending{text: "write: " + err.Error()}
	}
	cl.out = append(cl.out[:0], data[n:]...)
	return nil
}

// wantWrite has the client write when its socket takes something.
func (c *crowd) wantWrite(i int) error { return c.watch(i, true) }

func (c *crowd) watch(i int, writing bool) error {
	if c.clients[i].writing == writing {
		return nil
	}
	c.clients[i].writing = writing
	return c.control(i, unix.EPOLL_CTL_MOD)
}

// control tells epoll what a client waits for.
func (c *crowd) control(i, operation int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	if c.clients[i].writing {
		event.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(c.epoll, operation, c.clients[i].fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}
