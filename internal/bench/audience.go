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
	clients int
}

// gather opens an audience that hears.
func gather(ctx context.Context, t *Target, clients int) (a *audience, err error) {
	a = &audience{target: t, channel: newChannel(), clients: clients}
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
// before it delivers to it. Then no other is on its way, since notifications do not overtake one another. After a
// measurement it finds what comes twice, the second time after all others.
func (a *audience) meet(ctx context.Context) error {
	for round := 0; ; round++ {
		l := newLedger(a.clients, 1)
		greeting := message{kind: hello, number: round}.payload(a.channel, 0)
		a.crowd.deliver = func(client int, payload []byte) error {
			if string(payload) == greeting {
				return l.take(client, 0)
			}
			m, err := parsePayload(payload, a.channel)
			if err == nil && m.kind == measured {
				err = fmt.Errorf("message %d again, after the last one", m.number)
			}
			return err
		}
		if err := a.db.notify(ctx, greeting); err != nil {
			return err
		}
		again := time.Now().Add(helloWait)
		err := a.crowd.serve(ctx, func() bool {
			a.target.progress("say hello", a.clients-l.missing, a.clients)
			return l.complete() || time.Now().After(again)
		})
		if err != nil {
			return fmt.Errorf("%w: %d of %d clients hear", err, a.clients-l.missing, a.clients)
		}
		if l.complete() {
			return nil
		}
	}
}

// payloads makes n notifications of a length in bytes.
func (a *audience) payloads(n, length int) []string {
	payloads := make([]string, n)
	for i := range payloads {
		payloads[i] = message{kind: measured, number: i}.payload(a.channel, length)
	}
	return payloads
}

// attend measures: it runs notify, which sends the payloads, until every client has received each once, in order, and
// byte for byte. It returns the time from the start to the last delivery. Delivered is told of each one.
func (a *audience) attend(
	ctx context.Context, payloads []string, notify func(context.Context) error, delivered func(number int),
) (took time.Duration, err error) {
	l := newLedger(a.clients, len(payloads))
	a.crowd.deliver = func(client int, payload []byte) error {
		number := l.due[client]
		if number == len(payloads) || string(payload) != payloads[number] {
			return a.fault(l, client, payload)
		}
		delivered(number)
		return l.take(client, number)
	}
	start := time.Now()
	err = during(ctx, a.crowd, notify, func() bool {
		took = time.Since(start)
		a.target.progress("deliveries", len(payloads)*a.clients-l.missing, len(payloads)*a.clients)
		return l.complete()
	})
	return took, explain(err, l)
}

// fault tells what is wrong with a payload that is not the one that was due.
func (a *audience) fault(l *ledger, client int, payload []byte) error {
	m, err := parsePayload(payload, a.channel)
	if err != nil {
		return err
	}
	if err := l.take(client, m.number); err != nil {
		return err
	}
	return fmt.Errorf("message %d is not what was sent: %s", m.number, excerpt(payload))
}

func (a *audience) close() error { return errors.Join(a.crowd.close(), a.db.close()) }
