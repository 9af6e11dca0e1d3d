package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgws/internal/bench"
)

// nowhere is a server that nobody is.
func nowhere(context.Context) (*bench.Target, func() error, error) {
	return &bench.Target{Address: "127.0.0.1:1", PID: os.Getpid()}, func() error { return errors.New("ended badly") }, nil
}

// TestRunFaults has every run on a server fail. The floor, which needs none, is measured all the same.
func TestRunFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &Suite{Dir: dir, Quick: true, Fresh: nowhere, Date: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)}
	err := s.Run(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	page := read(t, dir, "README.md")
	for _, step := range plan(true) {
		_, isFloor := step.measurement.(*bench.Floor)
		if failed := strings.Contains(err.Error(), "suite: "+step.name+": "); failed == isFloor {
			t.Errorf("%s: failed %v", step.name, failed)
		}
		if told := strings.Contains(page, "- "+step.name+": `"); told == isFloor {
			t.Errorf("%s: in the list of failures %v", step.name, told)
		}
	}
	for _, want := range []string{"connection refused; ended badly", "measured on 2030-01-02", "(throughput.svg)"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}

// TestOneServerFails has one server that does not start. All other runs are made.
func TestOneServerFails(t *testing.T) {
	t.Parallel()
	dir, starts := t.TempDir(), 0
	missing := errors.New("no server\nthis time")
	s := &Suite{Dir: dir, Quick: true, Fresh: func(ctx context.Context) (*bench.Target, func() error, error) {
		if starts++; starts == 2 {
			return nil, nil, missing
		}
		return nowhere(ctx)
	}}
	err := s.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "start a server: no server; this time") {
		t.Errorf("error %v", err)
	}
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, run := range r.Runs {
		if strings.Contains(run.Error, "this time") {
			failed++
		}
	}
	if page := read(t, dir, pageFile); failed != 1 || strings.Contains(page, "interrupted") || len(r.Runs) != len(plan(true)) {
		t.Errorf("%d of %d runs had no server", failed, len(r.Runs))
	}
}

// TestInterrupted has a report of the runs before the one during which the context ended.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancelCause(t.Context())
	dir, enough, begun := t.TempDir(), errors.New("enough"), 0
	s := &Suite{
		Dir: dir, Quick: true, Progress: func(run, _ int, _ string) { begun = run },
		Fresh: func(ctx context.Context) (*bench.Target, func() error, error) {
			if begun > 7 {
				interrupt(enough)
			}
			return nowhere(ctx)
		},
	}
	if err := s.Run(ctx); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != begun-1 || r.Runs[0].Report == nil {
		t.Errorf("%d runs of %d that were begun, %+v", len(r.Runs), begun, r.Runs[0])
	}
	for range 2 { // as it was written, and as it is drawn again
		want := fmt.Sprintf("\n**The suite was interrupted after %d of %d runs.**\n", len(r.Runs), len(plan(true)))
		if page := read(t, dir, pageFile); !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
		if err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNotReplaced has folders in which there is something that a report must not replace.
func TestNotReplaced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		about About
		want  string
	}{
		"another page": {files: map[string]string{pageFile: "mine"}, want: pageFile},
		"other results": {
			files: map[string]string{pageFile: "mine", resultsFile: `{"mine": true}`}, want: resultsFile,
		},
		"a full report": {
			files: map[string]string{pageFile: "it", resultsFile: `{"runs": [{"name": "it"}]}`}, about: About{Quick: true}, want: "full report",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, content := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := &Suite{Dir: dir, Quick: true, Progress: func(int, int, string) { t.Error("a run") }, Fresh: nowhere}
			for what, err := range map[string]error{"run": s.Run(t.Context()), "write": (&Results{About: c.about}).Write(dir)} {
				if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: error %v", what, err)
				}
			}
			for name, content := range c.files {
				if got := read(t, dir, name); got != content {
					t.Errorf("%s: %s", name, got)
				}
			}
			if entries, err := os.ReadDir(dir); len(entries) != len(c.files) || err != nil {
				t.Errorf("files %v, error %v", entries, err)
			}
		})
	}
}

// TestNothingToMeasure has no server for any run, or not for long enough. What is there stays.
func TestNothingToMeasure(t *testing.T) {
	t.Parallel()
	missing := errors.New("no server today")
	interrupted, interrupt := context.WithCancelCause(t.Context())
	cases := map[string]struct {
		ctx   context.Context
		fresh func(context.Context) (*bench.Target, func() error, error)
	}{
		"no server": {t.Context(), func(context.Context) (*bench.Target, func() error, error) { return nil, nil, missing }},
		"no PostgreSQL": {t.Context(), func(context.Context) (*bench.Target, func() error, error) {
			return &bench.Target{Database: "postgres://127.0.0.1:1/"}, func() error { return missing }, nil
		}},
		"interrupted": {interrupted, func(ctx context.Context) (*bench.Target, func() error, error) {
			interrupt(missing)
			return nowhere(ctx)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := (&Suite{Dir: dir, Quick: true, Fresh: c.fresh}).Run(c.ctx); !errors.Is(err, missing) {
				t.Errorf("error %v", err)
			}
			if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil {
				t.Errorf("written: %v, error %v", entries, err)
			}
		})
	}
}

func TestTooFewFiles(t *testing.T) {
	t.Parallel()
	s := &Suite{Fresh: func(ctx context.Context) (*bench.Target, func() error, error) {
		target, _, err := nowhere(ctx)
		return target, func() error { return nil }, err
	}}
	hungry := plan(true)[len(plan(true))-1]
	hungry.files = 1 << 40
	for name, c := range map[string]struct {
		ours int
		want string
	}{"ours": {100, "this process may have 100"}, "the server's": {0, "the server may have"}} {
		run, err := s.run(t.Context(), hungry, &Machine{OpenFiles: c.ours})
		if err != nil || run.Error != "" || !strings.Contains(run.LeftOut, c.want) {
			t.Errorf("%s: error %v, %+v", name, err, run)
		}
	}
}

// TestPlanFiles checks that the runs in which some clients are extra count these too.
func TestPlanFiles(t *testing.T) {
	t.Parallel()
	for _, step := range plan(false) {
		if m, ok := step.measurement.(*bench.Churn); ok && step.files < m.Clients+m.Guests+spareFiles {
			t.Errorf("%s: %d files", step.name, step.files)
		}
	}
}

// TestPlanBears checks that no step asks for what its measurement refuses, or for more than runs are for.
func TestPlanBears(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, isQuick := range []bool{false, true} {
		names := map[string]bool{}
		for _, step := range plan(isQuick) {
			names[step.group+step.name] = true
			_, err := step.measurement.Measure(ctx, &bench.Target{Address: "127.0.0.1:1", PID: os.Getpid()})
			if !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "refused") {
				t.Errorf("%s: %v", step.name, err)
			}
		}
		if want := 30; len(names) < want && !isQuick {
			t.Errorf("%d runs that differ, of %d at least", len(names), want)
		}
	}
}
