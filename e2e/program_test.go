package e2e_test

import (
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"pgws/internal/page/browsertest"
	"pgws/internal/programtest"
)

func TestMain(m *testing.M) { browsertest.Main(m) }

// version is what the program is built to call itself.
const version = "1.0.0"

// built builds pgws once.
var built = sync.OnceValues(func() (string, error) { return programtest.Build("pgws", "-ldflags", "-X main.version="+version) })

// A program is one run of pgws.
type program struct{ *programtest.Program }

// run starts pgws with these variables of the environment, each NAME=VALUE, and few of the tests' own: no PG* or PGWS_
// variable reaches it by chance. If it still runs when the test ends, it is stopped.
func run(t *testing.T, variables []string, arguments ...string) *program {
	t.Helper()
	path, err := built()
	check(t, err)
	p := &program{programtest.New(exec.Command(path, arguments...))}
	p.Env = programtest.Environment(variables...)
	p.Launch(t)
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("what pgws %q has written to standard error:\n%s", arguments, &p.Log)
		}
	})
	return p
}

// stop is a Ctrl-C. It returns when the program has ended, which it must do with status 0.
func (p *program) stop(t *testing.T) {
	t.Helper()
	p.Signal(t, syscall.SIGINT)
	p.wait(t)
}

// wait waits for the end, which must be with status 0.
func (p *program) wait(t *testing.T) {
	t.Helper()
	if status := p.Status(t); status != 0 {
		t.Errorf("pgws has ended with status %d", status)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	programtest.Check(t, err)
}
