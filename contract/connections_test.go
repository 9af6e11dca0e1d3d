package contract_test

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// As many connections issue NOTIFY as PGWS_POOL_SIZE says, where that many are of use, and never more.
func TestPoolSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 3} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			uri := pgtest.Database(t)
			network, through := behindProxy(t, uri)
			s := start(t, env{"PGWS_DB_URI": through, "PGWS_POOL_SIZE": strconv.Itoa(size)})
			first := s.dial(t, "/first/"+token(anybody))
			first.send("first")
			first.receive()
			database := connect(t, uri)
			others := func() (n int) {
				check(t, database.QueryRow(t.Context(), `select count(*) from pg_stat_activity
					where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`).Scan(&n))
				return n
			}
			// Those of the start are closed before there is an answer, but PostgreSQL shows them a while longer.
			programtest.Eventually(t, "one connection listens and one sends", func() bool { return others() == 2 })
			network.slow(20)

			const senders, least = 6, 100 // samples, also after all connections were seen
			enough := make(chan struct{})
			ended := make(chan error, senders)
			for i := range senders {
				c := s.dial(t, fmt.Sprintf("/%d/%s", i, token(anybody)))
				go func() { ended <- c.echo(enough) }()
			}
			most, samples := 0, 0
			timeout := time.Now().Add(patience)
			sample := time.NewTicker(5 * time.Millisecond)
			defer sample.Stop()
			for running := senders; running > 0; {
				select {
				case err := <-ended:
					check(t, err)
					running--
				case <-sample.C:
					most = max(most, others()-1) // One listens.
					samples++
					if samples >= least && most >= size || time.Now().After(timeout) {
						close(enough)
						sample.Stop()
					}
				}
			}
			if most != size {
				t.Errorf("%d connections were used", most)
			}
		})
	}
}

// echo sends a message and waits for it to come back, again and again until it is enough. It may run beside the test.
func (c *client) echo(enough <-chan struct{}) error {
	for {
		select {
		case <-enough:
			return nil
		default:
		}
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := c.conn.Write(masked(textFrame("again"))); err != nil {
			return err
		}
		for {
			frame, err := ws.ReadFrame(c.in)
			if err != nil {
				return err
			}
			if frame.Header.OpCode == ws.OpText {
				break
			}
		}
	}
}

// Connecting is tried as often as PGWS_RETRIES says, after 1, 2, 4 … seconds.
func TestRetries(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	const most = 100
	tries := make(chan time.Time, most)
	ended := make(chan error)
	go func() { ended <- refuseAll(l, tries) }()
	variables := defaults()
	variables["PGWS_RETRIES"] = "3"
	variables["PGWS_DB_URI"] = "postgres://ann:the-password@" + l.Addr().String() + "/none?sslmode=disable"
	status, _, stderr := run(t, variables)
	check(t, l.Close())
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if status == 0 || stderr == "" {
		t.Errorf("status %d, standard error %q", status, stderr)
	}
	close(tries)
	var last time.Time
	var waits []time.Duration
	for try := range tries {
		// One try may open more than one connection, one right after the other.
		if wait := try.Sub(last); !last.IsZero() && wait > 500*time.Millisecond {
			waits = append(waits, wait)
		}
		last = try
	}
	const late = 100 * time.Millisecond // A try may be seen later than it was made.
	if len(waits) != 2 || waits[0] < time.Second-late || waits[1] < 2*time.Second-late {
		t.Errorf("the tries were %v apart, want 1s and 2s", waits)
	}
}

// refuseAll ends each connection at once and tells when it came, until the listener is closed.
func refuseAll(l net.Listener, came chan<- time.Time) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		came <- time.Now()
		if err := conn.Close(); err != nil {
			return err
		}
	}
}

// A database that is there in time is waited for.
func TestDatabaseComesLate(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Private(t, devpg.Options{})
	check(t, cluster.Stop(t.Context(), devpg.Fast))
	s := start(t, env{"PGWS_DB_URI": cluster.URI()})
	s.awaitLog(t, `level=WARN`)
	check(t, cluster.Start(t.Context()))
	s.travel(t)
}

// A pooler that lends connections by the transaction takes LISTEN and never delivers. It is named in the error.
func TestTransactionPooler(t *testing.T) {
	t.Parallel()
	variables := defaults()
	variables["PGWS_RETRIES"] = "1"
	variables["PGWS_DB_URI"] = behindPooler(t, pgtest.Database(t))
	status, _, stderr := run(t, variables)
	if status == 0 || !strings.Contains(stderr, "pooler in transaction mode") {
		t.Errorf("status %d, standard error %q", status, stderr)
	}
}
