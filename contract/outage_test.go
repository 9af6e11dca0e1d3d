package contract_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// ready asks the admin listener, which must be on.
func (s *server) ready(t *testing.T) (status int, body string) {
	t.Helper()
	admin := &server{addr: s.admin}
	status, _, body = admin.get(t, "/ready")
	return status, body
}

// awaitReady waits until the server says that it can deliver messages, or that it cannot.
func (s *server) awaitReady(t *testing.T, want bool) {
	t.Helper()
	programtest.Eventually(t, fmt.Sprint("ready is ", want), func() bool {
		status, _ := s.ready(t)
		return (status == http.StatusOK) == want
	})
}

// terminate ends all sessions of the server's database.
func (s *server) terminate(t *testing.T) {
	t.Helper()
	conn := connect(t, s.uri)
	_, err := conn.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()`)
	check(t, err)
	check(t, conn.Close(t.Context()))
}

// numbered returns so many different messages.
func numbered(prefix string, count int) []string {
	texts := make([]string, count)
	for i := range texts {
		texts[i] = fmt.Sprint(prefix, " ", i)
	}
	return texts
}

// expectPayloads wants messages with these payloads to come next, in order. One that was sent again, because nobody
// could know whether PostgreSQL had it, is the same to the byte and is passed over.
func (c *client) expectPayloads(want []string) {
	c.t.Helper()
	seen := map[string]bool{}
	for next := 0; next < len(want); {
		text := c.receive()
		if seen[text] {
			continue
		}
		seen[text] = true
		if got := parseMessage(c.t, text).Payload; got != want[next] {
			c.t.Fatalf("got %.50q, want %.50q", got, want[next])
		}
		next++
	}
}

// What is sent while the database is away arrives when it is back, also after more tries than PGWS_RETRIES. The clients
// stay, new ones come, and readiness tells.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Private(t, devpg.Options{})
	s := start(t, env{"PGWS_DB_URI": cluster.URI(), "PGWS_RETRIES": "1",
		"PGWS_CHECK_LISTENER_INTERVAL": "1000", "PGWS_ADMIN_ADDR": freeAddress(t)})
	sender := s.dial(t, "/chat/"+token(anybody))
	clients := []*client{sender, s.dial(t, "/chat/"+token(`{"mode":"r"}`))}
	tries := 0
	for _, mode := range []devpg.Mode{devpg.Fast, devpg.Immediate} {
		s.awaitReady(t, true)
		sender.send("before")
		for _, c := range clients {
			c.expectPayloads([]string{"before"})
		}
		check(t, cluster.Stop(t.Context(), mode))
		s.awaitReady(t, false)
		meanwhile := numbered("meanwhile", 1000)
		sender.send(meanwhile...)
		sender.expectPong() // All are accepted.
		clients = append(clients, s.dial(t, "/chat/"+token(`{"mode":"r"}`)))
		const more = 4
		programtest.Eventually(t, "the server has tried several times", func() bool {
			return strings.Count(s.Log.String(), "cannot listen") >= tries+more
		})
		check(t, cluster.Start(t.Context()))
		for _, c := range clients {
			c.expectPayloads(meanwhile)
		}
		tries = strings.Count(s.Log.String(), "cannot listen")
	}
	s.awaitReady(t, true)
}

// Sessions that PostgreSQL ends are replaced, with the interval set. Nothing that is sent meanwhile is lost.
func TestSessionsTerminated(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_CHECK_LISTENER_INTERVAL": "60000"}) // A loss is noticed at once.
	c := s.dial(t, "/chat/"+token(anybody))
	for round := range 5 {
		texts := numbered(fmt.Sprint("round ", round), 200)
		c.send(texts[:100]...)
		c.expectPayloads(texts[:100])
		s.terminate(t)
		c.send(texts[100:]...)
		c.expectPayloads(texts[100:])
	}
}

// Sessions that send can be ended at any moment: each message arrives, and the first arrivals are in order.
func TestSendingTerminated(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_CHECK_LISTENER_INTERVAL": "60000"})
	c := s.dial(t, "/chat/"+token(anybody))
	texts := numbered("message", 20_000)
	c.send("first")
	c.expectPayloads([]string{"first"}) // A session that sends is there.
	sent := make(chan error, 1)
	go func() {
		var data []byte
		for _, text := range texts {
			data = append(data, masked(textFrame(text))...)
		}
		_, err := c.conn.Write(data)
		sent <- err
	}()
	conn := connect(t, s.uri)
	for i := 0; i < len(texts); i += 1000 {
		_, err := conn.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and query ilike '%pg_notify%'`)
		check(t, err)
		c.expectPayloads(texts[i : i+1000])
	}
	check(t, <-sent)
}

