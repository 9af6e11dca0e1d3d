package bench

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/gobwas/ws"
)

// otherThreads are at work beside those that write: one reads, and one hands out what is to be written.
const otherThreads = 2

func (f *Floor) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	// Go's scheduler must not stand between the threads: it is not told of their system calls, and would have one that is
	// woken wait until another has had its turn. The system's scheduler is left to judge.
	threads := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads + otherThreads))
	// The crowd is served from here, and its CPU time is that of this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	a := &audience{channel: newChannel(), channels: 1, clients: f.Clients}
	w, err := admit(ctx, t, a, threads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close(), w.close()) }()
	r := &Report{Measurement: "floor"}
	r.add("clients", float64(f.Clients), "")
	r.add("threads that write", float64(threads), "")
	r.add("bytes a notification", float64(len(a.payloads(1, f.Bytes)[0])), "B")
	p := newPace(f.Rate, f.Time)
	for _, part := range []part{
		{name: "singles", messages: f.Messages, together: 1},
		{name: "bursts", messages: f.Bursts * f.Burst, together: f.Burst},
		{name: "at a rate", messages: p.count(), together: 1, pace: p},
	} {
		found, err := part.measure(ctx, a, w, f.Bytes)
		if err != nil {
			return nil, err
		}
		for _, figure := range found.Figures {
			r.add(part.name+": "+figure.Name, figure.Value, figure.Unit)
		}
		r.Percentiles = found.Percentiles
	}
	return r, nil
}

// A part of the measurement is one way to write messages to all.
type part struct {
	name     string
	messages int
	together int   // messages in one write
	pace     *pace // nil: they go as fast as they can
}

func (p part) measure(ctx context.Context, a *audience, w *writers, length int) (*Report, error) {
	payloads := a.payloads(p.messages, length)
	var pieces [][]byte
	for messages := range slices.Chunk(payloads, p.together) {
		var piece []byte
		for _, payload := range messages {
			piece = append(piece, ws.MustCompileFrame(ws.NewTextFrame([]byte(payload)))...)
		}
		pieces = append(pieces, piece)
	}
	feed := func(_ context.Context, post func([]byte) error) error {
		for _, piece := range pieces {
			if err := post(piece); err != nil {
				return err
			}
		}
		return nil
	}
	var delivered func(client, number int) error
	if p.pace != nil {
		feed = func(ctx context.Context, post func([]byte) error) error {
			return p.pace.run(ctx, func(number int) error { return post(pieces[number]) })
		}
		delivered = func(_, number int) error { return p.pace.delivered(number) }
	}
	var writing time.Duration
	before, err := threadCPU()
	if err != nil {
		return nil, err
	}
	took, err := a.attend(ctx, payloads, func(ctx context.Context) (err error) {
		writing, err = w.write(ctx, feed)
		return err
	}, delivered)
	if err != nil {
		return nil, err
	}
	after, err := threadCPU()
	if err != nil {
		return nil, err
	}
	deliveries := a.clients * p.messages
	r := &Report{}
	r.addDeliveries(deliveries, took)
	if p.pace != nil {
		p.pace.addTo(r)
		r.addLatencies("latency", p.pace.late)
	}
	r.addCost("server", writing, deliveries, "delivery", took)
	r.addCost("clients", after-before, deliveries, "delivery", took)
	return r, nil
}
