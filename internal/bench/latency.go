package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// Latency measures how late notifications reach many clients of one channel.
type Latency struct {
	Clients int           `default:"1000" help:"Clients on one channel."`
	Rate    int           `default:"20" help:"Notifications a second."`
	Time    time.Duration `default:"10s" help:"How long to send."`
	Bytes   int           `default:"100" help:"Length of a notification, at least some 60."`
}

// Measure measures a server. A latency is the time from just before the NOTIFY until the frame has been read.
func (l *Latency) Measure(ctx context.Context, t *Target) (*Report, error) {
	if l.Clients < 1 || l.Rate < 1 || l.Time <= 0 || l.Bytes > maxPayloadBytes {
		return nil, errors.New("bench: latency: clients, rate and time must be above 0, bytes 7999 or less")
	}
	report, err := l.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: latency: %w", err)
	}
	return report, nil
}

func (l *Latency) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	a, err := gather(ctx, t, l.Clients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	count := max(int(math.Round(l.Time.Seconds()*float64(l.Rate))), 1)
	payloads := a.payloads(count, l.Bytes)
	sent := make([]atomic.Int64, count) // nanoseconds since start
	samples := make([]time.Duration, 0, count*l.Clients)
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	took, err := a.attend(ctx, payloads, func(ctx context.Context) error {
		return l.everyTick(ctx, count, func(i int) error {
			sent[i].Store(int64(time.Since(start)))
			return a.db.notify(ctx, payloads[i])
		})
	}, func(i int) { samples = append(samples, time.Since(start)-time.Duration(sent[i].Load())) })
	if err != nil {
		return nil, err
	}
	slices.Sort(samples)
	r := &Report{Measurement: "latency"}
	r.add("clients", float64(l.Clients), "")
	r.add("notifications", float64(count), "")
	r.add("notifications a second", float64(l.Rate), "/s")
	r.add("bytes a notification", float64(len(payloads[0])), "B")
	r.add("deliveries, complete and in order", float64(len(samples)), "")
	r.addTime("latency, p50", percentile(samples, 0.50))
	r.addTime("latency, p99", percentile(samples, 0.99))
	r.addTime("latency, longest", samples[len(samples)-1])
	if err := r.addUsage(t, before, len(samples), "delivery", took); err != nil {
		return nil, err
	}
	return r, a.meet(ctx)
}

// everyTick calls send at the rate.
func (l *Latency) everyTick(ctx context.Context, count int, send func(i int) error) error {
	ticker := time.NewTicker(time.Second / time.Duration(l.Rate))
	defer ticker.Stop()
	for i := range count {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		if err := send(i); err != nil {
			return err
		}
	}
	return nil
}

// percentile returns the smallest of the sorted samples that the given part of them does not exceed.
func percentile(sorted []time.Duration, part float64) time.Duration {
	return sorted[max(int(math.Ceil(part*float64(len(sorted))))-1, 0)]
}
