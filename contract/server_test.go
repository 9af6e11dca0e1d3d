// Package contract_test holds pgws to its contract from outside: the binary is built and run with PGWS_ variables
// alone, its clients are real websockets, its database is a real PostgreSQL. A file stands for a section of the contract.
//
// A client that answers no ping for 65 seconds, and the ping every 30 seconds, are tested in internal/server, where time
// need not pass.
package contract_test

import (
	"maps"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// patience is how long a test waits for what must happen.
const patience = programtest.Patience

func TestMain(m *testing.M) { pgtest.Main(m) }

// built builds pgws once, with the race detector when the tests have it. builtPlain never has it: it costs memory.
var (
	built      = sync.OnceValues(func() (string, error) { return build(raceEnabled) })
	builtPlain = sync.OnceValues(func() (string, error) { return build(false) })
)

// build builds pgws.
func build(race bool) (string, error) {
	if race {
		return programtest.Build("pgws-race", "-race")
	}
	return programtest.Build("pgws")
}

// env are variables of the environment. An empty one is not set.
type env map[string]string

// list returns the variables as a process takes them.
func (e env) list() []string {
	var variables []string
	for name, value := range e {
		if value != "" {
			variables = append(variables, name+"="+value)
		}
	}
	return programtest.Environment(variables...)
}

// A program is one run of pgws.
type program struct {
	*programtest.Program
	secrets []string // which it must not write to its log
	awaited bool     // the test has looked at the status
}

// launch runs the binary at path. What still runs when the test ends is told to stop, and must then end with status 0.
func launch(t *testing.T, path string, variables env, arguments ...string) *program {
	t.Helper()
	p := &program{Program: programtest.New(exec.Command(path, arguments...)), secrets: secretsIn(variables)}
	p.Env = variables.list()
	p.Dir = t.TempDir()
	p.run(t)
	return p
}

// run starts a command that is ready.
func (p *program) run(t *testing.T) {
	t.Helper()
	p.Launch(t)
	t.Cleanup(func() { p.end(t) })
}

// end stops a program that still runs and reads what it has written.
func (p *program) end(t *testing.T) {
	t.Helper()
	if !p.Ended() {
		p.Signal(t, syscall.SIGTERM)
	}
	if status := p.Status(t); !p.awaited && status != 0 {
		t.Errorf("pgws has ended with status %d", status)
	}
	log := p.Log.String()
	p.checkLog(t, log)
	if t.Failed() {
		const most = 20_000
		t.Logf("what pgws %q has written to standard error:\n%s", p.Args[1:], log[max(0, len(log)-most):])
	}
}

// tokenPattern is the beginning of every JWT: a JSON object in base64.
var tokenPattern = regexp.MustCompile(`eyJ[\w-]+`)

// checkLog fails the test when a secret stands in a log, or what a crash or the race detector writes.
func (p *program) checkLog(t *testing.T, log string) {
	t.Helper()
	if found := tokenPattern.FindString(log); found != "" {
		t.Errorf("a token is in the log: %s", found)
	}
	for _, secret := range p.secrets {
		if strings.Contains(log, secret) {
			t.Errorf("a secret is in the log: %s", secret)
		}
	}
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
		if strings.Contains(log, bad) {
			t.Errorf("the log has %q", bad)
		}
	}
}

// secretsIn returns what variables hold that must not be seen: the secret and the URI, as they are and as they stand in
// a file, and the URI's password.
func secretsIn(variables env) []string {
	var secrets []string
	for _, name := range []string{"PGWS_JWT_SECRET", "PGWS_DB_URI", "PGPASSWORD"} {
		value := variables[name]
		if path, ok := strings.CutPrefix(value, "@"); ok {
			content, _ := os.ReadFile(path) // A file that is not there has no secret.
			value = strings.TrimSpace(string(content))
		}
		secrets = append(secrets, value)
		if u, err := url.Parse(value); err == nil && u.User != nil {
			password, _ := u.User.Password()
			secrets = append(secrets, password)
		}
	}
	return slices.DeleteFunc(secrets, func(s string) bool { return s == "" })
}

// wait is for tests that have a status to expect.
func (p *program) wait(t *testing.T) int {
	t.Helper()
	p.awaited = true
	return p.Status(t)
}

// awaitLog waits until the log matches a pattern and returns the match with its groups.
func (p *program) awaitLog(t *testing.T, pattern string) []string {
	t.Helper()
	return p.Await(t, &p.Log, pattern)
}

// A server is a pgws that serves.
type server struct {
	*program
	addr    string // HOST:PORT
	admin   string // PGWS_ADMIN_ADDR
	uri     string // of its database
	channel string // PGWS_LISTEN_CHANNEL
}

// defaults are for servers whose test does not care. All is logged, so that a secret in any line is found.
func defaults() env {
	return env{"PGWS_JWT_SECRET": secret, "PGWS_HOST": "127.0.0.1", "PGWS_PORT": "0", "PGWS_LOG_LEVEL": "debug"}
}

// start runs a server with these settings, on a database of its own if they name none, and returns when it has its port.
func start(t *testing.T, settings env) *server {
	t.Helper()
	path, err := built()
	check(t, err)
	return startBinary(t, path, settings)
}

func startBinary(t *testing.T, path string, settings env) *server {
	t.Helper()
	variables := defaults()
	maps.Copy(variables, settings)
	if variables["PGWS_DB_URI"] == "" {
		variables["PGWS_DB_URI"] = pgtest.Database(t)
	}
	s := &server{uri: variables["PGWS_DB_URI"], admin: variables["PGWS_ADMIN_ADDR"], channel: "postgres-websockets-listener"}
	if name := variables["PGWS_LISTEN_CHANNEL"]; name != "" {
		s.channel = name
	}
	s.program = launch(t, path, variables)
	s.addr = s.awaitLog(t, `msg=starting .*address=(\S+)`)[1]
	return s
}

// run runs pgws to its end and returns the status with what it has written.
func run(t *testing.T, variables env, arguments ...string) (status int, stdout, stderr string) {
	t.Helper()
	path, err := built()
	check(t, err)
	p := launch(t, path, variables, arguments...)
	status = p.wait(t)
	return status, p.Out.String(), p.Log.String()
}

func check(t testing.TB, err error) {
	t.Helper()
	programtest.Check(t, err)
}
