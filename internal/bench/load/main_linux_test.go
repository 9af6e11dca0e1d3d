package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pgws/internal/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load runs the program. It looks whether all that was started is gone, and so cannot run beside another.
func load(ctx context.Context, t *testing.T, arguments ...string) (out, errOut string, err error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL may run as another user.
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	var stdout, stderr strings.Builder
	err = run(ctx, arguments, &stdout, &stderr)
	left, readErr := os.ReadDir(dir)
	if readErr != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, readErr)
	}
	return stdout.String(), stderr.String(), err
}

func TestServerOfItsOwn(t *testing.T) {
	out, errOut, err := load(t.Context(), t, "fanout", "--clients=20", "--messages=50", "--burst=10", "--json")
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	var report bench.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if got, _ := report.Value("deliveries, complete and in order"); report.Measurement != "fanout" || got != 1000 {
		t.Errorf("got %+v", report)
	}
	if errOut != "" {
		t.Errorf("standard error, which is no terminal: %q", errOut)
	}
}

func TestTimeout(t *testing.T) {
	_, _, err := load(t.Context(), t, "idle", "--timeout=1ns")
	if err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("error %v", err)
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := load(ctx, t, "idle"); err == nil {
		t.Error("no error")
	}
}

func TestArguments(t *testing.T) {
	cases := map[string]struct {
		arguments []string
		fault     string // empty: none
	}{
		"help":                  {[]string{"--help"}, ""},
		"help of a measurement": {[]string{"ingest", "--help"}, ""},
		"no measurement":        {nil, "expected one of"},
		"no such measurement":   {[]string{"sleep"}, "unexpected argument"},
		"no number":             {[]string{"idle", "--clients=many"}, "many"},
		"TLS":                   {[]string{"idle", "--url=wss://localhost:3000"}, "ws://host:port"},
		"no port":               {[]string{"idle", "--url=ws://localhost"}, "ws://host:port"},
		"no process":            {[]string{"idle", "--url=ws://localhost:3000"}, "process id"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out, _, err := load(t.Context(), t, c.arguments...)
			if c.fault == "" {
				if err != nil || !strings.Contains(out, "--timeout") {
					t.Errorf("error %v, output %q", err, out)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("error %v, want %q", err, c.fault)
			}
		})
	}
}
