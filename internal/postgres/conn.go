package postgres

import (
	"net"
	"sync"
	"time"
)

// readBytes is how much one read takes from the network: as much as the hub
// lets a run grow.
const readBytes = 64 << 10

// A pacedConn tells when everything that has come was handed on and the next
// read may wait; that is the moment to flush. It also limits that wait.
type pacedConn struct {
	net.Conn
	drained func() // before a read that may wait
	buffer  []byte
	rest    []byte // of buffer, not read yet

	mu          sync.Mutex
	idle        time.Duration // a read that waits longer fails with a time-out; 0: never
	interrupted bool
}

func newPacedConn(conn net.Conn, drained func()) *pacedConn {
	return &pacedConn{Conn: conn, drained: drained, buffer: make([]byte, readBytes)}
}

func (c *pacedConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		c.drained()
		if err := c.limitWait(); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(c.buffer)
		if err != nil {
			return 0, err
		}
		c.rest = c.buffer[:n]
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// limitWait sets the deadline of the next read. An idle of 0 leaves deadlines
// to whoever else sets them (pgconn, for the context of a query).
func (c *pacedConn) limitWait() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle == 0 && !c.interrupted {
		return nil
	}
	deadline := time.Now().Add(c.idle)
	if c.interrupted {
		deadline = time.Unix(1, 0)
	}
	return c.Conn.SetReadDeadline(deadline)
}

// waitAtMost limits each later read; 0 lifts the limit.
func (c *pacedConn) waitAtMost(idle time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = idle
	return c.Conn.SetReadDeadline(time.Time{})
}

// interrupt ends a read under way, and all later ones, with a time-out.
func (c *pacedConn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	// A connection that refuses its deadline is closed: the read ends all the same.
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
}
