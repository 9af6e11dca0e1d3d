package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/hub"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const listenChannel = "odd \"Channel\" ünd so"

// heard is a sink that hands on what it is told once it is flushed, and an
// observer of all.
type heard struct {
	pending []publication
	flushed chan publication
	ups     chan bool

	mu                                   sync.Mutex
	batches                              []int
	reconnects, failures, refusals, gaps int
}

type publication struct {
	channel, payload string
	except           *hub.Session
}

func newHeard() *heard {
	return &heard{flushed: make(chan publication, 100_000), ups: make(chan bool, 1000)}
}

func (h *heard) Append(channel, payload string, except *hub.Session) {
	h.pending = append(h.pending, publication{channel, payload, except})
}

func (h *heard) Gap() { h.mu.Lock(); defer h.mu.Unlock(); h.gaps++ }

func (h *heard) Flush() {
	for _, p := range h.pending {
		h.flushed <- p
	}
	h.pending = h.pending[:0]
}

func (h *heard) ListenerUp(up bool) { h.ups <- up }
func (h *heard) Reconnected()       { h.mu.Lock(); defer h.mu.Unlock(); h.reconnects++ }
func (h *heard) Notified(n int)     { h.mu.Lock(); defer h.mu.Unlock(); h.batches = append(h.batches, n) }
func (h *heard) NotifyFailed()      { h.mu.Lock(); defer h.mu.Unlock(); h.failures++ }
func (h *heard) NotifyRefused()     { h.mu.Lock(); defer h.mu.Unlock(); h.refusals++ }

func (h *heard) next(t testing.TB) publication {
	t.Helper()
	return await(t, h.flushed, "a notification")
}

func (h *heard) awaitUp(t testing.TB, want bool) {
	t.Helper()
	if up := await(t, h.ups, "the listener's change"); up != want {
		t.Fatalf("the listener is up: %v, want %v", up, want)
	}
}

// await waits for what a channel brings.
func await[T any](t testing.TB, c <-chan T, what string) (value T) {
	t.Helper()
	select {
	case value = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not come", what)
	}
	return value
}

// eventually polls a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func parse(t testing.TB, uri string) *pgxpool.Config {
	t.Helper()
	config, err := ParseURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// listen runs a listener until the test ends.
func listen(t testing.TB, uri string, change func(*ListenerOptions)) (*heard, <-chan error) {
	t.Helper()
	h := newHeard()
	o := ListenerOptions{
		Config: parse(t, uri).ConnConfig, Channel: listenChannel, Retries: 1, CheckInterval: time.Minute,
		Sink: h, Observer: h, Log: testLog(t),
	}
	if change != nil {
		change(&o)
	}
	ended := run(t, NewListener(o).Run)
	return h, ended
}

// run runs a service; its error is in the channel it returns.
func run(t testing.TB, service func(context.Context) error) <-chan error {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- service(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
	return ended
}

func connect(t testing.TB, uri string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(t testing.TB, conn *pgx.Conn, sql string, arguments ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, arguments...); err != nil {
		t.Fatal(err)
	}
}

// terminate ends the sessions with a name, as an administrator would.
func terminate(t testing.TB, conn *pgx.Conn, name string) int {
	t.Helper()
	var count int
	err := conn.QueryRow(t.Context(), `select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity
		where application_name = $1 and datname = current_database()`, name).Scan(&count)
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// through returns the URI with another address.
func through(t testing.TB, uri, address string) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = address
	return u.String()
}

// encodedDatabase lends a database with another encoding than UTF-8.
func encodedDatabase(t testing.TB, encoding string) (uri string) {
	t.Helper()
	admin := connect(t, pgtest.Database(t))
	name := strings.ToLower(encoding + "_" + rand.Text())
	execute(t, admin, fmt.Sprintf("create database %s encoding '%s' locale 'C' template template0", name, encoding))
	t.Cleanup(func() { _, _ = admin.Exec(context.Background(), "drop database "+name+" with (force)") })
	config := admin.Config()
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", config.User, config.Password, config.Host, config.Port, name)
}
