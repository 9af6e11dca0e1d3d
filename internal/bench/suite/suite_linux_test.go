package suite

import (
	"context"
	"errors"
	"os"
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

// TestNothingToMeasure has nothing to go on with.
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
