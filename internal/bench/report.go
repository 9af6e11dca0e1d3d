package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// A Figure is one result.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// A Percentile is a point of a curve: so many percent took so long at most.
type Percentile struct {
	Percent      float64 `json:"percent"`
	Milliseconds float64 `json:"milliseconds"`
}

// A Report is what a measurement has found, in the order in which to read it.
type Report struct {
	Measurement string   `json:"measurement"`
	Figures     []Figure `json:"figures"`
	// Percentiles are of the times that the measurement is about, from p0 to p99.99; of what was sent at a rate, where
	// there are several. Empty when it is not about times.
	Percentiles []Percentile `json:"percentiles,omitempty"`
}

func (r *Report) add(name string, value float64, unit string) {
	r.Figures = append(r.Figures, Figure{Name: name, Value: value, Unit: unit})
}

func (r *Report) addTime(name string, d time.Duration) { r.add(name, milliseconds(d), "ms") }

// complete counts what has been checked.
const complete = "deliveries, complete and in order"

// addDeliveries adds how many deliveries there were, and how fast: in the time that attend has returned.
func (r *Report) addDeliveries(n int, took time.Duration) {
	r.add(complete, float64(n), "")
	r.addTime("time to the last delivery", took)
	r.add("deliveries a second", float64(n)/took.Seconds(), "/s")
}

func (r *Report) addMemory(name string, bytes int) { r.add(name, float64(bytes)/(1<<20), "MiB") }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// addLatencies adds the percentiles that one quotes, and the curve.
func (r *Report) addLatencies(name string, l latencies) {
	for _, p := range []struct {
		name    string
		percent float64
	}{{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"longest", 100}} {
		r.addTime(name+", "+p.name, l.percentile(p.percent))
	}
	r.Percentiles = l.curve()
}

// addUsage adds what each of n things has cost in CPU time since before, and how many CPUs were at work meanwhile.
func (r *Report) addUsage(t *Target, before usage, n int, thing string, took time.Duration) error {
	after, err := t.usage()
	if err != nil {
		return err
	}
	if t.PID != 0 {
		r.addCost("server", after.server-before.server, n, thing, took)
	}
	r.addCost("clients", after.clients-before.clients, n, thing, took)
	return nil
}

func (r *Report) addCost(who string, cpu time.Duration, n int, thing string, took time.Duration) {
	r.add("CPU a "+thing+", "+who, float64(cpu)/1e3/float64(n), "µs")
	r.add("CPUs busy, "+who, float64(cpu)/float64(took), "")
}

// Value returns the figure of a name.
func (r *Report) Value(name string) (value float64, ok bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value, true
		}
	}
	return 0, false
}

// Write writes the report as a table.
func (r *Report) Write(w io.Writer) error {
	names, numbers := 0, 12
	for _, f := range r.Figures {
		names, numbers = max(names, len([]rune(f.Name))), max(numbers, len(number(f.Value)))
	}
	if _, err := fmt.Fprintln(w, r.Measurement); err != nil {
		return err
	}
	for _, f := range r.Figures {
		line := fmt.Sprintf("  %-*s  %*s", names, f.Name, numbers, number(f.Value))
		if f.Unit != "" {
			line += " " + f.Unit
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// number writes a value with three digits that count, or as a whole number when it is one or has three digits and more.
func number(v float64) string {
	decimals := 0
	if v != math.Trunc(v) {
		for size := math.Abs(v); size < 99.95; size *= 10 { // What is rounded up to 100 has three digits.
			decimals++
		}
	}
	digits := strconv.FormatFloat(v, 'f', decimals, 64)
	if decimals > 0 {
		return digits
	}
	return grouped(digits)
}

// grouped separates the thousands of a whole number.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
