package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Slow measures what clients that do not read cost the others, and the server's memory.
type Slow struct {
	Clients  int `default:"500" help:"Clients on one channel."`
	Deaf     int `default:"20" help:"How many of them do not read."`
	Messages int `default:"6000" help:"Notifications to send, as fast as those who read take them."`
	Burst    int `default:"50" help:"Notifications in one transaction."`
	Bytes    int `default:"7000" help:"Length of a notification, at least some 60."`
}

// Measure measures a server. The deaf ones read a hello and then nothing until the others have received everything.
// Then they read again: the server has closed them, or lets them catch up, as it likes.
func (s *Slow) Measure(ctx context.Context, t *Target) (*Report, error) {
	switch {
	case s.Clients < 1 || s.Messages < 1 || s.Burst < 1 || s.Bytes > maxPayloadBytes:
		return nil, errors.New("bench: slow: clients, messages and burst must be 1 or more, bytes 7999 or less")
	case s.Deaf < 0 || s.Deaf >= s.Clients:
		return nil, errors.New("bench: slow: deaf must be less than clients, and not negative")
	}
	report, err := s.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: slow: %w", err)
	}
	return report, nil
}

func (s *Slow) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	a, err := gather(ctx, t, s.Clients, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	payloads := a.payloads(s.Messages, s.Bytes)
	memory, err := watchMemory(t)
	if err != nil {
		return nil, err
	}
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	d := &deaf{audience: a, first: s.Clients - s.Deaf}
	if err := d.each(a.crowd.deafen); err != nil {
		return nil, err
	}
	a.crowd.round = memory.sample
	step := &lockstep{audience: a, payloads: payloads, burst: s.Burst, hearing: d.first, taken: make(chan struct{}, 1)}
	took, err := a.attend(ctx, payloads, step.notify, step.delivered)
	if err != nil {
		return nil, err
	}
	deliveries := d.first * s.Messages
	r := &Report{Measurement: "slow"}
	r.add("clients", float64(s.Clients), "")
	r.add("deaf clients", float64(s.Deaf), "")
	r.add("notifications", float64(s.Messages), "")
	r.add("notifications a transaction", float64(s.Burst), "")
	r.add("bytes a notification", float64(len(payloads[0])), "B")
	r.addDeliveries(deliveries, took)
	if err := r.addUsage(t, before, deliveries, "delivery", took); err != nil {
		return nil, err
	}
	if err := d.listen(ctx); err != nil {
		return nil, err
	}
	r.add("deaf clients closed by the server", float64(d.closed), "")
	return r, memory.report(r)
}

// A lockstep notifies in bursts, each when all who hear have taken the one before: nobody of them is to be thought slow.
type lockstep struct {
	audience   *audience
	payloads   []string
	burst      int
	hearing    int
	deliveries int
	taken      chan struct{} // has one when a burst is taken
}

func (l *lockstep) notify(ctx context.Context) error {
	for burst := range slices.Chunk(l.payloads, l.burst) {
		if err := l.audience.db.notify(ctx, burst...); err != nil {
			return err
		}
		if len(burst) < l.burst {
			return nil // It is the last one.
		}
		select {
		case <-l.taken:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (l *lockstep) delivered(int, int) error {
	if l.deliveries++; l.deliveries%(l.burst*l.hearing) == 0 {
		l.taken <- struct{}{}
	}
	return nil
}

// Deaf are the last clients of an audience, which do not read.
type deaf struct {
	audience *audience
	first    int // the first one's number
	closed   int // how many the server has closed
}

func (d *deaf) each(do func(client int) error) error {
	for client := d.first; client < d.audience.clients; client++ {
		if err := do(client); err != nil {
			return fmt.Errorf("client %d: %w", client, err)
		}
	}
	return nil
}

// listen has them read again, all that comes up to the next hello, which reaches those that are not closed. What has
// become of the messages before it is the server's affair.
func (d *deaf) listen(ctx context.Context) error {
	a, hear := d.audience, d.audience.hear
	a.hear = func(client int, payload []byte) error {
		if client >= d.first {
			return nil
		}
		return hear(client, payload)
	}
	a.crowd.ended = func(client int, how *ending) error {
		if client < d.first {
			return how
		}
		d.closed++
		a.ledger.excuse(client)
		return nil
	}
	if err := d.each(a.crowd.undeafen); err != nil {
		return err
	}
	return a.meet(ctx)
}
