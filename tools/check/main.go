// Check runs everything that must hold before a change goes in: formatting, go.mod, vet, lint, each benchmark
// once, and every test with the race detector. A step that fails does not keep the next one from running. At the
// end stand what ran and how long it took, what was skipped and why, and the sum.
//
//	go run ./tools/check             # all steps
//	go run ./tools/check vet lint    # these steps
//
// It runs in the top folder of the module and needs Go alone. What the tests need is brought by tools/need.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

// run runs the steps of these names, or all of them when there is no name, and prints the summary.
func run(ctx context.Context, names []string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	var all tally
	var lines []string
	for _, s := range chosen {
		fmt.Printf("── %s\n", s.name)
		begin := time.Now()
		var one tally
		err := s.run(ctx, &one)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: interrupted", s.name)
		}
		if err != nil {
			fmt.Printf("%s: %v\n", s.name, err)
		}
		one.close(err)
		all.add(s.name, one)
		lines = append(lines, fmt.Sprintf("%-10s  %-6s  %4.0f s", s.name, one.verdict(), time.Since(begin).Seconds()))
	}
	summarize(lines, all)
	if len(all.failures) > 0 {
		return errors.New("not everything that must hold does")
	}
	return nil
}

// choose returns the steps of these names in the order in which they run, and all of them for no name.
func choose(names []string) ([]step, error) {
	if len(names) == 0 {
		return steps, nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(steps, func(s step) bool { return s.name == name }) {
			return nil, fmt.Errorf("there is no step %q", name)
		}
	}
	return slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return !slices.Contains(names, s.name) }), nil
}

// summarize prints the line of each step, what failed, what was skipped and why, and as the last line the sum. In the
// sum each test and each benchmark counts as one, and so does each step without tests.
func summarize(lines []string, all tally) {
	list("what ran", lines)
	list("what failed", all.failures)
	list("what was skipped", all.skips)
	fmt.Println()
	fmt.Printf("%d passed, %d failed, %d skipped\n", all.passed, len(all.failures), len(all.skips))
}

func list(title string, lines []string) {
	fmt.Printf("\n── %s\n", title)
	if len(lines) == 0 {
		lines = []string{"nothing"}
	}
	for _, line := range lines {
		fmt.Println(line)
	}
}
