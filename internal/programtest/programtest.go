// Package programtest builds pgws and runs it for tests that look at it from outside: as a process with an environment
// of its own, which ends with the test. It imports nothing of this module.
package programtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen. It is long, because only a failing test needs it.
const Patience = 30 * time.Second

// pollEvery is how often a condition is looked at.
const pollEvery = 5 * time.Millisecond

// Build builds pgws with these flags, under a name beside the test binary: a folder that go test removes.
func Build(name string, flags ...string) (path string, err error) {
	tests, err := os.Executable()
	if err != nil {
		return "", err
	}
	path = filepath.Join(filepath.Dir(tests), name)
	command := exec.Command("go", append(append([]string{"build", "-buildvcs=false"}, flags...), "-o", path, "pgws/cmd/pgws")...)
	command.Stderr = os.Stderr
	return path, command.Run()
}

// Environment returns variables, each NAME=VALUE, after the few of the tests' own that a program needs: no PG* or PGWS_
// variable reaches it by chance.
func Environment(variables ...string) []string {
	// The race detector would have each program wait for a second at its end.
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GORACE=atexit_sleep_ms=0"}, variables...)
}

// An Output collects what a program writes.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// A Program is one run of a command.
type Program struct {
	*exec.Cmd
	Out, Log Output        // standard output and standard error
	Done     chan struct{} // closed when it has ended
}

// New returns a program that Launch starts.
func New(command *exec.Cmd) *Program { return &Program{Cmd: command, Done: make(chan struct{})} }

// Launch starts the program, which is killed when the tests are. Whoever launches it waits for its end: Status.
func (p *Program) Launch(t testing.TB) {
	t.Helper()
	p.Stdout, p.Stderr = &p.Out, &p.Log
	p.WaitDelay = time.Second // for those that have inherited the output
	DieWithUs(p.Cmd)
	Check(t, p.Start())
	go func() {
		defer close(p.Done)
		_ = p.Wait() // The status is in ProcessState.
	}()
}

// Ended reports whether the program has ended.
func (p *Program) Ended() bool {
	select {
	case <-p.Done:
		return true
	default:
		return false
	}
}

// Signal sends a signal, unless the program has ended.
func (p *Program) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil && !p.Ended() {
		t.Errorf("signal %v: %v", signal, err)
	}
}

// Status waits for the end and returns the exit status, -1 for the death by a signal. A program that hangs writes where
// to its log, and fails the test.
func (p *Program) Status(t testing.TB) int {
	t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-p.Done:
	case <-timer.C:
		t.Errorf("pgws has not ended after %v; where it hangs is in its log", Patience)
		p.Signal(t, syscall.SIGQUIT)
		<-p.Done
	}
	return p.ProcessState.ExitCode()
}

// Await waits until an output matches a pattern, and returns the match with its groups.
func (p *Program) Await(t testing.TB, o *Output, pattern string) (match []string) {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	Eventually(t, "pgws writes "+pattern, func() bool {
		ended := p.Ended()
		match = expression.FindStringSubmatch(o.String())
		if match == nil && ended {
			t.Fatalf("pgws has ended and not written %s", pattern)
		}
		return match != nil
	})
	return match
}

// Eventually polls until a condition holds.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	timeout := time.NewTimer(Patience)
	defer timeout.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-timeout.C:
			t.Fatalf("waited %v in vain: %s", Patience, what)
		}
	}
}

// Check ends the test with an error.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
