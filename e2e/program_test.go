package e2e_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgws/internal/page/browsertest"
)

func TestMain(m *testing.M) { browsertest.Main(m) }

// version is what the program is built to call itself.
const version = "1.0.0"

// built builds pgws once, beside the test binary, in a folder that go test removes.
var built = sync.OnceValues(func() (path string, err error) {
	tests, err := os.Executable()
	if err != nil {
		return "", err
	}
	path = filepath.Join(filepath.Dir(tests), "pgws")
	command := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-X main.version="+version, "-o", path, "pgws/cmd/pgws")
	command.Stderr = os.Stderr
	return path, command.Run()
})

// A program is one run of pgws.
type program struct {
	command        *exec.Cmd
	stdout, stderr output
	done           chan struct{} // Closed when it has ended.
}

// An output collects what a program writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// run starts pgws with these variables of the environment, each NAME=VALUE, and few of the tests' own: no PG* or PGWS_
// variable reaches it by chance. If it still runs when the test ends, it is stopped.
func run(t *testing.T, variables []string, arguments ...string) *program {
	t.Helper()
	path, err := built()
	check(t, err)
	p := &program{command: exec.Command(path, arguments...), done: make(chan struct{})}
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, variables...)
	p.command.Stdout, p.command.Stderr = &p.stdout, &p.stderr
	dieWithUs(p.command)
	check(t, p.command.Start())
	go func() {
		defer close(p.done)
		_ = p.command.Wait() // The status is in ProcessState.
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("what pgws %q has written to standard error:\n%s", arguments, &p.stderr)
		}
	})
	return p
}

// stop is a Ctrl-C. It returns when the program has ended, which it must do with status 0.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGINT); !errors.Is(err, os.ErrProcessDone) {
		check(t, err)
	}
	p.wait(t)
}

// wait waits for the end, which must be with status 0.
func (p *program) wait(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(browsertest.Patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		t.Error("pgws does not end; where it hangs is in its log")
		_ = p.command.Process.Signal(syscall.SIGQUIT) // It may have ended after all.
		<-p.done
	}
	if status := p.command.ProcessState.ExitCode(); status != 0 {
		t.Errorf("pgws has ended with status %d", status)
	}
}

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// await waits until what has been written matches a pattern, and returns its groups.
func (p *program) await(t *testing.T, o *output, pattern string) (groups []string) {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	eventually(t, "pgws writes "+pattern, func() bool {
		ended := p.ended()
		match := expression.FindStringSubmatch(o.String())
		if match == nil && ended {
			t.Fatalf("pgws has ended and not written %s", pattern)
		}
		groups = match
		return match != nil
	})
	return groups[1:]
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.NewTimer(browsertest.Patience)
	defer timeout.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-timeout.C:
			t.Fatalf("waited %v in vain: %s", browsertest.Patience, what)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
