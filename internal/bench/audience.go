package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxPayloadBytes is the longest payload that PostgreSQL takes.
const maxPayloadBytes = 7999

// helloWait is how long a hello may take to reach all clients before the next one is sent.
const helloWait = time.Second

// An audience is many clients on one channel, and a connection to PostgreSQL that notifies them.
type audience struct {
	target  *Target
	crowd   *crowd
	db      *database
	channel string
	prefix  string // with which each notification begins
	clients int
	start   time.Time // of the measurement
}

// gather opens an audience that hears.
func gather(ctx context.Context, t *Target, clients int) (a *audience, err error) {
	a = &audience{target: t, channel: newChannel(), clients: clients}
	a.prefix = prefix(a.channel)
	if a.db, err = t.connect(ctx); err != nil {
		return nil, err
	}
	a.crowd, err = openCrowd(ctx, t, clients, func(client int) string { return t.path(a.channel, "r", client) })
	if err != nil {
		return nil, errors.Join(err, a.db.close())
	}
	if err := a.meet(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// meet sends one hello after another until one has reached every client, for a server may let a client in a moment
// before it delivers to it. Then no other is on its way, since notifications do not overtake one another.
func (a *audience) meet(ctx context.Context) error {
	for round := 0; ; round++ {
		heard := 0
		a.crowd.deliver = func(_ int, payload []byte) error {
			m, err := parsePayload(payload, a.prefix)
			if err == nil && m.kind == hello && m.number == round {
				heard++
			}
			return err
		}
		if err := a.db.notify(ctx, message{kind: hello, number: round}.payload(a.channel, 0)); err != nil {
			return err
		}
		again := time.Now().Add(helloWait)
		err := a.crowd.serve(ctx, func() bool {
			a.target.progress("say hello", heard, a.clients)
			return heard == a.clients || time.Now().After(again)
		})
		if err != nil {
			return fmt.Errorf("%w: %d of %d clients hear", err, heard, a.clients)
		}
		if heard == a.clients {
			return nil
		}
	}
}

// attend measures: it runs notify, which sends n notifications, until every client has received each once and in order.
// It returns the time from the start to the last delivery. Each, if not nil, is told of every message.
func (a *audience) attend(ctx context.Context, n int, notify func(context.Context) error, each func(message)) (took time.Duration, err error) {
	l := newLedger(a.clients, n)
	a.crowd.deliver = func(client int, payload []byte) error {
		m, err := parsePayload(payload, a.prefix)
		if err != nil {
			return err
		}
		if each != nil {
			each(m)
		}
		return l.take(client, m.number)
	}
	a.start = time.Now()
	err = during(ctx, a.crowd, notify, func() bool {
		took = time.Since(a.start)
		a.target.progress("deliveries", n*a.clients-l.missing, n*a.clients)
		return l.complete()
	})
	return took, explain(err, l)
}

func (a *audience) close() error { return errors.Join(a.crowd.close(), a.db.close()) }
