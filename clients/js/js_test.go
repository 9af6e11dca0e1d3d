// Package js_test runs the JavaScript client against the real program on a real PostgreSQL: as the package that npm makes
// of it in Node, and in Chromium. What only time or a fault shows is in *.test.js, which `node --test` runs.
package js_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgws/internal/page/browsertest"
)

// patience is how long a test waits for what must happen. It is long, because only a failing test needs it.
const patience = browsertest.Patience

const secret = "the-secret-of-the-javascript-tests-0123456789"

func TestMain(m *testing.M) { browsertest.Main(m) }

// built builds pgws once, beside the test binary, in a folder that go test removes.
var built = sync.OnceValues(func() (path string, err error) {
	tests, err := os.Executable()
	if err != nil {
		return "", err
	}
	path = filepath.Join(filepath.Dir(tests), "pgws")
	command := exec.Command("go", "build", "-buildvcs=false", "-o", path, "pgws/cmd/pgws")
	command.Stderr = os.Stderr
	return path, command.Run()
})

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

// A server is a pgws that serves.
type server struct {
	addr    string // HOST:PORT
	command *exec.Cmd
	log     output
	once    sync.Once
}

// serve runs pgws on a channel of a database, with more variables, and returns when it can be reached.
func serve(t *testing.T, uri, channel string, variables ...string) *server {
	t.Helper()
	path, err := built()
	check(t, err)
	s := &server{command: exec.Command(path)}
	variables = append(variables,
		"PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "PGWS_DB_URI="+uri, "PGWS_JWT_SECRET="+secret,
		"PGWS_HOST=127.0.0.1", "PGWS_PORT=0", "PGWS_LOG_LEVEL=debug", "PGWS_LISTEN_CHANNEL="+channel,
	)
	s.command.Env = variables
	s.command.Stderr = &s.log
	dieWithUs(s.command)
	check(t, s.command.Start())
	t.Cleanup(func() { s.stop(t) })
	address := regexp.MustCompile(`msg=starting .*address=(\S+)`)
	eventually(t, "pgws has a port", func() bool { return address.MatchString(s.log.String()) })
	s.addr = address.FindStringSubmatch(s.log.String())[1]
	return s
}

// stop ends the server, once, and looks whether it has told a token.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.once.Do(func() {
		check(t, s.command.Process.Signal(syscall.SIGTERM))
		if err := s.command.Wait(); err != nil {
			t.Errorf("pgws: %v", err)
		}
		if strings.Contains(s.log.String(), "eyJ") {
			t.Error("a token is in the log")
		}
		if t.Failed() {
			t.Logf("what pgws has written to standard error:\n%s", &s.log)
		}
	})
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-timeout.C:
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
