package bench

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

const (
	// openAtOnce is how many handshakes are under way at the same time.
	openAtOnce = 128
	// perSource is how many clients share one loopback address; each address has some 28,000 ports for one server.
	perSource = 2000
	// readBytes is what one read takes at most.
	readBytes = 256 << 10
	// lookEvery is how often, in milliseconds, a crowd to which nothing happens looks at its context.
	lookEvery = 50
)

// A crowd is many websocket clients that one goroutine serves by one epoll.
type crowd struct {
	epoll   int
	events  []unix.EpollEvent
	buffer  []byte // every read goes here
	clients []client
	opened  int // clients whose handshake has been answered

	// deliver takes each message that comes. The payload is valid until it returns. Nil: messages are dropped.
	deliver func(client int, payload []byte) error
	// more returns the frames that a client is to write next, until it has none; they are valid until the next call.
	// Nil: there are none. It is called from wantWrite on.
	more func(client int) []byte
}

// A client is one connection. It has a buffer only while a frame is on its way in two pieces.
type client struct {
	fd      int
	open    bool
	writing bool   // epoll tells when the socket takes more
	rest    []byte // what has come of a frame, or of the handshake's answer, that is not whole
	out     []byte // what the socket has not taken yet
}

// openCrowd opens n clients, each on the path that the function names, and returns when all have been let in.
func openCrowd(ctx context.Context, t *Target, n int, path func(client int) string) (*crowd, error) {
	address, err := net.ResolveTCPAddr("tcp4", t.Address)
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	c := &crowd{epoll: epoll, events: make([]unix.EpollEvent, 512), buffer: make([]byte, readBytes)}
	begin := func() error {
		i := len(c.clients)
		return c.connect(address, handshake(t.Address, path(i)))
	}
	if err := c.openAll(ctx, t, n, begin); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *crowd) openAll(ctx context.Context, t *Target, n int, begin func() error) error {
	for c.opened < n {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%d of %d clients are open: %w", c.opened, n, context.Cause(ctx))
		}
		for len(c.clients) < min(n, c.opened+openAtOnce) {
			if err := begin(); err != nil {
				return fmt.Errorf("client %d: %w", len(c.clients), err)
			}
		}
		if err := c.poll(); err != nil {
			return err
		}
		t.progress("open clients", c.opened, n)
	}
	return nil
}

// connect begins one more client. Its request is written when the socket is connected.
func (c *crowd) connect(address *net.TCPAddr, request []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	index := len(c.clients)
	c.clients = append(c.clients, client{fd: fd, writing: true, out: request})
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("TCP_NODELAY: %w", err)
	}
	if address.IP.IsLoopback() {
		if err := bindLoopback(fd, index/perSource); err != nil {
			return err
		}
	}
	server := &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())}
	if err := unix.Connect(fd, server); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(index)}
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// bindLoopback gives a socket one of the addresses 127.0.0.1, 127.0.0.2 and so on. The port is chosen by connect, which
// knows that one may serve for several servers.
func bindLoopback(fd, source int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return fmt.Errorf("IP_BIND_ADDRESS_NO_PORT: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + source)}}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
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
		var err error
		if e.Events&^unix.EPOLLOUT != 0 { // Errors too are found by reading.
			err = c.read(i)
		}
		if e.Events&unix.EPOLLOUT != 0 && err == nil {
			err = c.write(i)
		}
		if err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
	}
	return nil
}

// read takes what one read finds. What is left over wakes the next round.
func (c *crowd) read(i int) error {
	cl := &c.clients[i]
	kept := copy(c.buffer, cl.rest)
	n, err := unix.Read(cl.fd, c.buffer[kept:])
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return errors.New("the server has closed the connection")
	}
	data := c.buffer[:kept+n]
	if !cl.open {
		end, err := parseAnswer(data)
		if err != nil {
			return err
		}
		if end > 0 {
			cl.open = true
			c.opened++
			data = data[end:]
		}
	}
	if cl.open {
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
			code, reason := ws.ParseCloseFrameData(payload)
			err = fmt.Errorf("the server closes with %d %s", code, excerpt(reason))
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
	n, err := unix.Write(cl.fd, data)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		n, err = 0, nil
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	cl.out = append(cl.out[:0], data[n:]...)
	return nil
}

// wantWrite has the client write when its socket takes something.
func (c *crowd) wantWrite(i int) error { return c.watch(i, true) }

func (c *crowd) watch(i int, writing bool) error {
	cl := &c.clients[i]
	if cl.writing == writing {
		return nil
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	if writing {
		event.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_MOD, cl.fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	cl.writing = writing
	return nil
}

// close drops all clients without a word.
func (c *crowd) close() error {
	var errs []error
	for _, cl := range c.clients {
		errs = append(errs, unix.Close(cl.fd))
	}
	c.clients = nil
	if err := errors.Join(append(errs, unix.Close(c.epoll))...); err != nil {
		return fmt.Errorf("close the clients: %w", err)
	}
	return nil
}
