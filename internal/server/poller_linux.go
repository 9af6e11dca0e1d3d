package server

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// A poller watches the connections that rest, which have no goroutine, and
// wakes those that have something to read.
type poller struct {
	epoll int
	bell  int // an eventfd, which ends run

	mu    sync.Mutex
	conns []*conn // by descriptor
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("server: create an epoll: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("server: create an eventfd: %w", errors.Join(err, unix.Close(epoll)))
	}
	p := &poller{epoll: epoll, bell: bell}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(bell)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &event); err != nil {
		return nil, fmt.Errorf("server: watch an eventfd: %w", errors.Join(err, p.close()))
	}
	return p, nil
}

func (p *poller) close() error { return errors.Join(unix.Close(p.epoll), unix.Close(p.bell)) }

// watch wakes a connection once, when there is something to read or it has
// been closed by its client. It may be woken before watch returns.
func (p *poller) watch(c *conn, fd int) error {
	p.mu.Lock()
	for len(p.conns) <= fd {
		p.conns = append(p.conns, nil)
	}
	operation := unix.EPOLL_CTL_MOD
	if p.conns[fd] != c {
		p.conns[fd] = c
		operation = unix.EPOLL_CTL_ADD
	}
	p.mu.Unlock()
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
	return unix.EpollCtl(p.epoll, operation, fd, &event)
}

// forget lets go of a connection that is about to be closed.
func (p *poller) forget(c *conn, fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd < len(p.conns) && p.conns[fd] == c {
		p.conns[fd] = nil
	}
}

func (p *poller) find(fd int) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd < len(p.conns) {
		return p.conns[fd]
	}
	return nil
}

// run wakes connections until ctx is done, or waiting fails.
func (p *poller) run(ctx context.Context) error {
	rung := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { p.ring(); close(rung) })
	defer func() {
		if !stop() {
			<-rung // The bell may be closed, and its descriptor somebody else's, when we have returned.
		}
	}()
	events := make([]unix.EpollEvent, 128)
	for ctx.Err() == nil {
		n, err := unix.EpollWait(p.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("server: wait for connections at rest: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			// A descriptor may have another owner by now: waking a connection
			// without need does no harm.
			if c := p.find(int(event.Fd)); c != nil {
				c.wake()
			}
		}
	}
	return nil
}

func (p *poller) ring() {
	// The counter cannot overflow by one, the only error there is.
	_, _ = unix.Write(p.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}
