package devpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// portTries is how many free ports are tried: another program may take one between our choice and PostgreSQL's bind.
	portTries = 5
	// pollInterval is how often a starting server is asked whether it is ready.
	pollInterval = 10 * time.Millisecond
	// logTail is how much of a server's log an error quotes, in bytes.
	logTail = 4096
)

// errPortTaken says that the server ended because another program listens on its port.
var errPortTaken = errors.New("the port is taken")

// server is one run of postgres.
type server struct {
	process *process
	folder  *folder
	logFrom int64 // where this run's lines begin in the log
}

// startOnFreePort starts the server on the port that pick finds, and again on another if it loses the race for it.
func (c *Cluster) startOnFreePort(ctx context.Context, pick func(context.Context) (int, error)) (err error) {
	for range portTries {
		if c.port, err = pick(ctx); err != nil {
			return err
		}
		if err = c.start(ctx); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", host+":0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// start runs a server and returns when it accepts connections; if not, the server has ended.
func (c *Cluster) start(ctx context.Context) error {
	before, _ := c.folder.root.ReadFile(statusPath) // There is none unless the last server crashed.
	s, err := c.launch()
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := s.ready(ctx, before); err != nil {
		return fmt.Errorf("start PostgreSQL on port %d: %w", c.port, errors.Join(err, s.process.end()))
	}
	return nil
}

// launch starts postgres as the cluster's server.
func (c *Cluster) launch() (*server, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("the cluster is closed")
	}
	if c.server != nil {
		select {
		case <-c.server.process.done:
		default:
			return nil, errors.New("it is running")
		}
	}
	log, err := c.folder.openFile(logName, os.O_CREATE|os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	p, err := c.folder.start(log, c.command()...)
	if err != nil {
		return nil, err
	}
	c.server, c.stopped = &server{process: p, folder: c.folder, logFrom: from}, false
	return c.server, nil
}

// command is postgres with its settings. What is kept is kept safe; what is thrown away need not reach the disk.
func (c *Cluster) command() []string {
	settings := map[string]string{
		"listen_addresses":        host,
		"port":                    strconv.Itoa(c.port),
		"unix_socket_directories": "",
		"wal_level":               "logical",
		"shared_buffers":          "32MB",
		"logging_collector":       "off",
		"log_destination":         "stderr",
	}
	if c.folder.temporary() {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
	}
	maps.Copy(settings, c.settings)
	command := []string{filepath.Join(c.binaries.dir, "postgres"), "-D", filepath.Join(c.folder.path, dataName)}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		command = append(command, "-c", name+"="+settings[name])
	}
	return command
}

// statusPath is the file in which the postmaster says who it is, and in its eighth line what it is doing.
var statusPath = filepath.Join(dataName, "postmaster.pid")

// ready waits until the server accepts connections. The status that a crashed server has left behind, if any, is not
// this one's.
func (s *server) ready(ctx context.Context, before []byte) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.process.done:
			return s.err()
		case <-ticker.C:
		}
		// While there is no such file, or an unfinished one, the server is not ready.
		status, _ := s.folder.root.ReadFile(statusPath)
		lines := strings.Split(string(status), "\n")
		if len(lines) >= 8 && strings.TrimSpace(lines[7]) == "ready" && !bytes.Equal(status, before) {
			return nil
		}
	}
}

// stop sends a signal and waits until the server has ended.
func (s *server) stop(ctx context.Context, signal syscall.Signal) error {
	if err := s.process.signal(signal); err != nil {
		return err
	}
	select {
	case <-s.process.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// err is how a server ended that was not asked to: its status and the last lines of its log.
func (s *server) err() error {
	log := s.folder.tail(logName, s.logFrom, logTail)
	err := fmt.Errorf("%w; the end of its log:\n%s", s.process.failure(), log)
	if strings.Contains(log, "could not bind") {
		return fmt.Errorf("%w: %w", errPortTaken, err)
	}
	return err
}
