package chart_test

import (
	"math"
	"strings"
	"testing"

	"pgws/internal/bench/chart"
)

func TestFormat(t *testing.T) {
	t.Parallel()
	cases := []struct {
		value float64
		unit  string
		want  string
	}{
		{0, "B", "0"},
		{5, "", "5"},
		{100, "", "100"},
		{999, "", "999"},
		{999.6, "", "1 k"},
		{1000, "", "1 k"},
		{18000, "", "18 k"},
		{12345, "", "12.3 k"},
		{999_999, "B", "1 MB"},
		{2.5e6, "/s", "2.5 M/s"},
		{20, "/s", "20/s"},
		{7e15, "B", "7000 TB"},
		{0.05, "", "0.05"},
		{0.05, "B", "0.05 B"},
		{1.5, "s", "1.5 s"},
		{0.0125, "s", "12.5 ms"},
		{5e-3, "s", "5 ms"},
		{588e-6, "s", "588 µs"},
		{9.999e-7, "s", "1 µs"},
		{3.8e-8, "s", "38 ns"},
		{1e-12, "s", "0.001 ns"},
		{90, "s", "90 s"},
		{-1500, "B", "-1.5 kB"},
		{math.Inf(1), "B", "+Inf"},
	}
	for _, c := range cases {
		if got := strings.ReplaceAll(chart.Format(c.value, c.unit), "\u00a0", " "); got != c.want {
			t.Errorf("%v %q: got %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}
