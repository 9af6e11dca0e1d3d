package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Latency measures how late notifications reach many clients of one channel.
type Latency struct {
	Clients int           `default:"1000" help:"Clients on one channel."`
	Rate    int           `default:"20" help:"Notifications a second."`
	Time    time.Duration `default:"10s" help:"How long to send."`
	Bytes   int           `default:"100" help:"Length of a notification, at least some 60."`
}

// Measure measures a server. A latency is the time from when the NOTIFY was due until the frame has been read.
func (l *Latency) Measure(ctx context.Context, t *Target) (*Report, error) {
	if l.Clients < 1 || l.Time <= 0 || l.Bytes > maxPayloadBytes {
		return nil, errors.New("bench: latency: clients and time must be above 0, bytes 7999 or less")
	}
	if err := checkRate(l.Rate); err != nil {
		return nil, fmt.Errorf("bench: latency: %w", err)
	}
	report, err := l.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: latency: %w", err)
	}
	return report, nil
}

func (l *Latency) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	a, err := gather(ctx, t, l.Clients, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	p := newPace(l.Rate, l.Time)
	payloads := a.payloads(p.count(), l.Bytes)
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	took, err := a.attend(ctx, payloads, func(ctx context.Context) error {
		return p.run(ctx, func(number int) error { return a.db.notify(ctx, payloads[number]) })
	}, func(_, number int) error { return p.delivered(number) })
	if err != nil {
		return nil, err
	}
	r := &Report{Measurement: "latency"}
	r.add("clients", float64(l.Clients), "")
	r.add("notifications", float64(len(payloads)), "")
	p.addTo(r)
	r.add("bytes a notification", float64(len(payloads[0])), "B")
	r.add(complete, float64(p.late.count()), "")
	r.addLatencies("latency", p.late)
	if err := r.addUsage(t, before, p.late.count(), "delivery", took); err != nil {
		return nil, err
	}
	return r, a.meet(ctx)
}
