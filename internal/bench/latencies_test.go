package bench

import (
	"math"
	"testing"
	"time"
)

// near allows for what a recorder of three digits, in milliseconds, does not tell apart.
func near(got, want float64) bool { return math.Abs(got-want) <= want/1000+0.001 }

func TestLatencies(t *testing.T) {
	t.Parallel()
	l := newLatencies()
	for i := range 10000 {
		if err := l.record(time.Duration(10000-i) * 10 * time.Microsecond); err != nil {
			t.Fatal(err)
		}
	}
	r := &Report{}
	r.addLatencies("latency", l)
	for name, want := range map[string]float64{
		"latency, p50": 50, "latency, p90": 90, "latency, p99": 99, "latency, p99.9": 99.9, "latency, longest": 100,
	} {
		if got, ok := r.Value(name); !ok || !near(got, want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, ok, want)
		}
	}
	if l.count() != 10000 {
		t.Errorf("count %d", l.count())
	}
	for i, p := range r.Percentiles {
		if want := max(p.Percent, 0.01); !near(p.Milliseconds, math.Ceil(want*100-1e-9)/100) {
			t.Errorf("p%v: got %v ms", p.Percent, p.Milliseconds)
		}
		if i > 0 && p.Percent <= r.Percentiles[i-1].Percent {
			t.Errorf("p%v after p%v", p.Percent, r.Percentiles[i-1].Percent)
		}
	}
	first, last := r.Percentiles[0], r.Percentiles[len(r.Percentiles)-1]
	if first.Percent != 0 || !near(last.Percent, 99.99) {
		t.Errorf("from p%v to p%v", first.Percent, last.Percent)
	}
}

func TestLatencyOutOfRange(t *testing.T) {
	t.Parallel()
	l := newLatencies()
	for _, d := range []time.Duration{-time.Millisecond, 2 * longestLatency} {
		if err := l.record(d); err == nil {
			t.Errorf("%v: no error", d)
		}
	}
}
