package suite

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/bench/chart"
)

func TestFacts(t *testing.T) {
	t.Parallel()
	doubling := figure{x: axis{one: "the clients", scale: chart.Log}}
	line := figure{x: axis{one: "connection", scale: chart.Linear}}
	cases := map[string]struct {
		figure figure
		unit   string
		points []chart.Point
		want   []string
	}{
		"straight growth": {
			doubling, "s", []chart.Point{{X: 1, Y: 3}, {X: 8, Y: 24}, {X: 32, Y: 96}},
			[]string{"**it**: twice the clients, 2.00 ×; from 2.00 × (1 to 8) to 2.00 × (1 to 8)."},
		},
		"no growth, two points": {
			doubling, "s", []chart.Point{{X: 1, Y: 3}, {X: 10, Y: 3}}, []string{"**it**: twice the clients, 1.00 ×."},
		},
		"a bend, and a point that has no logarithm": {
			doubling, "s", []chart.Point{{X: 0, Y: 1}, {X: 1000, Y: 1}, {X: 2000, Y: 1}, {X: 4000, Y: 4}, {X: 8000, Y: 0}},
			[]string{"**it**: twice the clients, 2.00 ×; from 1.00 × (1,000 to 2,000) to 4.00 × (2,000 to 4,000)."},
		},
		"a line": {
			line, "B", []chart.Point{{X: 0, Y: 20e6}, {X: 1000, Y: 23e6}, {X: 10000, Y: 50e6}},
			[]string{"**it**: 20 MB, and 3 kB a connection; no point is farther than 0% from that line."},
		},
		"off the line": {
			line, "B", []chart.Point{{X: 1, Y: 1}, {X: 2, Y: 4}, {X: 3, Y: 4}},
			[]string{"**it**: 0, and 1.5 B a connection; no point is farther than 50% from that line."},
		},
		"one point":                    {doubling, "", []chart.Point{{X: 1, Y: 1}}, nil},
		"one above the other":          {line, "", []chart.Point{{X: 1, Y: 1}, {X: 1, Y: 2}}, nil},
		"of percentiles, which bend":   {figure{curves: true}, "", []chart.Point{{X: 0, Y: 1}, {X: 1, Y: 1}}, nil},
		"one above the other, doubled": {doubling, "", []chart.Point{{X: 1, Y: 1}, {X: 1, Y: 2}, {X: 1, Y: 3}}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.figure.facts(chart.Chart{Y: chart.Axis{Unit: c.unit}, Series: []chart.Series{{Name: "it", Points: c.points}}})
			for i, fact := range got {
				got[i] = strings.ReplaceAll(fact, "\u00a0", " ")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 18000: "18,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: got %q", n, got)
		}
	}
}
