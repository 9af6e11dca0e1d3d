package e2e_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A network is between a browser and a server. Its address stays, wherever the server is, and it can be cut.
type network struct {
	net.Listener
	goroutines sync.WaitGroup

	mu     sync.Mutex
	server string // HOST:PORT; empty: nobody answers
	conns  map[net.Conn]bool
}

// startNetwork leads to a server, given as the address of its page.
func startNetwork(t *testing.T, page string) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	n := &network{Listener: listener, conns: make(map[net.Conn]bool)}
	n.lead(page)
	n.goroutines.Go(n.accept)
	t.Cleanup(func() {
		check(t, n.Close())
		n.lead("")
		n.cut()
		n.goroutines.Wait()
	})
	return n
}

// page is the address of the server's page for the browser.
func (n *network) page() string { return "http://" + n.Addr().String() + "/" }

// lead has connections to come end at a server's page.
func (n *network) lead(page string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = ""
	if len(page) > len("http://") {
		n.server = page[len("http://") : len(page)-len("/")]
	}
}

// cut ends all connections without a word of the server's.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for conn := range n.conns {
		_ = conn.Close() // It may be closed already.
	}
}

func (n *network) accept() {
	for {
		browser, err := n.Accept()
		if err != nil {
			return
		}
		n.goroutines.Go(func() { n.carry(browser) })
	}
}

// carry passes on what browser and server say until one of them ends.
func (n *network) carry(browser net.Conn) {
	defer browser.Close()
	n.mu.Lock()
	address := n.server
	n.mu.Unlock()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	if !n.add(address, browser, server) {
		return
	}
	defer n.remove(browser, server)
	var answering sync.WaitGroup
	answering.Go(func() { // It ends with either connection.
		_, _ = io.Copy(browser, server)
		_ = browser.Close()
	})
	_, _ = io.Copy(server, browser)
	_ = server.Close()
	answering.Wait()
}

// add notes connections that can be cut, unless the way to their server is gone.
func (n *network) add(address string, conns ...net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != address {
		return false
	}
	for _, conn := range conns {
		n.conns[conn] = true
	}
	return true
}

func (n *network) remove(conns ...net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, conn := range conns {
		delete(n.conns, conn)
	}
}
