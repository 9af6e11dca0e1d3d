package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReportCountsEachResult(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		events string
		want   tally
		prints string
	}{
		"a test that passes, with one subtest": {
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: noise\n"}
				{"Action":"run","Package":"p","Test":"TestA/sub"}
				{"Action":"pass","Package":"p","Test":"TestA/sub"}
				{"Action":"pass","Package":"p","Test":"TestA"}
				{"Action":"pass","Package":"p","Elapsed":1.25}`,
			want:   tally{passed: 2},
			prints: "ok       1.2 s  p\n",
		},
		"a skip tells its reason": {
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
				{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: no chromium\n"}
				{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
				{"Action":"skip","Package":"p","Test":"TestA"}`,
			want: tally{skips: []string{"p TestA: a_test.go:3: no chromium"}},
		},
		"a skip without a reason": {
			events: `{"Action":"skip","Package":"p","Test":"TestA"}`,
			want:   tally{skips: []string{"p TestA: no reason was given"}},
		},
		"a failure prints what the test has printed": {
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: 1 is not 2\n"}
				{"Action":"fail","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Output":"FAIL\n"}
				{"Action":"fail","Package":"p"}`,
			want:   tally{failures: []string{"p TestA"}},
			prints: "p TestA:\n    a_test.go:3: 1 is not 2\nFAIL\nFAIL     0.0 s  p\n",
		},
		"a package that fails without a test": {
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"pass","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Output":"found a leaked goroutine\n"}
				{"Action":"fail","Package":"p"}`,
			want:   tally{passed: 1, failures: []string{"p"}},
			prints: "found a leaked goroutine\nFAIL     0.0 s  p\n",
		},
		"a test that never ends": {
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Test":"TestA","Output":"panic: test timed out\n"}
				{"Action":"fail","Package":"p"}`,
			want:   tally{failures: []string{"p TestA"}},
			prints: "p TestA:\npanic: test timed out\nFAIL     0.0 s  p\n",
		},
		"a package that does not compile": {
			events: `{"ImportPath":"p","Action":"build-output","Output":"a.go:1: undefined: x\n"}
				{"ImportPath":"p","Action":"build-fail"}
				{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			want:   tally{failures: []string{"p"}},
			prints: "a.go:1: undefined: x\nFAIL     0.0 s  p\n",
		},
		"a benchmark that passes is never said to end": {
			events: `{"Action":"run","Package":"p","Test":"BenchmarkA"}
				{"Action":"pass","Package":"p"}`,
			want:   tally{passed: 1},
			prints: "ok       0.0 s  p\n",
		},
		"a benchmark beside one that fails": {
			events: `{"Action":"run","Package":"p","Test":"BenchmarkA"}
				{"Action":"output","Package":"p","Test":"BenchmarkA","Output":"BenchmarkA \t 1\t 381.0 ns/op\n"}
				{"Action":"run","Package":"p","Test":"BenchmarkB"}
				{"Action":"fail","Package":"p","Test":"BenchmarkB"}
				{"Action":"fail","Package":"p"}`,
			want:   tally{passed: 1, failures: []string{"p BenchmarkB"}},
			prints: "p BenchmarkB:\nFAIL     0.0 s  p\n",
		},
		"a package without tests": {
			events: `{"Action":"skip","Package":"p"}`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got tally
			var printed strings.Builder
			if err := newReport(&printed, &got).read(strings.NewReader(c.events)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(tally{})); diff != "" {
				t.Errorf("tally (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.prints, printed.String()); diff != "" {
				t.Errorf("printed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReportPrintsWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	var got tally
	var printed strings.Builder
	err := newReport(&printed, &got).read(strings.NewReader(`{"Action":"start","Package":"p"}` + "\nfatal: no such thing\n"))
	if err == nil {
		t.Error("no error")
	}
	if !strings.Contains(printed.String(), "fatal: no such thing") {
		t.Errorf("printed %q", printed.String())
	}
}

var errStep = errors.New("exit status 1")

func TestTallyClose(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		tally tally
		err   error
		want  tally
	}{
		"a step that held":                        {want: tally{passed: 1}},
		"a step that did not":                     {err: errStep, want: tally{failures: []string{"exit status 1"}}},
		"tests that passed":                       {tally: tally{passed: 3}, want: tally{passed: 3}},
		"tests of which one failed":               {tally: tally{passed: 3, failures: []string{"p A"}}, err: errStep, want: tally{passed: 3, failures: []string{"p A"}}},
		"tests that passed, and yet a bad status": {tally: tally{passed: 3}, err: errStep, want: tally{passed: 3, failures: []string{"exit status 1"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.tally
			got.close(c.err)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(tally{})); diff != "" {
				t.Errorf("tally (-want +got):\n%s", diff)
			}
		})
	}
}
