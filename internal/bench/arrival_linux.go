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

// perSource is how many clients share one loopback address; each address has some 28,000 ports for one server.
const perSource = 2000

// newCrowd makes a crowd of n clients that are not connected. Each opens the path that the function names.
func newCrowd(t *Target, n int, path func(client int) string) (*crowd, error) {
	address, err := net.ResolveTCPAddr("tcp4", t.Address)
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	c := &crowd{
		target: t, address: address, path: path,
		epoll: epoll, events: make([]unix.EpollEvent, 512), buffer: make([]byte, readBytes),
		clients: make([]client, n), handshakes: newLatencies(),
	}
	for i := range c.clients {
		c.clients[i].fd = gone
	}
	return c, nil
}

// openCrowd opens n clients and returns when all have been let in.
func openCrowd(ctx context.Context, t *Target, n, atOnce int, path func(client int) string) (*crowd, error) {
	c, err := newCrowd(t, n, path)
	if err != nil {
		return nil, err
	}
	if err := c.openAll(ctx, atOnce); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *crowd) openAll(ctx context.Context, atOnce int) error {
	n, begun := len(c.clients), 0
	for c.opened < n {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%d of %d clients are open: %w", c.opened, n, context.Cause(ctx))
		}
		for ; begun < min(n, c.opened+atOnce); begun++ {
			if err := c.connect(begun); err != nil {
				return fmt.Errorf("client %d: %w", begun, err)
			}
		}
		if err := c.poll(); err != nil {
			return err
		}
		c.target.progress("open clients", c.opened, n)
	}
	return nil
}

// connect begins to open a client that is gone. Its request is written when the socket is connected.
func (c *crowd) connect(i int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	c.clients[i] = client{fd: fd, writing: true, out: handshake(c.target.Address, c.path(i)), began: time.Now()}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("TCP_NODELAY: %w", err)
	}
	if c.address.IP.IsLoopback() {
		if err := bindLoopback(fd, i/perSource); err != nil {
			return err
		}
	}
	server := &unix.SockaddrInet4{Port: c.address.Port, Addr: [4]byte(c.address.IP.To4())}
	if err := unix.Connect(fd, server); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	return c.control(i, unix.EPOLL_CTL_ADD)
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

// goodbye has a client send a close frame. The server's answer comes as its end.
func (c *crowd) goodbye(i int) error {
	c.clients[i].out = appendFrame(c.clients[i].out, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
	return c.wantWrite(i)
}

// drop closes a client's connection without a word.
func (c *crowd) drop(i int) error {
	cl := &c.clients[i]
	if cl.open {
		c.opened--
	}
	err := unix.Close(cl.fd)
	*cl = client{fd: gone}
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// deafen has a client read nothing any more.
func (c *crowd) deafen(i int) error {
	c.clients[i].deaf = true
	return c.control(i, unix.EPOLL_CTL_DEL)
}

// undeafen has it read again.
func (c *crowd) undeafen(i int) error {
	c.clients[i].deaf = false
	return c.control(i, unix.EPOLL_CTL_ADD)
}

// hears reports whether a client has been let in and reads.
func (c *crowd) hears(i int) bool { return c.clients[i].open && !c.clients[i].deaf }

// close drops all clients.
func (c *crowd) close() error {
	var errs []error
	for i := range c.clients {
		if c.clients[i].fd != gone {
			errs = append(errs, c.drop(i))
		}
	}
	if err := errors.Join(append(errs, unix.Close(c.epoll))...); err != nil {
		return fmt.Errorf("close the clients: %w", err)
	}
	return nil
}
