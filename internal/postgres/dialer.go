package postgres

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// errHungUp refuses a connection after hangUp.
var errHungUp = errors.New("postgres: hung up")

// A dialer knows the connections that it has opened. The driver says goodbye
// to a server in a goroutine of its own, and to one that is silent for a quarter of
// a minute; hangUp ends that.
type dialer struct {
	dialFunc pgconn.DialFunc

	mu     sync.Mutex
	hungUp bool
	open   map[*dialedConn]struct{}
}

func newDialer(dial pgconn.DialFunc) *dialer {
	return &dialer{dialFunc: dial, open: make(map[*dialedConn]struct{})}
}

// dial is a pgconn.DialFunc.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dialFunc(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hungUp {
		return nil, errors.Join(errHungUp, conn.Close())
	}
	dialed := &dialedConn{Conn: conn, dialer: d}
	d.open[dialed] = struct{}{}
	return dialed, nil
}

// hangUp closes all connections and refuses new ones.
func (d *dialer) hangUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hungUp = true
	for conn := range d.open {
		// Whoever uses it sees the error.
		_ = conn.Conn.Close()
	}
	clear(d.open)
}

type dialedConn struct {
	net.Conn
	dialer *dialer
}

func (c *dialedConn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.open, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}
