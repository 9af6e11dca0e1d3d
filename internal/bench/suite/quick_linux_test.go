package suite

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"pgws/internal/app"
	"pgws/internal/bench"
	"pgws/internal/config"
	"pgws/internal/devpg/pgtest"
)

// timeout is longer than a quick suite takes. Only one that hangs meets it.
const timeout = 2 * time.Minute

// serve runs pgws in this process until the test ends.
func serve(t *testing.T) *bench.Target {
	t.Helper()
	target := &bench.Target{
		PID: os.Getpid(), Database: pgtest.Database(t), ListenChannel: "suite", Secret: []byte("a secret of thirty-two bytes or more"),
	}
	settings := map[string]string{
		"PGWS_DB_URI": target.Database, "PGWS_JWT_SECRET": string(target.Secret), "PGWS_LISTEN_CHANNEL": target.ListenChannel,
		"PGWS_HOST": "127.0.0.1", "PGWS_PORT": "0",
	}
	c, err := config.Read(func(name string) (string, bool) { v, ok := settings[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	server, err := app.New(t.Context(), app.Options{Config: c, Version: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	select {
	case <-server.Started():
	case err := <-ended:
		ended <- err
		t.Fatalf("not started: %v", err)
	}
	target.Address = server.Addr().String()
	return target
}

// TestQuick makes every run on a real server, and looks whether the page has every figure that it is to have.
func TestQuick(t *testing.T) {
	t.Parallel()
	target := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	dir, stops, told := t.TempDir(), 0, 0
	s := &Suite{
		Dir: dir, Quick: true, Server: "pgws", Command: "go test",
		Fresh: func(context.Context) (*bench.Target, func() error, error) {
			return target, func() error { stops++; return nil }, nil
		},
		Progress: func(run, runs int, _ string) { told = max(told, run*1000/runs) },
	}
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	complete(t, dir)
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if told != 1000 || stops == 0 || r.About.Machine.PostgreSQL == "" || r.About.Machine.OpenFiles == 0 {
		t.Errorf("told of %d runs in 1000, %d servers stopped, %+v", told, stops, r.About.Machine)
	}
	for _, row := range rows {
		if values, _ := r.values(headline, row.series, row.figure); len(values) != quick.times {
			t.Errorf("%s: %d values of %q", row.what, len(values), row.figure)
		}
		if values, _ := r.values(headline, row.floor, row.floorPrefix+row.figure); row.floor != "" && len(values) != quick.times {
			t.Errorf("%s: %d values of %q of the floor", row.what, len(values), row.figure)
		}
	}
	for _, f := range figures {
		if drawn := f.draw(r).Series; len(drawn) == 0 || len(drawn) < len(f.lines) {
			t.Errorf("%s: %d lines", f.file, len(drawn))
		}
	}
}
