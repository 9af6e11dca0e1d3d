package app_test

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/jackc/pgx/v5"

	"pgws/internal/app"
	"pgws/internal/config"
	"pgws/internal/devpg/pgtest"
)

const secret = "a secret of thirty-two bytes or more"

func TestMain(m *testing.M) { pgtest.Main(m) }

// run starts an app on a database of its own and returns it with the URI.
func run(t *testing.T, settings map[string]string) (*app.App, string) {
	t.Helper()
	uri := pgtest.Database(t)
	values := map[string]string{"PGWS_DB_URI": uri, "PGWS_JWT_SECRET": secret, "PGWS_PORT": "0", "PGWS_HOST": "127.0.0.1"}
	maps.Copy(values, settings)
	c, err := config.Read(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{Config: c, Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	select {
	case <-a.Started():
	case err := <-ended:
		ended <- err
		t.Fatalf("not started: %v", err)
	}
	return a, uri
}

func dial(t *testing.T, a *app.App, path string) net.Conn {
	t.Helper()
	conn, buffered, _, err := ws.Dial(t.Context(), "ws://"+a.Addr().String()+path)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if buffered != nil {
		ws.PutReader(buffered)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func TestMessageTravels(t *testing.T) {
	t.Parallel()
	a, uri := run(t, nil)
	token, err := a.Sign([]byte(`{"mode":"rw","name":"ann"}`))
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, a, "/chat/"+token)
	db, err := pgx.Connect(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	const payload = `{"channel":"chat","payload":"from SQL"}`
	if _, err := db.Exec(t.Context(), "select pg_notify('postgres-websockets-listener', $1)", payload); err != nil {
		t.Fatal(err)
	}
	got, err := wsutil.ReadServerText(conn)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != payload {
		t.Errorf("got %q, want %q", got, payload)
	}
	if err := wsutil.WriteClientText(conn, []byte("hello \"world\"\n")); err != nil {
		t.Fatal(err)
	}
	got, err = wsutil.ReadServerText(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", got)
}