// While the database is away, clients that send are made to wait when PGWS_QUEUE_BYTES are full: their connections are
// not read. All that they have sent arrives in the end.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Private(t, devpg.Options{})
	s := start(t, env{"PGWS_DB_URI": cluster.URI(), "PGWS_QUEUE_BYTES": "64KiB",
		"PGWS_CHECK_LISTENER_INTERVAL": "1000", "PGWS_ADMIN_ADDR": freeAddress(t)})
	sender, watcher := s.dial(t, "/chat/"+token(`{"mode":"w"}`)), s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	check(t, cluster.Stop(t.Context(), devpg.Fast))
	s.awaitReady(t, false)

	const count = 5000 // far more bytes than the sockets' buffers hold
	filling := strings.Repeat("x", 7000)
	texts := numbered(filling, count)
	var written atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for _, text := range texts {
			n, err := sender.conn.Write(masked(textFrame(text)))
			written.Add(int64(n))
			if err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	awaitStall(t, &written)
	if n := written.Load(); n >= count*int64(len(filling)) {
		t.Errorf("all %d bytes were taken while the database was away", n)
	}
	watcher.expectPong() // The others are served.

	check(t, cluster.Start(t.Context()))
	watcher.expectPayloads(texts)
	check(t, <-ended)
}

// awaitStall waits until a counter has not moved for a while.
func awaitStall(t *testing.T, counter *atomic.Int64) {
	t.Helper()
	const still = 100 // looks, of some milliseconds each
	last, same := int64(-1), 0
	programtest.Eventually(t, "nothing more is taken", func() bool {
		if n := counter.Load(); n != last || n == 0 {
			last, same = n, 0
			return false
		}
		same++
		return same == still
	})
}

// A connection that is half open tells nobody that it is dead, and another session that listens to the same channel
// hides it from whoever asks pg_stat_activity. The server asks the connection itself, within the interval.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	network, through := behindProxy(t, uri)
	s := start(t, env{"PGWS_DB_URI": through, "PGWS_CHECK_LISTENER_INTERVAL": "2000", "PGWS_ADMIN_ADDR": freeAddress(t)})
	s.uri = uri
	other := s.listen(t)
	c := s.dial(t, "/chat/"+token(anybody))
	c.send("before")
	c.expectPayloads([]string{"before"})
	other.receive()

	s.awaitReady(t, true)
	network.silence()
	since := time.Now()
	s.awaitReady(t, false)
	t.Logf("noticed after %v", time.Since(since)) // TCP itself would take minutes.
	c.send("meanwhile")
	c.expectPong()
	network.speak()
	c.expectPayloads([]string{"meanwhile"})
	s.awaitReady(t, true)
	s.notify(t, `{"channel":"chat","payload":"after"}`)
	c.expect(`{"channel":"chat","payload":"after"}`)
}

// Without the interval a lost listener ends the server in any case: clients are told 1012, the status is 1, and an
// outside supervisor may start it again.
func TestListenerLost(t *testing.T) { //nolint:tparallel // The subtests stop one cluster.
	t.Parallel()
	stop := func(mode devpg.Mode) func(*testing.T, *server, *devpg.Cluster) {
		return func(t *testing.T, _ *server, cluster *devpg.Cluster) { check(t, cluster.Stop(t.Context(), mode)) }
	}
	cluster := pgtest.Private(t, devpg.Options{})
	for _, tc := range []struct {
		name, interval string
		lose           func(*testing.T, *server, *devpg.Cluster)
	}{
		{"terminated", "", func(t *testing.T, s *server, _ *devpg.Cluster) { s.terminate(t) }},
		{"terminated, interval 0", "0", func(t *testing.T, s *server, _ *devpg.Cluster) { s.terminate(t) }},
		{"stopped", "", stop(devpg.Fast)},
		{"stopped at once", "", stop(devpg.Immediate)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, env{"PGWS_DB_URI": cluster.URI(), "PGWS_CHECK_LISTENER_INTERVAL": tc.interval})
			polite := s.dial(t, "/chat/"+token(anybody))
			s.dial(t, "/chat/"+token(anybody)) // It answers no close.
			tc.lose(t, s, cluster)
			lost := time.Now()
			// What cannot be sent any more does not hold the end up.
			_, _ = polite.conn.Write(masked(textFrame("too late")))
			polite.expectClose(1012)
			if status := s.wait(t); status != 1 {
				t.Errorf("the status is %d", status)
			}
			if took := time.Since(lost); took > 5*time.Second {
				t.Errorf("it ends after %v", took)
			}
			if _, err := net.Dial("tcp", s.addr); err == nil {
				t.Error("its port is still open")
			}
			select {
			case <-cluster.Done():
				check(t, cluster.Start(t.Context()))
			default:
			}
		})
	}
}
