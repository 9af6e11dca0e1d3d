package server

import "errors"

// errNothingYet ends reading when there is nothing to read and the connection
// may rest.
var errNothingYet = errors.New("server: nothing to read yet")

// rest gives the reader's goroutine up until there is something to read, and
// reports whether it did: then the connection belongs to whoever wakes it and
// must not be touched any more.
func (c *conn) rest() bool {
	p := c.server.poller
	if p == nil || c.raw == nil {
		return false
	}
	c.resting.Store(true)
	var err error
	if controlErr := c.raw.Control(func(fd uintptr) {
		c.fd.Store(int32(fd))
		err = p.watch(c, int(fd))
	}); controlErr != nil {
		err = controlErr
	}
	if err == nil {
		return true
	}
	// Unless it was woken already, because it was closed, it goes on here.
	return !c.resting.CompareAndSwap(true, false)
}

// wake starts the reader of a connection that rests.
func (c *conn) wake() {
	if c.resting.CompareAndSwap(true, false) {
		go c.serve()
	}
}

// cut closes the connection at once. Its reader, woken if need be, does the rest.
func (c *conn) cut() {
	c.server.closeNet(c.net)
	c.wake()
}
