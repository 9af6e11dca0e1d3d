package bench_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgws/internal/bench"
)

func TestFloor(t *testing.T) {
	t.Parallel()
	measurement := &bench.Floor{
		Clients: 20, Messages: 30, Bursts: 4, Burst: 50, Rate: 200, Time: 100 * time.Millisecond, Bytes: 7000,
	}
	report, err := measurement.Measure(t.Context(), &bench.Target{})
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]float64{"singles": 600, "bursts": 4000, "at a rate": 400} {
		if got, ok := report.Value(part + ": deliveries, complete and in order"); got != want {
			t.Errorf("%s: %v deliveries, %v, want %v", part, got, ok, want)
		}
		for _, figure := range []string{"deliveries a second", "CPU a delivery, server", "CPU a delivery, clients"} {
			if got, ok := report.Value(part + ": " + figure); got <= 0 {
				t.Errorf("%s: %s: got %v, %v", part, figure, got, ok)
			}
		}
	}
	if got, ok := report.Value("at a rate: notifications a second, achieved"); got <= 0 || got > 200 {
		t.Errorf("%v notifications a second, %v, where 200 were asked for", got, ok)
	}
	if got, ok := report.Value("at a rate: latency, p99"); got <= 0 || len(report.Percentiles) == 0 {
		t.Errorf("latency %v, %v, %d points of its curve", got, ok, len(report.Percentiles))
	}
}

func TestFloorIsInterrupted(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"open clients", "deliveries"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			wanted := errors.New("that is enough")
			target := &bench.Target{Progress: func(told string, done, _ int) {
				if told == step && done > 0 {
					cancel(wanted)
				}
			}}
			measurement := &bench.Floor{Clients: 200, Messages: 100, Bursts: 100, Burst: 10, Rate: 1, Time: timeout}
			if _, err := measurement.Measure(ctx, target); !errors.Is(err, wanted) {
				t.Errorf("error %v", err)
			}
		})
	}
}
