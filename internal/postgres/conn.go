package postgres

import (
	"errors"
	"net"
	"sync"
	"time"
)

// readBytes is how much one read takes from the network: as much as the hub
// lets a run grow.
const readBytes = 64 << 10

// A pacedConn tells when everything that has come was handed on and the next
// read may wait: that is the moment to flush. It also limits that wait. It
// does so only while its owner receives; during queries, and when the driver
// reads on by itself to close a broken connection, it just reads.
type pacedConn struct {
	net.Conn
	drained func() // before a read that may wait
	buffer  []byte
	rest    []byte // of buffer, not read yet

	mu          sync.Mutex
	receiving   bool
	idle        time.Duration // a read that waits longer fails with a time-out; 0: never
	interrupted bool
}

func newPacedConn(conn net.Conn, drained func()) *pacedConn {
	return &pacedConn{Conn: conn, drained: drained, buffer: make([]byte, readBytes)}
}

func (c *pacedConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if err := c.beforeWait(); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(c.buffer)
		if err != nil {
			c.afterError(err)
			return 0, err
		}
		c.rest = c.buffer[:n]
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// beforeWait flushes and sets the deadline of the next read, while receiving;
// else deadlines are left to the driver, for the context of a query.
func (c *pacedConn) beforeWait() error {
	c.mu.Lock()
	receiving := c.receiving
	c.mu.Unlock()
	if !receiving {
		return nil
	}
	c.drained()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setDeadline()
}

// afterError stops receiving for good, unless the wait was just too long: from
// now on the driver may read in a goroutine of its own.
func (c *pacedConn) afterError(err error) {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receiving = false
}

func (c *pacedConn) setDeadline() error {
	var deadline time.Time
	switch {
	case c.interrupted:
		deadline = time.Unix(1, 0)
	case c.idle > 0:
		deadline = time.Now().Add(c.idle)
	}
	return c.Conn.SetReadDeadline(deadline)
}

// receive begins to tell and to limit waits; 0 is no limit.
func (c *pacedConn) receive(idle time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receiving, c.idle = true, idle
}

// query ends that.
func (c *pacedConn) query() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receiving = false
	return c.Conn.SetReadDeadline(time.Time{})
}

// interrupt ends a wait under way, and all later ones, with a time-out.
func (c *pacedConn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	if c.receiving {
		// A connection that refuses its deadline is closed: the wait ends all the same.
		_ = c.setDeadline()
	}
}
