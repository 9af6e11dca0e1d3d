package contract_test

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
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
	dir, err := os.MkdirTemp("", "pgws-bench-") //nolint:usetesting // PostgreSQL may run as another user, who must get there.
	check(t, err)
	check(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, error %v", left, err)
		}
		check(t, os.RemoveAll(dir))
	})
	return dir
}

func TestBenchStartsWhatItNeeds(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := run(t, env{"TMPDIR": scratch(t)}, "bench", "fanout", "--clients=20", "--messages=50", "--burst=10", "--json")
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
	s := start(t, nil)
	status, stdout, stderr := run(t, env{"PGWS_JWT_SECRET": secret, "PGWS_DB_URI": s.uri},
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
	t.Run("by a signal", func(t *testing.T) {
		t.Parallel()
		path, err := built()
		check(t, err)
		dir := scratch(t)
		p := launch(t, path, env{"TMPDIR": dir}, "bench", "idle", "--settle=1h", "--timeout=1h")
		eventually(t, "PostgreSQL's files are there", func() bool {
			left, err := os.ReadDir(dir)
			return err == nil && len(left) > 0
		})
		p.signal(t, syscall.SIGTERM)
		if status := p.wait(t); status != 1 {
			t.Errorf("status %d, standard error %q", status, p.stderr.String())
		}
	})
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
