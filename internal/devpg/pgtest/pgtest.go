// Package pgtest gives tests a real PostgreSQL: one cluster for a test binary, started at first use, with a fresh
// database for each test that asks.
//
// A package whose tests use it hands its TestMain over:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"pgws/internal/devpg"
)

// timeout is the longest that starting a cluster, or making or dropping a database may take.
const timeout = 2 * time.Minute

// shared is the test binary's own cluster.
var shared struct {
	once    sync.Once
	cluster *devpg.Cluster
	err     error
}

// toxiproxy, which stands before a cluster to break connections, leaves goroutines of a connection that ends while data
// is on its way: they wait for ever to hand it on.
var leftByToxiproxy = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
	goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
}

// Main is the body of TestMain. It runs the tests, closes the shared cluster if there is one, looks for goroutines that
// the tests have left behind, and exits.
func Main(m *testing.M) {
	code := m.Run()
	// A cluster cannot be started after this, by a test that has been left behind.
	shared.once.Do(func() { shared.err = fmt.Errorf("the tests have ended") })
	if shared.cluster != nil {
		if err := shared.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = max(code, 1)
		}
	}
	if code == 0 {
		if err := goleak.Find(leftByToxiproxy...); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest: goroutines left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Cluster returns the test binary's own cluster. Tests must not stop it; Private is for those that do.
func Cluster(t testing.TB) *devpg.Cluster {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		shared.cluster, shared.err = devpg.Start(ctx, devpg.Options{Settings: map[string]string{"max_connections": "300"}})
	})
	if shared.err != nil {
		t.Fatalf("pgtest: the shared cluster: %v", shared.err)
	}
	return shared.cluster
}

// Database makes a fresh database on the shared cluster and returns its URI. Channels of NOTIFY belong to one database,
// so tests with a database each do not hear one another. It is dropped when the test ends, whoever is still connected.
func Database(t testing.TB) string {
	t.Helper()
	uri := Cluster(t).URI()
	name := "test_" + strings.ToLower(rand.Text())
	execute(t, uri, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, uri, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatalf("pgtest: the cluster's URI: %v", err)
	}
	u.Path = name
	return u.String()
}

// Private starts a cluster of this test's own, which it may stop. It is closed when the test ends.
func Private(t testing.TB, o devpg.Options) *devpg.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	c, err := devpg.Start(ctx, o)
	if err != nil {
		t.Fatalf("pgtest: a private cluster: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("pgtest: a private cluster: %v", err)
		}
	})
	return c
}

// execute runs one statement on a connection of its own.
func execute(t testing.TB, uri, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, uri)
	if err != nil {
		t.Fatalf("pgtest: connect: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Errorf("pgtest: %s: %v", sql, err)
	}
}
