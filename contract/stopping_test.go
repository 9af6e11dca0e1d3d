package contract_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"pgws/internal/devpg/pgtest"
)

// A signal closes all clients with 1001, sends on what was accepted, and ends the server with status 0.
func TestStop(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			// The network is slow, so that there is something left to send.
			network, through := behindProxy(t, uri)
			s := start(t, env{"PGWS_DB_URI": through, "PGWS_LISTEN_CHANNEL": signal.String()})
			s.uri = uri
			heard := s.listen(t)
			var clients []*client
			for range 20 {
				clients = append(clients, s.dial(t, "/other/"+token(`{"mode":"r"}`)))
			}
			s.dial(t, "/other/"+token(`{"mode":"r"}`)) // It answers no close.
			sender := s.dial(t, "/chat/"+token(`{"mode":"w"}`))
			sender.send("before")
			heard.receive()
			network.slow(200)
			texts := numbered("accepted", 500)
			sender.send(texts...)
			sender.expectPong() // All are accepted.

			s.Signal(t, signal)
			for _, c := range append(clients, sender) {
				c.expectClose(1001)
			}
			for _, text := range texts {
				if got := parseMessage(t, heard.receive()).Payload; got != text {
					t.Fatalf("PostgreSQL was sent %q, want %q", got, text)
				}
			}
			if status := s.wait(t); status != 0 {
				t.Errorf("the status is %d", status)
			}
			if _, err := net.DialTimeout("tcp", s.addr, time.Second); err == nil {
				t.Error("its port is still open")
			}
		})
	}
}

// A signal ends a server that still tries to connect.
func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_DB_URI": nowhere, "PGWS_RETRIES": "1000000"})
	s.awaitLog(t, "level=WARN")
	s.Signal(t, syscall.SIGTERM)
	if status := s.wait(t); status != 0 {
		t.Errorf("the status is %d", status)
	}
}

// A second signal ends the server at once.
func TestStopTwice(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial(t, "/chat/"+token(anybody)) // It answers no close, so that stopping takes a while.
	s.Signal(t, syscall.SIGTERM)
	c.next()
	s.Signal(t, syscall.SIGTERM)
	s.wait(t)
}
