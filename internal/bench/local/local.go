// Package local starts what a measurement needs on this machine: pgws in a process of its own, so that its CPU and memory
// can be told from those of the clients, and a PostgreSQL for it.
package local

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

// notHere are settings that would keep our clients out, or the server from starting, on this database.
var notHere = []string{
	"PGWS_JWT_SECRET_BASE64", "PGWS_JWT_SECRET_FALLBACK", "PGWS_JWT_AUDIENCE", "PGWS_JWT_ISSUER", "PGWS_CLAIM_MODE",
	"PGWS_CLAIM_CHANNELS", "PGWS_TOKEN_IN_PATH", "PGWS_MESSAGE_RATE",
	"PGWS_CERTIFICATE_FILE", "PGWS_KEY_FILE", "PGWS_ROOT_PATH", "PGWS_META_CHANNEL", "PGWS_RECORDER",
	"PGWS_CHECK_LISTENER_INTERVAL",
}

// A Server is a pgws and its PostgreSQL. When we are killed, PostgreSQL goes, and pgws, which has lost its listener, ends
// with it.
type Server struct {
	cluster *devpg.Cluster
	command *exec.Cmd
	end     context.CancelFunc
	ended   chan error // the command's end
	address string
	admin   string
	secret  string
}

// Start starts both and returns when pgws is ready. Program is pgws' binary; what it prints goes to out. Settings in our
// own environment, such as GOGC or PGWS_MAX_LAG_BYTES, hold for it too.
func Start(ctx context.Context, program string, out io.Writer) (_ *Server, err error) {
	s := &Server{secret: rand.Text() + rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.cluster, err = devpg.Start(ctx, devpg.Options{}); err != nil {
		return nil, err
	}
	if err := s.serve(ctx, program, out); err != nil {
		return nil, err
	}
	return s, s.awaitReady(ctx)
}

func (s *Server) serve(ctx context.Context, program string, out io.Writer) error {
	ports, err := freePorts(ctx)
	if err != nil {
		return err
	}
	s.address, s.admin = net.JoinHostPort("127.0.0.1", ports[0]), net.JoinHostPort("127.0.0.1", ports[1])
	ctx, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.command = exec.CommandContext(ctx, program, "serve")
	s.command.Env = append(os.Environ(), "PGWS_DB_URI="+s.cluster.URI(), "PGWS_JWT_SECRET="+s.secret,
		"PGWS_HOST=127.0.0.1", "PGWS_PORT="+ports[0], "PGWS_ADMIN_ADDR="+s.admin, "PGWS_LISTEN_CHANNEL="+listenChannel,
		"PGWS_LOG_LEVEL=error") // A client that is too slow is no news here.
	for _, name := range notHere {
		s.command.Env = append(s.command.Env, name+"=")
	}
	// Ctrl-C is for us: the server is told to stop when the measurement has stopped.
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.command.Stdout, s.command.Stderr = out, out
	s.command.Cancel = func() error { return s.command.Process.Signal(syscall.SIGTERM) }
	s.command.WaitDelay = stopTimeout
	if err := s.command.Start(); err != nil {
		return fmt.Errorf("start pgws: %w", err)
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.command.Wait() }()
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
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for pgws: %w", context.Cause(ctx))
		case err := <-s.ended:
			s.ended <- err
			return errors.New("pgws has ended before it was ready")
		case <-ticker.C:
		}
		if s.ready(ctx) {
			return nil
		}
	}
}

func (s *Server) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/ready", http.NoBody)
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

// Target is the server, as measurements want it.
func (s *Server) Target() *bench.Target {
	return &bench.Target{
		Address:       s.address,
		PID:           s.command.Process.Pid,
		Database:      s.cluster.URI(),
		ListenChannel: listenChannel,
		Secret:        []byte(s.secret),
		Metrics:       "http://" + s.admin + "/metrics",
	}
}

// terminated tells that a process has ended by the signal that Stop sends: it had not come so far as to take it.
func terminated(err error) bool {
	ended, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status, ok := ended.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGTERM
}

// Stop ends both, and removes PostgreSQL's files. A server that ends badly is an error.
func (s *Server) Stop() error {
	var errs []error
	if s.ended != nil {
		s.end()
		if err := <-s.ended; err != nil && !errors.Is(err, context.Canceled) && !terminated(err) {
			errs = append(errs, fmt.Errorf("pgws: %w", err))
		}
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close())
	}
	return errors.Join(errs...)
}
