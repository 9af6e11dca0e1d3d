package contract_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pgws/internal/programtest"
)

// A result is what `pgws bench --json` prints for a measurement.
type result struct {
	Measurement string
	Figures     []struct {
		Name  string
		Value float64
	}
}

func (r result) value(name string) float64 {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	return -1
}

// scratch is a folder for what a program keeps while it runs. It must be empty when the test ends.
func scratch(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, error %v", left, err)
		}
	})
	return dir
}

func TestBenchStartsWhatItNeeds(t *testing.T) {
	t.Parallel()
	variables := env{"TMPDIR": scratch(t), "PGWS_JWT_SECRET_BASE64": "True", "PGWS_KEY_FILE": "/nowhere", "PGWS_RECORDER": "nobody",
		"PGWS_JWT_AUDIENCE": "others", "PGWS_JWT_ISSUER": "somebody", "PGWS_CLAIM_MODE": "$.app.mode", "PGWS_CLAIM_CHANNELS": "$.app.channels",
		"PGWS_TOKEN_IN_PATH": "False", "PGWS_JWT_SECRET_FALLBACK": "too short", "PGWS_MESSAGE_RATE": "1"}
	status, stdout, stderr := run(t, variables, "bench", "fanout", "--clients=20", "--messages=50", "--burst=10", "--json")
	if status != 0 || stderr != "" {
		t.Fatalf("status %d, standard error %q", status, stderr)
	}
	var r result
	check(t, json.Unmarshal([]byte(stdout), &r))
	if got := r.value("deliveries, complete and in order"); r.Measurement != "fanout" || got != 1000 {
		t.Errorf("got %+v", r)
	}
	if r.value("CPU a delivery, server") <= 0 {
		t.Errorf("no CPU in %+v", r)
	}
}

func TestBenchOfARunningServer(t *testing.T) {
	t.Parallel()
	claims := env{"PGWS_JWT_AUDIENCE": "us", "PGWS_JWT_ISSUER": "them", "PGWS_CLAIM_MODE": "$.app.mode", "PGWS_CLAIM_CHANNELS": "$.app.channels"}
	s := start(t, claims)
	variables := env{"PGWS_JWT_SECRET": secret, "PGWS_DB_URI": s.uri}
	maps.Copy(variables, claims)
	status, stdout, stderr := run(t, variables,
		"bench", "latency", "--url=ws://"+s.addr, "--clients=5", "--rate=100", "--time=100ms")
	if status != 0 || stderr != "" {
		t.Fatalf("status %d, standard error %q", status, stderr)
	}
	for _, want := range []string{"latency, p99", "deliveries, complete and in order", " 50\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in the table:\n%s", want, stdout)
		}
	}
}

// A measurement that is ended leaves no server, no PostgreSQL and no files.
func TestBenchEnds(t *testing.T) {
	t.Parallel()
	t.Run("by its time", func(t *testing.T) {
		t.Parallel()
		status, _, stderr := run(t, env{"TMPDIR": scratch(t)}, "bench", "idle", "--settle=1h", "--timeout=1s")
		if status != 1 || !strings.Contains(stderr, "deadline") {
			t.Errorf("status %d, standard error %q", status, stderr)
		}
	})
	// A terminal's Ctrl-C reaches the whole process group: the server must not take it for its own.
	t.Run("by Ctrl-C", func(t *testing.T) {
		t.Parallel()
		path, err := built()
		check(t, err)
		p := &program{Program: programtest.New(exec.Command(path, "bench", "idle", "--settle=1h", "--timeout=1h"))}
		p.Env = env{"TMPDIR": scratch(t)}.list()
		p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		p.run(t)
		var server int
		programtest.Eventually(t, "the server runs", func() bool {
			server = serverOf(t, p)
			return server != 0
		})
		if group, err := syscall.Getpgid(server); err != nil || group == p.Process.Pid {
			t.Errorf("the server is in the process group %d of the measurement, error %v", group, err)
		}
		check(t, syscall.Kill(-p.Process.Pid, syscall.SIGINT))
		if status, stderr := p.wait(t), p.Log.String(); status != 1 || !strings.Contains(stderr, "interrupt") || strings.Contains(stderr, "terminated") {
			t.Errorf("status %d, standard error %q", status, stderr)
		}
		if err := syscall.Kill(server, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("the server still runs: %v", err)
		}
	})
}

// serverOf returns the id of the server that a `pgws bench` has started, 0 if there is none yet.
func serverOf(t *testing.T, p *program) int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.Process.Pid))
	check(t, err)
	for _, task := range tasks {
		children, _ := os.ReadFile(task) // A thread that has ended has none.
		for child := range strings.FieldsSeq(string(children)) {
			command, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if strings.HasSuffix(string(command), "\x00serve\x00") {
				id, err := strconv.Atoi(child)
				check(t, err)
				return id
			}
		}
	}
	return 0
}

func TestBenchArguments(t *testing.T) {
	t.Parallel()
	idle := []string{"idle", "--url=ws://localhost:3000"}
	cases := map[string]struct {
		settings  env
		arguments []string
		status    int
		named     string
	}{
		"no such measurement": {nil, []string{"sleep"}, 2, "sleep"},
		"no number":           {nil, []string{"idle", "--clients=many"}, 2, "many"},
		"no clients":          {nil, []string{"fanout", "--clients=0", "--url=ws://localhost:3000"}, 1, "clients"},
		"TLS":                 {nil, []string{"idle", "--url=wss://localhost:3000"}, 1, "ws://host:port"},
		"no port":             {nil, []string{"idle", "--url=ws://localhost"}, 1, "ws://host:port"},
		"no process":          {nil, idle, 1, "process id"},
		"no key to sign with": {env{"PGWS_JWT_SECRET": rsaJWK(&keys().rsa.PublicKey, "")}, idle, 1, "HS256"},
		"no secret":           {env{"PGWS_JWT_SECRET": ""}, idle, 1, "PGWS_JWT_SECRET"},
		"JSON of the suite":   {nil, []string{"suite", "--json", "--dir=" + t.TempDir()}, 1, "results.json"},
		"nothing to draw":     {nil, []string{"suite", "--draw", "--dir=" + t.TempDir()}, 1, "results.json"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := env{"PGWS_JWT_SECRET": secret, "PGWS_DB_URI": nowhere}
			maps.Copy(variables, c.settings)
			status, stdout, stderr := run(t, variables, append([]string{"bench"}, c.arguments...)...)
			if status != c.status || stdout != "" || !strings.Contains(stderr, c.named) {
				t.Errorf("status %d, standard output %q, standard error %q, which should name %s", status, stdout, stderr, c.named)
			}
		})
	}
}
