package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// An event is one line of go test -json, described by `go doc test2json`. Elapsed is in seconds.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// A report reads the events of one go test, prints a line for each package and what failed tests have printed, and
// counts the results.
type report struct {
	out      io.Writer
	count    *tally
	packages map[string]*unit
}

// A unit is a package whose tests are running.
type unit struct {
	name   string
	output []string            // What the package has printed outside its tests.
	tests  map[string][]string // What each test that has begun and not ended has printed.
	failed bool                // A test of it has failed.
}

func newReport(out io.Writer, count *tally) *report {
	return &report{out: out, count: count, packages: map[string]*unit{}}
}

// read reads events to their end. From the first thing on that is no event, all is printed as it is.
func (r *report) read(events io.Reader) error {
	decoder := json.NewDecoder(events)
	for {
		var e event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			_, copyErr := io.Copy(r.out, io.MultiReader(decoder.Buffered(), events))
			return fmt.Errorf("go test: read its events: %w", errors.Join(err, copyErr))
		}
		r.take(e)
	}
}

func (r *report) take(e event) {
	if e.Package == "" {
		fmt.Fprint(r.out, e.Output) // The compiler speaks, and names no package.
		return
	}
	u := r.packages[e.Package]
	if u == nil {
		u = &unit{name: e.Package, tests: map[string][]string{}}
		r.packages[e.Package] = u
	}
	if e.Test == "" {
		r.takePackage(u, e)
	} else {
		r.takeTest(u, e)
	}
}

func (r *report) takeTest(u *unit, e event) {
	switch e.Action {
	case "run":
		u.tests[e.Test] = nil
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") { // RUN, PAUSE, CONT, NAME.
			u.tests[e.Test] = append(u.tests[e.Test], e.Output)
		}
	case "pass":
		r.count.passed++
		delete(u.tests, e.Test)
	case "skip":
		r.count.skips = append(r.count.skips, u.name+" "+e.Test+": "+reason(e.Test, u.tests[e.Test]))
		delete(u.tests, e.Test)
	case "fail":
		r.fail(u, e.Test)
		delete(u.tests, e.Test)
	}
}

func (r *report) takePackage(u *unit, e event) {
	switch e.Action {
	case "output":
		u.output = append(u.output, e.Output)
	case "pass":
		r.count.passed += len(u.tests) // A benchmark that passes is never said to have ended.
		fmt.Fprintf(r.out, "ok    %6.1f s  %s\n", e.Elapsed, u.name)
	case "fail":
		r.closeFailed(u)
		fmt.Fprint(r.out, strings.Join(u.output, ""))
		fmt.Fprintf(r.out, "FAIL  %6.1f s  %s\n", e.Elapsed, u.name)
	}
}

// closeFailed ends a package that failed. The tests of which no end was told have failed with it, except for a
// benchmark that has printed its result. The package counts as one failure when none of its tests has failed: then
// it was the compiler, TestMain or a leaked goroutine.
func (r *report) closeFailed(u *unit) {
	for _, test := range slices.Sorted(maps.Keys(u.tests)) {
		if strings.Contains(strings.Join(u.tests[test], ""), "ns/op") {
			r.count.passed++
		} else {
			r.fail(u, test)
		}
	}
	if !u.failed {
		r.count.failures = append(r.count.failures, u.name)
	}
}

// fail counts a test that failed and prints all it has printed.
func (r *report) fail(u *unit, test string) {
	u.failed = true
	r.count.failures = append(r.count.failures, u.name+" "+test)
	fmt.Fprintf(r.out, "%s %s:\n%s", u.name, test, strings.Join(u.tests[test], ""))
}

// reason is what a skipped test has printed, without the frame that go test puts around it.
func reason(test string, output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != test && !strings.HasPrefix(line, "--- SKIP") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "no reason was given"
	}
	return strings.Join(said, " ")
}
