package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"pgws/internal/bench"
	"pgws/internal/devpg"
)

const (
	startTimeout  = 30 * time.Second // for the server to be ready
	stopTimeout   = 15 * time.Second // for its gentle end
	pollInterval  = 20 * time.Millisecond
	listenChannel = "postgres-websockets-listener"
)

// An own server is pgws in a process of its own, so that its CPU and memory can be told from ours, with a PostgreSQL.
// When we are killed, PostgreSQL goes, and the server, which has lost its listener, ends with it.
type own struct {
	dir     string // of the program
	cluster *devpg.Cluster
	command *exec.Cmd
	end     context.CancelFunc
	ended   chan error // the command's end
	address string
	admin   string
	secret  string
}

// start builds and starts all. What pgws prints goes to errOut.
func start(ctx context.Context, errOut io.Writer) (_ *own, err error) {
	o := &own{secret: rand.Text() + rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.stop())
		}
	}()
	if o.dir, err = os.MkdirTemp("", "pgws-load-"); err != nil {
		return nil, fmt.Errorf("a folder for pgws: %w", err)
	}
	program := filepath.Join(o.dir, "pgws")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "pgws/cmd/pgws") //nolint:gosec // The path is ours.
	build.Stdout, build.Stderr = errOut, errOut
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build pgws: %w", err)
	}
	if o.cluster, err = devpg.Start(ctx, devpg.Options{}); err != nil {
		return nil, err
	}
	if err := o.startServer(ctx, program, errOut); err != nil {
		return nil, err
	}
	return o, o.awaitReady(ctx)
}

// startServer starts pgws. Settings in our own environment, such as GOGC or PGWS_MAX_LAG_BYTES, hold for it too.
func (o *own) startServer(ctx context.Context, program string, errOut io.Writer) error {
	ports, err := freePorts(ctx)
	if err != nil {
		return err
	}
	o.address, o.admin = net.JoinHostPort("127.0.0.1", ports[0]), net.JoinHostPort("127.0.0.1", ports[1])
	ctx, o.end = context.WithCancel(context.WithoutCancel(ctx))
	o.command = exec.CommandContext(ctx, program, "serve")
	o.command.Env = append(os.Environ(), "PGWS_DB_URI="+o.cluster.URI(), "PGWS_JWT_SECRET="+o.secret,
		"PGWS_HOST=127.0.0.1", "PGWS_PORT="+ports[0], "PGWS_ADMIN_ADDR="+o.admin, "PGWS_LISTEN_CHANNEL="+listenChannel,
		"PGWS_CHECK_LISTENER_INTERVAL=", "PGWS_LOG_LEVEL=warn")
	o.command.Stdout, o.command.Stderr = errOut, errOut
	o.command.Cancel = func() error { return o.command.Process.Signal(syscall.SIGTERM) }
	o.command.WaitDelay = stopTimeout
	if err := o.command.Start(); err != nil {
		return fmt.Errorf("start pgws: %w", err)
	}
	o.ended = make(chan error, 1)
	go func() { o.ended <- o.command.Wait() }()
	return nil
}

// freePorts returns two ports that nobody uses. Both are held until both are known, so that they differ.
func freePorts(ctx context.Context) (ports [2]string, err error) {
	var listeners [2]net.Listener
	for i := range ports {
		if listeners[i], err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			break
		}
		_, port, _ := net.SplitHostPort(listeners[i].Addr().String())
		ports[i] = port
	}
	errs := []error{err}
	for _, listener := range listeners {
		if listener != nil {
			errs = append(errs, listener.Close())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return ports, fmt.Errorf("a free port: %w", err)
	}
	return ports, nil
}

// awaitReady asks the server until it says that it is ready.
func (o *own) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for pgws: %w", context.Cause(ctx))
		case err := <-o.ended:
			o.ended <- err
			return errors.New("pgws has ended before it was ready")
		case <-ticker.C:
		}
		if o.ready(ctx) {
			return nil
		}
	}
}

func (o *own) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.admin+"/ready", http.NoBody)
	if err != nil {
		return false
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (o *own) target() *bench.Target {
	return &bench.Target{
		Address:       o.address,
		PID:           o.command.Process.Pid,
		Database:      o.cluster.URI(),
		ListenChannel: listenChannel,
		Secret:        []byte(o.secret),
		Metrics:       "http://" + o.admin + "/metrics",
	}
}

// stop ends and removes all that was started. A server that ends badly is an error.
func (o *own) stop() error {
	var errs []error
	if o.ended != nil {
		o.end()
		if err := <-o.ended; err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, fmt.Errorf("pgws: %w", err))
		}
	}
	if o.cluster != nil {
		errs = append(errs, o.cluster.Close())
	}
	if o.dir != "" {
		errs = append(errs, os.RemoveAll(o.dir))
	}
	return errors.Join(errs...)
}
