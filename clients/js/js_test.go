// Package js_test runs the JavaScript client against the real program on a real PostgreSQL: as the package that npm makes
// of it in Node, and in Chromium. What only time or a fault shows is in *.test.js, which `node --test` runs.
package js_test

import (
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgws/internal/page/browsertest"
	"pgws/internal/programtest"
)

// patience is how long a test waits for what must happen. It is long, because only a failing test needs it.
const patience = programtest.Patience

const secret = "the-secret-of-the-javascript-tests-0123456789"

func TestMain(m *testing.M) { browsertest.Main(m) }

// built builds pgws once.
var built = sync.OnceValues(func() (string, error) { return programtest.Build("pgws") })

// A server is a pgws that serves.
type server struct {
	*programtest.Program
	addr string // HOST:PORT
	once sync.Once
}

// serve runs pgws on a channel of a database, with more variables, and returns when it can be reached.
func serve(t *testing.T, uri, channel string, variables ...string) *server {
	t.Helper()
	path, err := built()
	check(t, err)
	s := &server{Program: programtest.New(exec.Command(path))}
	s.Env = programtest.Environment(append(variables,
		"PGWS_DB_URI="+uri, "PGWS_JWT_SECRET="+secret, "PGWS_HOST=127.0.0.1", "PGWS_PORT=0", "PGWS_LOG_LEVEL=debug",
		"PGWS_LISTEN_CHANNEL="+channel,
	)...)
	s.Launch(t)
	t.Cleanup(func() { s.stop(t) })
	s.addr = s.Await(t, &s.Log, `msg=starting .*address=(\S+)`)[1]
	return s
}

// stop ends the server, once, and looks whether it has told a token.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.once.Do(func() {
		s.Signal(t, syscall.SIGTERM)
		if status := s.Status(t); status != 0 {
			t.Errorf("pgws has ended with status %d", status)
		}
		if strings.Contains(s.Log.String(), "eyJ") {
			t.Error("a token is in the log")
		}
		if t.Failed() {
			t.Logf("what pgws has written to standard error:\n%s", &s.Log)
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	programtest.Check(t, err)
}
