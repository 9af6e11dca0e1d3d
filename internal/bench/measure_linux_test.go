package bench_test

import (
	"context"
	"errors"
	"runtime"
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
			[]string{"latency, p50", "latency, p90", "latency, p99", "latency, p99.9", "latency, longest", "CPU a delivery, server", "notifications a second", "notifications a second, achieved"},
		},
		"connect": {
			&bench.Connect{Clients: 100, AtOnce: 7},
			map[string]float64{"connections": 100, "handshakes at once": 7},
			[]string{"handshakes a second", "time of a handshake, p50", "time of a handshake, p99", "CPU a handshake, server", "CPU a handshake, clients"},
		},
		"channels": {
			&bench.Channels{Channels: 50, Each: 1, Messages: 500, Burst: 20},
			map[string]float64{counted: 500, "channels": 50, "channels with clients": 50, "clients": 50},
			[]string{"deliveries a second", "notifications a second", "CPU a delivery, server", "CPU a notification, server"},
		},
		"channels, some clients on each, not all as often": {
			&bench.Channels{Channels: 7, Each: 3, Messages: 30, Burst: 4, Bytes: 200},
			map[string]float64{counted: 90, "channels with clients": 7, "clients": 21, "bytes a notification": 200}, nil,
		},
		"channels, fewer clients": {
			// One is on every third channel; the last channel has none, nor has the rest of the messages.
			&bench.Channels{Channels: 31, Each: 2, Clients: 10, Messages: 40, Burst: 10},
			map[string]float64{counted: 13, "channels": 31, "channels with clients": 10, "clients": 10}, nil,
		},
		"channels, fewer messages": {
			&bench.Channels{Channels: 20, Each: 1, Messages: 5, Burst: 10},
			map[string]float64{counted: 5}, nil,
		},
		"churn": {
			&bench.Churn{Clients: 10, Guests: 5, Leave: 100, Rate: 200, Time: 500 * time.Millisecond},
			map[string]float64{counted: 1000, "clients": 10, "guests": 5, "notifications": 100},
			[]string{"departures", "arrivals", "departures a second", "deliveries to guests", "latency, p50", "latency, p99", "CPU a delivery, server"},
		},
		"slow": {
			&bench.Slow{Clients: 10, Deaf: 3, Messages: 100, Burst: 10, Bytes: 7000},
			map[string]float64{counted: 700, "clients": 10, "deaf clients": 3, "deaf clients closed by the server": 0},
			[]string{"deliveries a second", "memory, before", "memory, highest", "memory, after", "CPU a delivery, server"},
		},
		"slow, and nobody is": {
			&bench.Slow{Clients: 2, Messages: 10, Burst: 10},
			map[string]float64{counted: 20}, nil,
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
		"ingest, long messages": {
			&bench.Ingest{Senders: 3, Messages: 100, Write: 7, Bytes: 7500},
			map[string]float64{"messages, complete and in order": 300, "bytes a message": 7500}, nil,
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

// TestCPUIsOfTheTimeMeasured shows that, also where almost nobody hears, the time ends when all has been sent.
func TestCPUIsOfTheTimeMeasured(t *testing.T) {
	t.Parallel()
	const slack = 1.1
	target := startServer(t)
	report, err := (&bench.Channels{Channels: 5000, Each: 1, Clients: 1, Messages: 4999, Burst: 50}).Measure(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"server", "clients"} { // Both are this process.
		if busy, ok := report.Value("CPUs busy, " + who); !ok || busy <= 0 || busy > slack*float64(runtime.NumCPU()) {
			t.Errorf("%s: %v CPUs busy, %v, of %d", who, busy, ok, runtime.NumCPU())
		}
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
		"latency, too fast":        &bench.Latency{Clients: 1, Rate: 1_000_001, Time: time.Second},
		"churn, too fast":          &bench.Churn{Clients: 1, Guests: 1, Leave: 1, Rate: 2_000_000_000, Time: time.Second},
		"floor, too fast":          &bench.Floor{Clients: 1, Messages: 1, Bursts: 1, Burst: 1, Rate: 2_000_000_000, Time: time.Second},
		"connect, none at once":    &bench.Connect{Clients: 1},
		"channels, none":           &bench.Channels{Each: 1, Messages: 1, Burst: 1},
		"channels, more clients":   &bench.Channels{Channels: 2, Each: 2, Clients: 5, Messages: 1, Burst: 1},
		"churn, nobody leaves":     &bench.Churn{Clients: 1, Guests: 1, Rate: 1, Time: time.Second},
		"slow, all are deaf":       &bench.Slow{Clients: 2, Deaf: 2, Messages: 1, Burst: 1},
		"floor, no burst":          &bench.Floor{Clients: 1, Messages: 1, Bursts: 1, Rate: 1, Time: time.Second},
		"ingest, nothing to write": &bench.Ingest{Senders: 1, Messages: 1},
		"ingest, too many bytes":   &bench.Ingest{Senders: 1, Messages: 1, Write: 1, Bytes: 7501},
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
		"idle":     &bench.Idle{Clients: 20},
		"connect":  &bench.Connect{Clients: 20, AtOnce: 1},
		"fanout":   &bench.Fanout{Clients: 20, Messages: 1, Burst: 1},
		"channels": &bench.Channels{Channels: 20, Each: 1, Messages: 1, Burst: 1},
		"latency":  &bench.Latency{Clients: 20, Rate: 1, Time: time.Second},
		"churn":    &bench.Churn{Clients: 20, Guests: 1, Leave: 1, Rate: 1, Time: time.Second},
		"slow":     &bench.Slow{Clients: 20, Messages: 1, Burst: 1},
		"ingest":   &bench.Ingest{Senders: 20, Messages: 1, Write: 1},
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
