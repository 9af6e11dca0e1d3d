package pgtest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestDatabaseIsFresh(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "another"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, pgtest.Database(t))
			if _, err := conn.Exec(t.Context(), "CREATE TABLE seen ()"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDatabasesDoNotHearOneAnother(t *testing.T) {
	t.Parallel()
	here, there := pgtest.Database(t), pgtest.Database(t)
	listener := connect(t, here)
	statements := []struct{ uri, sql string }{
		{there, "NOTIFY news, 'from there'"},
		{here, "NOTIFY news, 'from here'"},
	}
	if _, err := listener.Exec(t.Context(), "LISTEN news"); err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := connect(t, s.uri).Exec(t.Context(), s.sql); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := listener.WaitForNotification(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if n.Payload != "from here" {
		t.Errorf("heard %q", n.Payload)
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	var name string
	t.Run("with a connection that stays", func(t *testing.T) {
		var conn *pgx.Conn
		t.Cleanup(func() { // It runs after the database has been dropped.
			if conn != nil && conn.Ping(context.Background()) == nil {
				t.Error("the connection has outlived its database")
			}
		})
		uri := pgtest.Database(t)
		var err error
		if conn, err = pgx.Connect(t.Context(), uri); err != nil {
			t.Fatal(err)
		}
		name = conn.Config().Database
	})
	var exists bool
	sql := "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
	if err := connect(t, pgtest.Cluster(t).URI()).QueryRow(t.Context(), sql, name).Scan(&exists); err != nil {
		t.Fatal(err)
	}
	if exists {
		t.Errorf("the database %s is still there", name)
	}
}

func TestPrivateClusterMayBeStopped(t *testing.T) {
	var c *devpg.Cluster
	t.Run("while the test runs", func(t *testing.T) {
		c = pgtest.Private(t, devpg.Options{})
		if c.URI() == pgtest.Cluster(t).URI() {
			t.Error("it is the shared one")
		}
		if err := c.Stop(t.Context(), devpg.Immediate); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if err := c.Start(t.Context()); err == nil {
		t.Error("it was not closed with its test")
	}
}

// leakEnv makes TestLeak leave a goroutine behind.
const leakEnv = "PGTEST_LEAK"

func TestLeak(t *testing.T) {
	pgtest.Cluster(t)
	if os.Getenv(leakEnv) != "" {
		go func() { select {} }()
	}
}

func TestMainFindsLeaks(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		leak string
		fail bool
	}{
		"a goroutine is left": {leak: "1", fail: true},
		"nothing is left":     {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), self, "-test.run=^TestLeak$")
			command.Env = append(os.Environ(), leakEnv+"="+test.leak)
			out, err := command.CombinedOutput()
			if (err != nil) != test.fail || strings.Contains(string(out), "goroutines left behind") != test.fail {
				t.Errorf("it ended with %v and said:\n%s", err, out)
			}
		})
	}
}

// connect returns a connection that is closed when the test ends.
func connect(t *testing.T, uri string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return conn
}
