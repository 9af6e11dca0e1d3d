// Package devpg runs a throw-away PostgreSQL for `pgws dev`, tests and benchmarks, on Linux and macOS, as an ordinary user
// or as root.
//
// A cluster listens on 127.0.0.1 only, has no unix socket and trusts nobody: its superuser postgres has a random
// password. wal_level is logical. Its programs are those on PATH, or the newest in the places where packagers put them;
// where there are none they are downloaded once into the user's cache folder.
//
// Nothing is left behind, also when our process is killed with SIGKILL at any moment. Two kinds of small shell processes
// see to it, each in a session of its own. A guard is the parent of every initdb and postgres that runs: it ends its
// command when a pipe that only we write to is closed, which the kernel does when we die. A keeper removes a temporary
// folder when a pipe that we and all processes of the cluster hold has no writer any more, so never under a running
// server. A cancelled Start and Close of a temporary cluster take the same way. If a guard is killed, PostgreSQL goes
// on, and Stop and Close still end it; only when both shells of the guard are killed, and then we too, is the server left
// with its folder. If a keeper is killed, Close removes the folder.
//
// Every Cluster must be closed. Its methods may be called from several goroutines at once. The package imports nothing
// else of pgws.
package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	superuser = "postgres"
	database  = "postgres"
	host      = "127.0.0.1"

	// fastTimeout is how long Close lets a cluster that is kept write its data out before it is stopped at once.
	fastTimeout = 30 * time.Second
)

// Options are the settings of a cluster. The zero value is a temporary one on a free port.
type Options struct {
	// Dir is the folder in which the cluster is kept: made at the first Start, used again by later ones. Empty: a temporary
	// folder that goes away with Close.
	Dir string
	// Port on 127.0.0.1; 0: a free one.
	Port int
	// Settings of postgresql.conf, by name. They win over those that this package makes.
	Settings map[string]string
	// Log is told what takes long, such as a download. Nil: nothing is.
	Log *slog.Logger
}

// Mode is how a cluster is stopped.
type Mode syscall.Signal

const (
	// Fast ends all sessions and writes all data out.
	Fast = Mode(syscall.SIGINT)
	// Immediate is like a crash: nothing is written, and the next start recovers from the WAL.
	Immediate = Mode(syscall.SIGQUIT)
)

// Cluster is a PostgreSQL of our own.
type Cluster struct {
	folder   *folder
	binaries binaries
	settings map[string]string
	port     int
	password string
	log      *slog.Logger
	close    func() error

	mu      sync.Mutex
	server  *server // the last one that was started
	stopped bool    // the server was asked to stop
	closed  bool
}

// Start starts a cluster and returns when it accepts connections. If it fails, or the context ends, nothing is left
// behind but the folder in Options.Dir.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{port: o.Port, settings: o.Settings, log: o.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.close = sync.OnceValue(c.closeOnce)
	if err := c.open(ctx, o.Dir); err != nil {
		return nil, fmt.Errorf("devpg: %w", errors.Join(err, c.close()))
	}
	return c, nil
}

func (c *Cluster) open(ctx context.Context, dir string) (err error) {
	if c.folder, err = openFolder(dir); err != nil {
		return err
	}
	major, err := c.folder.major()
	if err != nil {
		return err
	}
	if c.binaries, err = findBinaries(ctx, major, c.folder.owner, c.log); err != nil {
		return fmt.Errorf("programs for %s: %w", c.folder.path, err)
	}
	if c.password, err = c.folder.initdb(ctx, c.binaries); err != nil {
		return err
	}
	if c.port != 0 {
		return c.start(ctx)
	}
	return c.startOnFreePort(ctx, freePort)
}

// URI is where a driver connects to: the database postgres as the superuser, password included.
func (c *Cluster) URI() string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, c.password),
		Host:     host + ":" + strconv.Itoa(c.port),
		Path:     database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Psql is a line for a shell that opens psql on the cluster. The password stands in the environment, for other users can
// read arguments.
func (c *Cluster) Psql() string {
	psql := "psql"
	if _, err := exec.LookPath(psql); err != nil {
		if path, err := exec.LookPath(filepath.Join(c.binaries.dir, psql)); err == nil {
			psql = "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
		}
	}
	return fmt.Sprintf("PGPASSWORD=%s %s -h %s -p %d -U %s %s", c.password, psql, host, c.port, superuser, database)
}

// Start starts a cluster that has been stopped, or has ended on its own, on the same port and data. It returns when the
// cluster accepts connections.
func (c *Cluster) Start(ctx context.Context) error {
	if err := c.start(ctx); err != nil {
		return fmt.Errorf("devpg: %w", err)
	}
	return nil
}

// Stop stops the cluster and returns when all its processes have ended, or with an error when the context ends before
// that. A cluster that does not run is not an error.
func (c *Cluster) Stop(ctx context.Context, mode Mode) error {
	c.mu.Lock()
	c.stopped = true
	s := c.server
	c.mu.Unlock()
	if err := s.stop(ctx, syscall.Signal(mode)); err != nil {
		return fmt.Errorf("devpg: stop: %w", err)
	}
	return nil
}

// Done is closed when the server that was started last has ended, by Stop or Close or on its own.
func (c *Cluster) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server.process.done
}

// Err says how the server ended, with the last lines of its log. It is nil while the server runs, and when it was asked
// to stop.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.server.process.done:
	default:
		return nil
	}
	if c.stopped {
		return nil
	}
	return fmt.Errorf("devpg: PostgreSQL has ended on its own: %w", c.server.err())
}

// Close stops the cluster, waits for all its processes and removes its folder if that is temporary. It may be called
// more than once.
func (c *Cluster) Close() error {
	if err := c.close(); err != nil {
		return fmt.Errorf("devpg: close: %w", err)
	}
	return nil
}

func (c *Cluster) closeOnce() error {
	c.mu.Lock()
	c.stopped, c.closed = true, true
	s := c.server
	c.mu.Unlock()
	var errs []error
	if s != nil {
		if !c.folder.temporary() {
			ctx, cancel := context.WithTimeout(context.Background(), fastTimeout)
			defer cancel()
			errs = append(errs, s.stop(ctx, syscall.SIGINT))
		}
		errs = append(errs, s.process.end())
	}
	if c.folder != nil {
		errs = append(errs, c.folder.close())
	}
	return errors.Join(errs...)
}
