package contract_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// behindPooler returns a URI that leads to a database through a pooler in transaction mode: what a client LISTENs to is
// LISTENed to by a connection that is then another client's, so no notification reaches it.
func behindPooler(t *testing.T, uri string) string {
	t.Helper()
	u, err := url.Parse(uri)
	check(t, err)
	database := u.Host
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	u.Host = l.Addr().String()
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // The listener is closed.
			}
			connections.Go(func() { lend(client, database) })
		}
	})
	t.Cleanup(func() {
		check(t, l.Close())
		connections.Wait()
	})
	return u.String()
}

// lend joins a client to a database until one of them has gone.
func lend(client net.Conn, database string) {
	defer client.Close()
	server, err := net.Dial("tcp", database)
	if err != nil {
		return // The client sees its connection closed.
	}
	var up sync.WaitGroup
	up.Go(func() {
		defer server.Close()
		_, _ = io.Copy(server, client)
	})
	_ = handOn(client, server)
	_ = client.Close()
	up.Wait()
}

// handOn copies PostgreSQL's messages to a client, but for the notifications.
func handOn(client io.Writer, server io.Reader) error {
	const notification = 'A'
	header := make([]byte, 5) // the type, and the length of what follows the type
	for {
		if _, err := io.ReadFull(server, header); err != nil {
			return err
		}
		to := client
		if header[0] == notification {
			to = io.Discard
		}
		if _, err := to.Write(header); err != nil {
			return err
		}
		if _, err := io.CopyN(to, server, int64(binary.BigEndian.Uint32(header[1:]))-4); err != nil {
			return err
		}
	}
}
