package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"pgws/client"
	"pgws/internal/app"
	"pgws/internal/config"
	"pgws/internal/devpg/pgtest"
)

const secret = exampleSecret

// A server is a real one, on a database of its own.
type server struct {
	t      *testing.T
	app    *app.App
	signer func(claims []byte) (string, error) // has the secret of all that are started here
	values map[string]string
	stop   func()
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, values: map[string]string{
		"PGWS_DB_URI": pgtest.Database(t), "PGWS_JWT_SECRET": secret, "PGWS_PORT": "0", "PGWS_HOST": "127.0.0.1",
		"PGWS_CHECK_LISTENER_INTERVAL": "60000",
	}}
	s.start()
	s.signer = s.app.Sign
	t.Cleanup(func() { s.stop() })
	return s
}

// start runs the server, also a second time.
func (s *server) start() {
	s.t.Helper()
	c, err := config.Read(func(name string) (string, bool) { v, ok := s.values[name]; return v, ok })
	check(s.t, err)
	s.app, err = app.New(s.t.Context(), app.Options{Config: c, Version: "test", Log: slog.New(slog.NewTextHandler(s.t.Output(), nil))})
	check(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.app.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("run: %v", err)
		}
	})
	select {
	case <-s.app.Started():
	case err := <-ended:
		ended <- err
		s.t.Fatalf("not started: %v", err)
	}
}

func (s *server) url() string { return "http://" + s.app.Addr().String() }

// sign returns a Token function with claims. A ttl above 0 is that of each token.
func (s *server) sign(ttl time.Duration, claims map[string]any) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		all := maps.Clone(claims)
		if ttl > 0 {
			all["exp"] = float64(time.Now().Add(ttl).UnixMilli()) / 1000
		}
		encoded, err := json.Marshal(all)
		if err != nil {
			return "", err
		}
		return s.signer(encoded)
	}
}

var anybody = map[string]any{"mode": "rw", "sub": "ann"}

// notify sends notifications, all in one transaction.
func (s *server) notify(payloads ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.values["PGWS_DB_URI"])
	check(s.t, err)
	defer conn.Close(ctx)
	s.notifyOn(conn, payloads)
}

func (s *server) notifyOn(conn *pgx.Conn, payloads []string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := conn.Exec(ctx, "select pg_notify('postgres-websockets-listener', payload) from unnest($1::text[]) payload", payloads)
	check(s.t, err)
}

// numbered returns notifications for a channel with the payloads from to to-1.
func numbered(channel string, from, to int) []string {
	var texts []string
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprintf(`{"channel":%q,"payload":"%d"}`, channel, i))
	}
	return texts
}

// expectNumbered wants the notifications from to to-1 next, each once.
func expectNumbered(t *testing.T, s *client.Subscription, channel string, from, to int) {
	t.Helper()
	for _, want := range numbered(channel, from, to) {
		if m := next(t, s); string(m.Payload) != want {
			t.Fatalf("got %+v %s, want %s", m, m.Payload, want)
		}
	}
}

// A line is the network before a server, which can be cut.
type line struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func lineTo(t *testing.T, s *server) *line {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &line{t, toxiproxy.NewProxy(server, "server", "127.0.0.1:0", s.app.Addr().String())}
	check(t, l.proxy.Start())
	t.Cleanup(l.proxy.Stop)
	return l
}

func (l *line) url() string { return "http://" + l.proxy.Listen }

// cut ends all connections, and lets none in until it is mended.
func (l *line) cut() { l.proxy.Stop() }

func (l *line) mend() {
	l.t.Helper()
	check(l.t, l.proxy.Start())
}

// A blocker is a reverse proxy that lets no websocket through.
type blocker struct {
	url string
	// asked counts the websockets that were asked for, streams the event streams.
	asked, streams atomic.Int32
}

// blocking answers a request for a websocket by block.
func blocking(t *testing.T, target string, block http.HandlerFunc) *blocker {
	t.Helper()
	u, err := url.Parse(target)
	check(t, err)
	b := new(blocker)
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(u) },
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelInfo),
	}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") != "":
			b.asked.Add(1)
			block(w, r)
			return
		case r.Method == http.MethodGet:
			b.streams.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(host.Close)
	b.url = host.URL
	return b
}

func forbid(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "no websockets here", http.StatusForbidden)
}

// states collect what a client says of its connection.
type states struct {
	mu   sync.Mutex
	list []client.State
	news chan struct{}
}

func newStates() *states { return &states{news: make(chan struct{}, 1)} }

func (s *states) add(state client.State) {
	s.mu.Lock()
	s.list = append(s.list, state)
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// await waits until so many states are as they should be.
func (s *states) await(t *testing.T, count int, is func(client.State) bool) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for s.count(is) < count {
		select {
		case <-s.news:
		case <-timer.C:
			t.Fatalf("waited in vain; the states are %+v", s.all())
		}
	}
}

func (s *states) all() []client.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

func (s *states) count(is func(client.State) bool) (n int) {
	for _, state := range s.all() {
		if is(state) {
			n++
		}
	}
	return n
}

func connected(s client.State) bool { return s.Connected && s.Err == nil }
func lost(s client.State) bool      { return !s.Connected }
