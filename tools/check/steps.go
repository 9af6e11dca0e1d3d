package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// The linter is pinned: a new version finds new faults, and those belong to the change that brings it.
const golangciLint = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"

// testTimeout is when the tests of one package are taken to hang.
const testTimeout = 5 * time.Minute

// stopTimeout is what a command has to end by itself once it was interrupted.
const stopTimeout = 10 * time.Second

// A step is one thing that must hold. Its run writes what it finds to standard output, counts its tests, if it has
// any, in the tally, and returns an error when the thing does not hold.
type step struct {
	name string
	run  func(context.Context, *tally) error
}

// The tests come last, so that what they say stands just above the summary.
var steps = []step{
	{"format", gofmt},
	{"tidy", command("go", "mod", "tidy", "-diff")},
	{"vet", command("go", "vet", "./...")},
	{"vet-darwin", command("env", "GOOS=darwin", "CGO_ENABLED=0", "go", "vet", "./...")},
	{"lint", command("go", "run", golangciLint, "run", "./...")},
	// Each benchmark runs once, so that none of them rots. The numbers mean nothing and are not shown.
	{"benchmarks", goTest("-run", "^$", "-bench", ".", "-benchtime", "1x", "./...")},
	// The seeds of the fuzz targets are tests too. The order is drawn anew each time, and printed on failure.
	{"tests", goTest("-race", "-shuffle", "on", "./...")},
}

func gofmt(ctx context.Context, _ *tally) error {
	files, err := prepare(ctx, "gofmt", "-l", ".").Output()
	if err != nil {
		return fmt.Errorf("gofmt: %w", err)
	}
	if len(files) > 0 {
		return fmt.Errorf("gofmt would change:\n%s", files)
	}
	return nil
}

// command is a step that holds when the command ends with status 0.
func command(args ...string) func(context.Context, *tally) error {
	return func(ctx context.Context, _ *tally) error {
		cmd := prepare(ctx, args...)
		cmd.Stdout = os.Stdout
		return cmd.Run()
	}
}

// goTest is a step that runs go test with these arguments, never from the cache, and counts each result.
func goTest(args ...string) func(context.Context, *tally) error {
	args = append([]string{"go", "test", "-json", "-count", "1", "-timeout", testTimeout.String()}, args...)
	return func(ctx context.Context, count *tally) error {
		cmd := prepare(ctx, args...)
		events, err := cmd.StdoutPipe()
		if err != nil {
			return fmt.Errorf("go test: %w", err)
		}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("go test: %w", err)
		}
		err = newReport(os.Stdout, count).read(events)
		return errors.Join(err, cmd.Wait())
	}
}

// prepare makes a command that shares our standard error. When ctx ends it is interrupted, not killed, so that the
// tests can stop the servers they have started.
func prepare(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTimeout
	return cmd
}
