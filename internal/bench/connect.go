package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Connect measures how fast clients are let in.
type Connect struct {
	Clients int `default:"5000" help:"Clients to let in, on one channel."`
	AtOnce  int `default:"128" help:"Handshakes under way at the same time."`
}

// Measure measures a server. The time of a handshake is from connect until its answer has been read.
func (c *Connect) Measure(ctx context.Context, t *Target) (*Report, error) {
	if c.Clients < 1 || c.AtOnce < 1 {
		return nil, errors.New("bench: connect: clients and at-once must be 1 or more")
	}
	report, err := c.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: connect: %w", err)
	}
	return report, nil
}

func (c *Connect) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	channel := newChannel()
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	crowd, err := openCrowd(ctx, t, c.Clients, c.AtOnce, func(client int) string { return t.path(channel, "r", client) })
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	defer func() { err = errors.Join(err, crowd.close()) }()
	r := &Report{Measurement: "connect"}
	r.add("connections", float64(c.Clients), "")
	r.add("handshakes at once", float64(c.AtOnce), "")
	r.add("handshakes a second", float64(c.Clients)/took.Seconds(), "/s")
	r.addLatencies("time of a handshake", crowd.handshakes)
	return r, r.addUsage(t, before, c.Clients, "handshake", took)
}
