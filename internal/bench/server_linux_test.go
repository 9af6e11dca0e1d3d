package bench_test

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"testing"

	"pgws/internal/app"
	"pgws/internal/bench"
	"pgws/internal/config"
	"pgws/internal/devpg/pgtest"
)

const (
	secret        = "a secret of thirty-two bytes or more"
	listenChannel = "a channel of tests"
)

// startServer starts pgws on a database of its own, with further settings as pairs of name and value. It runs in our
// process, so that CPU and memory are those of the tests.
func startServer(t *testing.T, further ...string) *bench.Target {
	t.Helper()
	uri := pgtest.Database(t)
	settings := map[string]string{
		"PGWS_DB_URI": uri, "PGWS_JWT_SECRET": secret, "PGWS_LISTEN_CHANNEL": listenChannel, "PGWS_META_CHANNEL": "meta",
		"PGWS_HOST": "127.0.0.1", "PGWS_PORT": "0", "PGWS_ADMIN_ADDR": "127.0.0.1:0",
	}
	for pair := range slices.Chunk(further, 2) {
		settings[pair[0]] = pair[1]
	}
	c, err := config.Read(func(name string) (string, bool) { v, ok := settings[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := app.New(t.Context(), app.Options{Config: c, Version: "test", Log: log})
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
	return &bench.Target{
		Address:       a.Addr().String(),
		PID:           os.Getpid(),
		Database:      uri,
		ListenChannel: listenChannel,
		Secret:        []byte(secret),
		Metrics:       "http://" + a.AdminAddr().String() + "/metrics",
	}
}
