package bench

import (
	"context"
	"errors"
	"fmt"
)

// Fanout measures how fast notifications reach many clients of one channel.
type Fanout struct {
	Clients  int `default:"1000" help:"Clients on one channel."`
	Messages int `default:"1000" help:"Notifications to send, as fast as they go."`
	Burst    int `default:"50" help:"Notifications in one transaction."`
	Bytes    int `default:"100" help:"Length of a notification, at least some 60."`
}

// Measure measures a server. Deliveries per second are all deliveries by the time from just before the first NOTIFY to
// the last delivery, when all NOTIFYs have been answered too.
func (f *Fanout) Measure(ctx context.Context, t *Target) (_ *Report, err error) {
	if f.Clients < 1 || f.Messages < 1 || f.Burst < 1 || f.Bytes > maxPayloadBytes {
		return nil, errors.New("bench: fanout: clients, messages and burst must be 1 or more, bytes 7999 or less")
	}
	report, err := f.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: fanout: %w", err)
	}
	return report, nil
}

func (f *Fanout) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	a, err := gather(ctx, t, f.Clients, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	payloads := a.payloads(f.Messages, f.Bytes)
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	took, err := a.attend(ctx, payloads, a.inBursts(payloads, f.Burst), nil)
	if err != nil {
		return nil, err
	}
	deliveries := f.Clients * f.Messages
	r := &Report{Measurement: "fanout"}
	r.add("clients", float64(f.Clients), "")
	r.add("notifications", float64(f.Messages), "")
	r.add("notifications a transaction", float64(f.Burst), "")
	r.add("bytes a notification", float64(len(payloads[0])), "B")
	r.addDeliveries(deliveries, took)
	if err := r.addUsage(t, before, deliveries, "delivery", took); err != nil {
		return nil, err
	}
	return r, a.meet(ctx)
}
