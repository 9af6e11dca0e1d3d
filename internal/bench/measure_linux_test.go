package bench_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgws/internal/bench"
)

// timeout is longer than any measurement here takes. Only one that hangs meets it.
const timeout = time.Minute

func TestMeasurements(t *testing.T) {
	t.Parallel()
	target := startServer(t)
	const counted = "deliveries, complete and in order"
	cases := map[string]struct {
		measurement bench.Measurement
		want        map[string]float64
		positive    []string
	}{
		"idle": {
			&bench.Idle{Clients: 200, Settle: time.Millisecond},
			map[string]float64{"connections": 200},
			[]string{"handshakes a second", "CPU a handshake, server", "memory without connections", "memory, just opened"},
		},
		"idle, own channels": {
			&bench.Idle{Clients: 20, OwnChannels: true},
			map[string]float64{"connections": 20},
			[]string{"memory, after a wait"},
		},
		"fanout": {
			&bench.Fanout{Clients: 20, Messages: 50, Burst: 7, Bytes: 100},
			map[string]float64{counted: 1000, "bytes a notification": 100},
			[]string{"deliveries a second", "time to the last delivery", "CPU a delivery, server", "CPU a delivery, clients"},
		},
		"fanout, long messages": {
			&bench.Fanout{Clients: 5, Messages: 200, Burst: 200, Bytes: 7999},
			map[string]float64{counted: 1000, "bytes a notification": 7999}, nil,
		},
		"fanout to one": {
			&bench.Fanout{Clients: 1, Messages: 1, Burst: 1},
			map[string]float64{counted: 1}, nil,
		},
		"latency": {
			&bench.Latency{Clients: 20, Rate: 200, Time: 250 * time.Millisecond, Bytes: 1000},
			map[string]float64{counted: 1000},
			[]string{"latency, p50", "latency, p99", "latency, longest", "CPU a delivery, server"},
		},
		"ingest": {
			&bench.Ingest{Senders: 20, Messages: 50, Write: 1},
			map[string]float64{"messages, complete and in order": 1000},
			[]string{"messages a second", "CPU a message, server", "CPU a message, clients", "transactions", "messages a transaction"},
		},
		"ingest, many in one write": {
			&bench.Ingest{Senders: 3, Messages: 5000, Write: 1000},
			map[string]float64{"messages, complete and in order": 15000}, nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			report, err := c.measurement.Measure(ctx, target)
			if err != nil {
				t.Fatal(err)
			}
			for figure, want := range c.want {
				if got, ok := report.Value(figure); !ok || got != want {
					t.Errorf("%s: got %v, %v, want %v", figure, got, ok, want)
				}
			}
			for _, figure := range c.positive {
				if got, ok := report.Value(figure); !ok || got <= 0 {
					t.Errorf("%s: got %v, %v", figure, got, ok)
				}
			}
		})
	}
}

func TestServerWithoutProcessAndMetrics(t *testing.T) {
	t.Parallel()
	target := startServer(t)
	target.PID, target.Metrics = 0, ""
	report, err := (&bench.Ingest{Senders: 2, Messages: 10, Write: 1}).Measure(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	for _, figure := range []string{"CPU a message, server", "transactions"} {
		if got, ok := report.Value(figure); ok {
			t.Errorf("%s: got %v, and nobody can know", figure, got)
		}
	}
	if _, err := (&bench.Idle{Clients: 1}).Measure(t.Context(), target); err == nil {
		t.Error("idle: no error")
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	cases := map[string]bench.Measurement{
		"idle, no clients":         &bench.Idle{},
		"fanout, no clients":       &bench.Fanout{Messages: 1, Burst: 1},
		"fanout, no burst":         &bench.Fanout{Clients: 1, Messages: 1},
		"fanout, too many bytes":   &bench.Fanout{Clients: 1, Messages: 1, Burst: 1, Bytes: 8000},
		"latency, no rate":         &bench.Latency{Clients: 1, Time: time.Second},
		"ingest, nothing to write": &bench.Ingest{Senders: 1, Messages: 1},
	}
	for name, measurement := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := measurement.Measure(t.Context(), &bench.Target{PID: 1}); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	target := startServer(t)
	target.Secret = []byte("another secret of thirty-two bytes")
	for name, measurement := range map[string]bench.Measurement{
		"idle":    &bench.Idle{Clients: 20},
		"fanout":  &bench.Fanout{Clients: 20, Messages: 1, Burst: 1},
		"latency": &bench.Latency{Clients: 20, Rate: 1, Time: time.Second},
		"ingest":  &bench.Ingest{Senders: 20, Messages: 1, Write: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := measurement.Measure(t.Context(), target)
			if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "eyJ") {
				t.Errorf("error %v, want 401 and no token", err)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	target := startServer(t)
	target.ListenChannel = "a channel that the server does not listen to"
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	target.Progress = runOut(cancel, "say hello", 0)
	_, err := (&bench.Fanout{Clients: 3, Messages: 1, Burst: 1}).Measure(ctx, target)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "0 of 3 clients hear") {
		t.Errorf("error %v", err)
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	target := startServer(t)
	target.Address = "127.0.0.1:1"
	_, err := (&bench.Fanout{Clients: 3, Messages: 1, Burst: 1}).Measure(t.Context(), target)
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
}

func TestDatabaseIsNotQuoted(t *testing.T) {
	t.Parallel()
	target := &bench.Target{Database: "postgres://me:hidden@host:notaport/db"}
	_, err := (&bench.Fanout{Clients: 3, Messages: 1, Burst: 1}).Measure(t.Context(), target)
	if err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("error %v", err)
	}
}
