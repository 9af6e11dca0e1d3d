package bench

import (
	"context"
	"errors"
	"fmt"
)

// Channels measures notifications for many channels with few clients each.
type Channels struct {
	Channels int `default:"10000" help:"Channels that are notified, one after another."`
	Each     int `default:"1" help:"Clients on each channel."`
	Clients  int `default:"0" help:"Clients in all, when they are to be fewer than that: then channels here and there have none. 0: as many as that."`
	Messages int `default:"20000" help:"Notifications to send in all, as fast as they go."`
	Burst    int `default:"50" help:"Notifications in one transaction."`
	Bytes    int `default:"100" help:"Length of a notification, at least some 60."`
}

// Measure measures a server. Deliveries per second are all deliveries by the time from just before the first NOTIFY to
// the last delivery, when all NOTIFYs have been answered too.
func (c *Channels) Measure(ctx context.Context, t *Target) (*Report, error) {
	switch {
	case c.Channels < 1 || c.Each < 1 || c.Messages < 1 || c.Burst < 1 || c.Bytes > maxPayloadBytes:
		return nil, errors.New("bench: channels: channels, each, messages and burst must be 1 or more, bytes 7999 or less")
	case c.Clients < 0 || c.Clients > c.Channels*c.Each:
		return nil, errors.New("bench: channels: clients must be from 0 to channels times each")
	}
	report, err := c.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: channels: %w", err)
	}
	return report, nil
}

func (c *Channels) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	clients := c.Clients
	if clients == 0 {
		clients = c.Channels * c.Each
	}
	a, err := gather(ctx, t, clients, c.Channels)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	payloads := a.payloads(c.Messages, c.Bytes)
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	deliveries := 0
	took, err := a.attend(ctx, payloads, a.inBursts(payloads, c.Burst), func(int, int) error {
		deliveries++
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := &Report{Measurement: "channels"}
	r.add("channels", float64(c.Channels), "")
	r.add("channels with clients", float64(a.heard()), "")
	r.add("clients", float64(clients), "")
	r.add("notifications", float64(c.Messages), "")
	r.add("notifications a transaction", float64(c.Burst), "")
	r.add("bytes a notification", float64(len(payloads[0])), "B")
	r.addDeliveries(deliveries, took)
	r.add("notifications a second", float64(c.Messages)/took.Seconds(), "/s")
	if err := r.addUsage(t, before, deliveries, "delivery", took); err != nil {
		return nil, err
	}
	if cost, ok := r.Value("CPU a delivery, server"); ok { // What nobody hears costs too.
		r.add("CPU a notification, server", cost*float64(deliveries)/float64(c.Messages), "µs")
	}
	return r, a.meet(ctx)
}
