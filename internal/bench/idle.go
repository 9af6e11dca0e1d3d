package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Idle measures what connections cost that do nothing.
type Idle struct {
	Clients     int           `default:"5000" help:"Connections to open."`
	OwnChannels bool          `help:"Give each connection a channel of its own."`
	Settle      time.Duration `default:"10s" help:"How long to wait for the server's garbage collector before memory is read again."`
}

// Measure measures a server on this machine: its resident memory with and without the connections, and its CPU while
// they are opened.
func (i *Idle) Measure(ctx context.Context, t *Target) (*Report, error) {
	if i.Clients < 1 || i.Settle < 0 {
		return nil, errors.New("bench: idle: clients must be 1 or more, and settle not negative")
	}
	if t.PID == 0 {
		return nil, errors.New("bench: idle: the server's process id is needed")
	}
	report, err := i.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: idle: %w", err)
	}
	return report, nil
}

func (i *Idle) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	server := process(t.PID)
	empty, err := server.resident()
	if err != nil {
		return nil, err
	}
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	channel := newChannel()
	start := time.Now()
	c, err := openCrowd(ctx, t, i.Clients, openAtOnce, func(client int) string {
		if i.OwnChannels {
			return t.path(fmt.Sprintf("%s-%d", channel, client), "r", client)
		}
		return t.path(channel, "r", client)
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	took := time.Since(start)
	r := &Report{Measurement: "idle"}
	r.add("connections", float64(i.Clients), "")
	r.add("handshakes a second", float64(i.Clients)/took.Seconds(), "/s")
	if err := r.addUsage(t, before, i.Clients, "handshake", took); err != nil {
		return nil, err
	}
	opened, err := server.resident()
	if err != nil {
		return nil, err
	}
	start = time.Now()
	err = c.serve(ctx, func() bool {
		waited := time.Since(start)
		t.progress("settle, seconds", int(waited.Seconds()), int(i.Settle.Seconds()))
		return waited >= i.Settle
	})
	if err != nil {
		return nil, err
	}
	rest, err := server.resident()
	if err != nil {
		return nil, err
	}
	r.addMemory("memory without connections", empty)
	r.addMemory("memory, just opened", opened)
	r.addMemory("memory, after a wait", rest)
	r.add("wait", i.Settle.Seconds(), "s")
	r.add("memory a connection, just opened", float64(opened-empty)/float64(i.Clients), "B")
	r.add("memory a connection, after a wait", float64(rest-empty)/float64(i.Clients), "B")
	return r, nil
}
