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

// An audience is clients that hear, spread over channels, and a connection to PostgreSQL that notifies them.
type audience struct {
	target   *Target
	crowd    *crowd
	db       *database // nil: somebody else sends
	channel  string    // how the names of the channels begin
	channels int
	clients  int

	ledger *ledger                                // of what is on its way
	hear   func(client int, payload []byte) error // takes what is measured
}

// gather opens an audience.
func gather(ctx context.Context, t *Target, clients, channels int) (_ *audience, err error) {
	a := &audience{target: t, channel: newChannel(), channels: channels, clients: clients}
	a.hear = func(int, []byte) error { return errText }
	if a.db, err = t.connect(ctx); err != nil {
		return nil, err
	}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.db.close())
	}
	if err := a.meet(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *audience) open(ctx context.Context) (err error) {
	a.crowd, err = openCrowd(ctx, a.target, a.clients, openAtOnce, func(client int) string {
		return a.target.path(a.name(a.place(client)), "r", client)
	})
	return err
}

// name returns the name of a channel.
func (a *audience) name(channel int) string { return fmt.Sprintf("%s-%d", a.channel, channel) }

// heard returns how many channels have clients.
func (a *audience) heard() int { return min(a.clients, a.channels) }

// place returns the channel that a client is on. When there are more channels than clients, those without any stand
// between the others.
func (a *audience) place(client int) int { return client % a.heard() * (a.channels / a.heard()) }

// expect opens a ledger of messages to all clients that hear now. Each takes every step-th message, from first on.
func (a *audience) expect(first func(client int) int, step, messages int) *ledger {
	due := make([]int, a.clients)
	for client := range due {
		due[client] = first(client)
	}
	a.ledger = newLedger(due, step, messages)
	for client := range due {
		if !a.crowd.hears(client) {
			a.ledger.excuse(client)
		}
	}
	return a.ledger
}

// meet sends one hello after another until one has reached every client, for a server may let a client in a moment
// before it delivers to it. Then no other is on its way, since notifications do not overtake one another. After a
// measurement it finds what comes twice, the second time after all others.
func (a *audience) meet(ctx context.Context) error {
	for round := 0; ; round++ {
		l := a.expect(func(int) int { return 0 }, 1, 1)
		due := l.missing
		greetings := make([]string, a.heard()) // by channel
		for i := range greetings {
			greetings[i] = message{kind: hello, number: round}.payload(a.name(a.place(i)), 0)
		}
		a.crowd.deliver = func(client int, payload []byte) error {
			if string(payload) == greetings[client%len(greetings)] {
				return l.take(client, 0)
			}
			m, err := parsePayload(payload, a.name(a.place(client)))
			if err == nil && m.kind == measured {
				err = a.hear(client, payload)
			}
			return err
		}
		if err := a.db.notify(ctx, greetings...); err != nil {
			return err
		}
		again := time.Now().Add(helloWait)
		err := a.crowd.serve(ctx, func() bool {
			a.target.progress("say hello", due-l.missing, due)
			return l.complete() || time.Now().After(again)
		})
		if err != nil {
			return fmt.Errorf("%w: %d of %d clients hear", err, due-l.missing, due)
		}
		if l.complete() {
			return nil
		}
	}
}

// payloads makes n notifications of a length in bytes, for one channel after another. The last one is for channel 0,
// which clients hear: when it has come, the server has heard all the others, also those that it delivers to nobody.
func (a *audience) payloads(n, length int) []string {
	payloads := make([]string, n)
	for i := range payloads {
		payloads[i] = message{kind: measured, number: i}.payload(a.name((n-1-i)%a.channels), length)
	}
	return payloads
}

// begins returns the number of the first of n payloads that is for a client's channel.
func (a *audience) begins(client, n int) int {
	return (n - 1 - a.place(client) + a.channels) % a.channels
}

// inBursts returns a function that notifies of all payloads as fast as it goes, so many in one transaction.
func (a *audience) inBursts(payloads []string, burst int) func(context.Context) error {
	return func(ctx context.Context) error {
		for i := 0; i < len(payloads); i += burst {
			if err := a.db.notify(ctx, payloads[i:min(i+burst, len(payloads))]...); err != nil {
				return err
			}
		}
		return nil
	}
}

// attend measures: it runs notify, which sends the payloads, until every client that hears has received each once that is
// for its channel, in order, and byte for byte. It returns the time from the start until both notify and the last
// delivery are done, so that CPU time which is read then is of no longer time. Delivered, if not nil, is told of each one.
func (a *audience) attend(
	ctx context.Context, payloads []string, notify func(context.Context) error, delivered func(client, number int) error,
) (took time.Duration, err error) {
	l := a.expect(func(client int) int { return a.begins(client, len(payloads)) }, a.channels, len(payloads))
	a.hear = func(client int, payload []byte) error {
		number := l.due[client]
		if number == anyNumber {
			m, err := parsePayload(payload, a.name(a.place(client)))
			if err != nil {
				return err
			}
			number = m.number
		}
		if number >= len(payloads) || string(payload) != payloads[number] {
			return a.fault(l, client, payload)
		}
		if delivered != nil {
			if err := delivered(client, number); err != nil {
				return err
			}
		}
		return l.take(client, number)
	}
	a.crowd.deliver = a.hear
	due := l.missing
	start := time.Now()
	err = during(ctx, a.crowd, notify, func() bool {
		a.target.progress("deliveries", due-l.missing, due)
		return l.complete()
	})
	return time.Since(start), explain(err, l)
}

// fault tells what is wrong with a payload that is not the one that was due.
func (a *audience) fault(l *ledger, client int, payload []byte) error {
	m, err := parsePayload(payload, a.name(a.place(client)))
	if err != nil {
		return err
	}
	if err := l.take(client, m.number); err != nil {
		return err
	}
	return fmt.Errorf("message %d is not what was sent: %s", m.number, excerpt(payload))
}

func (a *audience) close() error {
	if a.db == nil {
		return a.crowd.close()
	}
	return errors.Join(a.crowd.close(), a.db.close())
}
