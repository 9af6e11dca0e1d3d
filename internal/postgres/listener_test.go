package postgres

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"pgws/internal/devpg/pgtest"
)

func TestListenerHears(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	db := connect(t, uri)
	payloads := []string{`{"channel":"chat","payload":1}`, `no JSON`, `{"channel":2}`, ``, ` {"channel":"a\"b","x":{"channel":"c"}} `}
	want := []publication{{"chat", payloads[0], nil}, {listenChannel, payloads[1], nil}, {listenChannel, payloads[2], nil}, {listenChannel, "", nil}, {`a"b`, payloads[4], nil}}
	execute(t, db, "select pg_notify('another channel', 'not heard')")
	for i, payload := range payloads {
		execute(t, db, "select pg_notify($1, $2)", listenChannel, payload)
		if diff := cmp.Diff(fmt.Sprint(want[i]), fmt.Sprint(h.next(t))); diff != "" {
			t.Error(diff)
		}
	}
}

// TestListenerHearsBursts has far more come in one transaction than one read takes.
func TestListenerHearsBursts(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	execute(t, connect(t, uri), "select pg_notify($1, i || repeat('x', 7000)) from generate_series(1, 3000) i", listenChannel)
	for i := 1; i <= 3000; i++ {
		if p := h.next(t); !strings.HasPrefix(p.payload, fmt.Sprint(i, "x")) {
			t.Fatalf("got %.20q at place %d", p.payload, i)
		}
	}
}

// TestListenerReplacesItsConnection has another session listen to the same
// channel meanwhile, which must not hide the loss.
func TestListenerReplacesItsConnection(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	db := connect(t, uri)
	other, _ := listen(t, strings.Replace(uri, "?", "?application_name=other&", 1), nil)
	other.awaitUp(t, true)
	h, _ := listen(t, uri, nil)
	h.awaitUp(t, true)
	for range 3 {
		if n := terminate(t, db, "pgws listener"); n != 1 {
			t.Fatalf("%d listeners", n)
		}
		h.awaitUp(t, false)
		h.awaitUp(t, true)
	}
	execute(t, db, "select pg_notify($1, 'again')", listenChannel)
	if p := h.next(t); p.payload != "again" {
		t.Errorf("got %q", p.payload)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reconnects != 3 || h.gaps != 3 {
		t.Errorf("counted %d reconnects and %d gaps", h.reconnects, h.gaps)
	}
}

func TestListenerWithoutInterval(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	h, ended := listen(t, uri, func(o *ListenerOptions) { o.CheckInterval = 0 })
	h.awaitUp(t, true)
	terminate(t, connect(t, uri), "pgws listener")
	err := <-ended
	if !errors.Is(err, ErrListenerLost) {
		t.Errorf("ended with %v", err)
	}
	const adminShutdown = "57P01"
	if cause, ok := errors.AsType[*pgconn.PgError](err); !ok || cause.Code != adminShutdown {
		t.Errorf("ended with %v, which does not tell why", err)
	}
}

func TestListenerGivesUpAtStart(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	uri := "postgres://somebody:s3cret@" + address + "/db"
	start := time.Now()
	_, ended := listen(t, uri, func(o *ListenerOptions) { o.Retries = 2 })
	err = <-ended
	if err == nil || !strings.Contains(err.Error(), "after 2 tries") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("ended with %v", err)
	}
	if since := time.Since(start); since < firstWait {
		t.Errorf("gave up after %v", since)
	}
}

// proxy leads to a database and can be made to fail.
func proxy(t *testing.T, uri string) (*toxiproxy.Proxy, string) {
	t.Helper()
	nop := zerolog.Nop()
	metrics := toxiproxy.NewMetricsContainer(prometheus.NewRegistry())
	server := toxiproxy.NewServer(metrics, nop)
	p := toxiproxy.NewProxy(server, "database", "127.0.0.1:0", parse(t, uri).ConnConfig.Host+":"+fmt.Sprint(parse(t, uri).ConnConfig.Port))
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p, through(t, uri, p.Listen)
}

// blackHole lets nothing through any more and tells nobody.
func blackHole(t *testing.T, p *toxiproxy.Proxy) {
	t.Helper()
	addToxic(t, p, `{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`)
	loseAnswers(t, p)
}

// loseAnswers lets nothing through from PostgreSQL.
func loseAnswers(t *testing.T, p *toxiproxy.Proxy) {
	t.Helper()
	addToxic(t, p, `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)
}

// delayAnswers has all from PostgreSQL come late.
func delayAnswers(t *testing.T, p *toxiproxy.Proxy, delay time.Duration) {
	t.Helper()
	addToxic(t, p, fmt.Sprintf(`{"type":"latency","stream":"downstream","attributes":{"latency":%d}}`, delay.Milliseconds()))
}

func addToxic(t *testing.T, p *toxiproxy.Proxy, toxic string) {
	t.Helper()
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		t.Fatal(err)
	}
}

// restart breaks the connections and lets new ones through.
func restart(t *testing.T, p *toxiproxy.Proxy) {
	t.Helper()
	p.Stop()
	p.Toxics.ResetToxics(t.Context())
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
}

// TestListenerNoticesHalfOpenConnection has the network go silent.
func TestListenerNoticesHalfOpenConnection(t *testing.T) {
	t.Parallel()
	const interval = 600 * time.Millisecond
	uri := pgtest.Database(t)
	p, proxied := proxy(t, uri)
	h, _ := listen(t, proxied, func(o *ListenerOptions) { o.CheckInterval = interval })
	h.awaitUp(t, true)
	execute(t, connect(t, uri), "select pg_notify($1, 'one')", listenChannel)
	h.next(t)
	start := time.Now()
	blackHole(t, p)
	h.awaitUp(t, false)
	if since := time.Since(start); since > 5*interval {
		t.Errorf("noticed after %v, the interval is %v", since, interval)
	}
	p.Toxics.ResetToxics(t.Context())
	h.awaitUp(t, true)
}

// TestListenerChecks has several checks pass in silence: they leave the
// connection as it is.
func TestListenerChecks(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	h, _ := listen(t, uri, func(o *ListenerOptions) { o.CheckInterval = 100 * time.Millisecond })
	h.awaitUp(t, true)
	db := connect(t, uri)
	for i := range 5 {
		execute(t, db, "select pg_sleep(0.15), pg_notify($1, $2)", listenChannel, fmt.Sprint(i))
		if p := h.next(t); p.payload != fmt.Sprint(i) {
			t.Errorf("got %q", p.payload)
		}
	}
	select {
	case up := <-h.ups:
		t.Errorf("the listener is up: %v", up)
	default:
	}
}
