package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gobwas/ws"
)

// Ingest measures how fast clients' messages reach PostgreSQL.
type Ingest struct {
	Senders  int `default:"100" help:"Clients that send, on one channel."`
	Messages int `default:"2000" help:"Messages that each sends, as fast as they go."`
	Write    int `default:"1" help:"Messages that a client hands to its socket at once."`
}

// Measure measures a server. The time runs from the first message until PostgreSQL has delivered the last one to a
// session of ours that listens.
func (i *Ingest) Measure(ctx context.Context, t *Target) (*Report, error) {
	if i.Senders < 1 || i.Messages < 1 || i.Write < 1 {
		return nil, errors.New("bench: ingest: senders, messages and write must be 1 or more")
	}
	report, err := i.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: ingest: %w", err)
	}
	return report, nil
}

func (i *Ingest) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	db, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	if err := db.listen(ctx); err != nil {
		return nil, err
	}
	channel := newChannel()
	c, err := openCrowd(ctx, t, i.Senders, func(client int) string { return t.path(channel, "w", client) })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := greet(ctx, c, db, channel); err != nil {
		return nil, err
	}
	batchesBefore, err := t.batches(ctx)
	if err != nil {
		return nil, err
	}
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	took, err := i.send(ctx, t, c, db, channel)
	if err != nil {
		return nil, err
	}
	count := i.Senders * i.Messages
	r := &Report{Measurement: "ingest"}
	r.add("senders", float64(i.Senders), "")
	r.add("bytes a message", textBytes, "B")
	r.add("messages handed to a socket at once", float64(i.Write), "")
	r.add("messages, complete and in order", float64(count), "")
	r.addTime("time to the last notification", took)
	r.add("messages a second", float64(count)/took.Seconds(), "/s")
	if err := r.addUsage(t, before, count, "message", took); err != nil {
		return nil, err
	}
	batchesAfter, err := t.batches(ctx)
	if err != nil {
		return nil, err
	}
	if n := batchesAfter - batchesBefore; n > 0 {
		r.add("transactions", n, "")
		r.add("messages a transaction", float64(count)/n, "")
	}
	return r, nil
}

// greet sends one message and waits for it, so that the server's connection to PostgreSQL is there when the others come.
func greet(ctx context.Context, c *crowd, db *database, channel string) error {
	frames := appendFrame(nil, ws.OpText, message{kind: hello}.appendText(nil))
	c.more = func(int) (once []byte) {
		once, frames = frames, nil
		return once
	}
	if err := c.wantWrite(0); err != nil {
		return err
	}
	return during(ctx, c, func(ctx context.Context) error {
		return db.hear(ctx, func(payload string) (bool, error) {
			m, ok := parseRelayed(payload, channel)
			return ok && m.kind == hello, nil
		})
	}, nil)
}

// send has all clients send all messages and returns how long it took until all were heard.
func (i *Ingest) send(ctx context.Context, t *Target, c *crowd, db *database, channel string) (took time.Duration, err error) {
	c.more = i.frames()
	for sender := range i.Senders {
		if err := c.wantWrite(sender); err != nil {
			return 0, err
		}
	}
	l := newLedger(i.Senders, i.Messages)
	start := time.Now()
	err = during(ctx, c, func(ctx context.Context) error {
		return db.hear(ctx, func(payload string) (bool, error) {
			m, ok := parseRelayed(payload, channel)
			if !ok {
				return false, nil
			}
			if err := l.take(m.sender, m.number); err != nil {
				return false, fmt.Errorf("sender %d: %w", m.sender, err)
			}
			took = time.Since(start)
			t.progress("messages", i.Senders*i.Messages-l.missing, i.Senders*i.Messages)
			return l.complete(), nil
		})
	}, nil)
	return took, explain(err, l)
}

// frames returns the function that makes each sender's next frames.
func (i *Ingest) frames() func(sender int) []byte {
	var text, frames []byte
	next := make([]int, i.Senders)
	return func(sender int) []byte {
		frames = frames[:0]
		for range min(i.Write, i.Messages-next[sender]) {
			text = message{kind: measured, sender: sender, number: next[sender]}.appendText(text[:0])
			frames = appendFrame(frames, ws.OpText, text)
			next[sender]++
		}
		return frames
	}
}
