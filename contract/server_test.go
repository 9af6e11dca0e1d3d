// Package contract_test holds pgws to its contract from outside: the binary is built and run with PGWS_ variables
// alone, its clients are real websockets, its database is a real PostgreSQL. A file stands for a section of the contract.
//
// A client that answers no ping for 65 seconds, and the ping every 30 seconds, are tested in internal/server, where time
// need not pass.
package contract_test

import (
	"bytes"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgws/internal/devpg/pgtest"
)

// patience is how long a test waits for what must happen. It is long, because only a failing test needs it.
const patience = 30 * time.Second

func TestMain(m *testing.M) { pgtest.Main(m) }

// built builds pgws once, with the race detector when the tests have it. builtPlain never has it: it costs memory.
var (
	built      = sync.OnceValues(func() (string, error) { return build(raceEnabled) })
	builtPlain = sync.OnceValues(func() (string, error) { return build(false) })
)

// build puts pgws beside the test binary, in a folder that go test removes.
func build(race bool) (string, error) {
	tests, err := os.Executable()
	if err != nil {
		return "", err
	}
	arguments, name := []string{"build", "-buildvcs=false"}, "pgws"
	if race {
		arguments, name = append(arguments, "-race"), "pgws-race"
	}
	path := filepath.Join(filepath.Dir(tests), name)
	command := exec.Command("go", append(arguments, "-o", path, "pgws/cmd/pgws")...)
	command.Stderr = os.Stderr
	return path, command.Run()
}

// env are variables of the environment. An empty one is not set.
type env map[string]string

// list returns the variables as a process takes them. Of the tests' own environment little is handed on: no PG* or
// PGWS_ variable reaches a program by chance.
func (e env) list() []string {
	// The race detector would have each program wait for a second at its end.
	list := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GORACE=atexit_sleep_ms=0"}
	for name, value := range e {
		if value != "" {
			list = append(list, name+"="+value)
		}
	}
	return list
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

// A program is one run of pgws.
type program struct {
	*exec.Cmd
	stdout, stderr output
	done           chan struct{} // closed when it has ended
	secrets        []string      // which it must not write to its log
	awaited        bool          // the test has looked at the status
}

// launch runs the binary at path. What still runs when the test ends is told to stop, and must then end with status 0.
func launch(t *testing.T, path string, variables env, arguments ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(path, arguments...), done: make(chan struct{}), secrets: secretsIn(variables)}
	p.Env = variables.list()
	p.Dir = t.TempDir()
	p.run(t)
	return p
}

// run starts a command that is ready.
func (p *program) run(t *testing.T) {
	t.Helper()
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	p.WaitDelay = time.Second // for those that have inherited the output
	dieWithUs(p.Cmd)
	check(t, p.Start())
	go func() {
		defer close(p.done)
		_ = p.Wait() // The status is in ProcessState.
	}()
	t.Cleanup(func() { p.end(t) })
}

// end stops a program that still runs and reads what it has written.
func (p *program) end(t *testing.T) {
	t.Helper()
	if !p.ended() {
		p.signal(t, syscall.SIGTERM)
	}
	if status := p.status(t); !p.awaited && status != 0 {
		t.Errorf("pgws has ended with status %d", status)
	}
	log := p.stderr.String()
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

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *program) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil && !p.ended() {
		t.Errorf("signal %v: %v", signal, err)
	}
}

// status waits for the end and returns the exit status, -1 for the death by a signal.
func (p *program) status(t *testing.T) int {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		t.Errorf("pgws has not ended after %v; where it hangs is in its log", patience)
		p.signal(t, syscall.SIGQUIT) // writes the stacks of all goroutines
		p.awaited = true
		<-p.done
	}
	return p.ProcessState.ExitCode()
}

// wait is for tests that have a status to expect.
func (p *program) wait(t *testing.T) int {
	t.Helper()
	p.awaited = true
	return p.status(t)
}

// awaitLog waits until the log matches a pattern and returns the match with its groups.
func (p *program) awaitLog(t *testing.T, pattern string) []string {
	t.Helper()
	return p.await(t, &p.stderr, pattern)
}

func (p *program) await(t *testing.T, o *output, pattern string) (match []string) {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	eventually(t, "pgws writes "+pattern, func() bool {
		ended := p.ended()
		match = expression.FindStringSubmatch(o.String())
		if match == nil && ended {
			t.Fatalf("pgws has ended and not written %s", pattern)
		}
		return match != nil
	})
	return match
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
	return status, p.stdout.String(), p.stderr.String()
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

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
