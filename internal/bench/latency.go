package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
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
	samples := make([]time.Duration, 0, count*l.Clients)
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	took, err := a.attend(ctx, count,
		func(ctx context.Context) error { return l.send(ctx, a, count) },
		func(m message) { samples = append(samples, time.Since(a.start)-m.sent) })
	if err != nil {
		return nil, err
	}
	slices.Sort(samples)
	r := &Report{Measurement: "latency"}
	r.add("clients", float64(l.Clients), "")
	r.add("notifications", float64(count), "")
	r.add("notifications a second", float64(l.Rate), "/s")
	r.add("deliveries, complete and in order", float64(len(samples)), "")
	r.addTime("latency, p50", percentile(samples, 0.50))
	r.addTime("latency, p99", percentile(samples, 0.99))
	r.addTime("latency, longest", samples[len(samples)-1])
	return r, r.addUsage(t, before, len(samples), "delivery", took)
}

// send sends notifications at the rate, each with its time.
func (l *Latency) send(ctx context.Context, a *audience, count int) error {
	ticker := time.NewTicker(time.Second / time.Duration(l.Rate))
	defer ticker.Stop()
	for i := range count {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		m := message{kind: measured, number: i, sent: time.Since(a.start)}
		if err := a.db.notify(ctx, m.payload(a.channel, l.Bytes)); err != nil {
			return err
		}
	}
	return nil
}

// percentile returns the smallest of the sorted samples that the given part of them does not exceed.
func percentile(sorted []time.Duration, part float64) time.Duration {
	return sorted[max(int(math.Ceil(part*float64(len(sorted))))-1, 0)]
}
