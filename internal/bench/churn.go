package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Churn measures what clients that come and go cost those that stay.
type Churn struct {
	Clients int           `default:"1000" help:"Clients that stay, on one channel."`
	Guests  int           `default:"200" help:"Clients on it that come and go. Half of them say goodbye, half just drop."`
	Leave   int           `default:"100" help:"Guests that are replaced by new ones, a second."`
	Rate    int           `default:"20" help:"Notifications a second."`
	Time    time.Duration `default:"10s" help:"How long to send."`
	Bytes   int           `default:"100" help:"Length of a notification, at least some 60."`
}

// Measure measures a server. Those who stay must receive everything; a guest all that
// begins to be sent when it has been let in, and all from its first message on. A guest leaves when it has heard
// something, so that none comes for nothing. Latencies are of those who stay, from when a message was due.
func (c *Churn) Measure(ctx context.Context, t *Target) (*Report, error) {
	if c.Clients < 1 || c.Guests < 1 || c.Leave < 1 || c.Time <= 0 || c.Bytes > maxPayloadBytes {
		return nil, errors.New("bench: churn: clients, guests, leave and time must be above 0, bytes 7999 or less")
	}
	if err := checkRate(c.Rate); err != nil {
		return nil, fmt.Errorf("bench: churn: %w", err)
	}
	report, err := c.measure(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("bench: churn: %w", err)
	}
	return report, nil
}

func (c *Churn) measure(ctx context.Context, t *Target) (_ *Report, err error) {
	a, err := gather(ctx, t, c.Clients+c.Guests, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	p := newPace(c.Rate, c.Time)
	payloads := a.payloads(p.count(), c.Bytes)
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	g := &guests{
		audience: a, pace: p, first: c.Clients, count: c.Guests, leave: c.Leave,
		owed: make([]int, c.Guests), leaving: map[int]bool{}, start: time.Now(),
	}
	a.crowd.round, a.crowd.ended, a.crowd.admitted = g.round, g.ended, g.admitted
	toGuests := 0
	took, err := a.attend(ctx, payloads, func(ctx context.Context) error {
		return p.run(ctx, func(number int) error { return a.db.notify(ctx, payloads[number]) })
	}, func(client, number int) error {
		if client >= g.first {
			toGuests++
			return g.heard(client, number)
		}
		return p.delivered(number)
	})
	if err != nil {
		return nil, err
	}
	r := &Report{Measurement: "churn"}
	r.add("clients", float64(c.Clients), "")
	r.add("guests", float64(c.Guests), "")
	r.add("notifications", float64(len(payloads)), "")
	p.addTo(r)
	r.add("bytes a notification", float64(len(payloads[0])), "B")
	r.add("departures", float64(g.departures), "")
	r.add("arrivals", float64(g.arrivals), "")
	r.add("departures a second", float64(g.departures)/took.Seconds(), "/s")
	r.add(complete, float64(p.late.count()), "")
	r.add("deliveries to guests", float64(toGuests), "")
	r.addLatencies("latency", p.late)
	if err := r.addUsage(t, before, p.late.count()+toGuests, "delivery", took); err != nil {
		return nil, err
	}
	return r, g.settle(ctx)
}

// nothingOwed is owed to a guest that has heard something: the ledger sees to the rest.
const nothingOwed = math.MaxInt

// Guests are the last clients of an audience. They leave in turn; who has left comes again, as somebody else.
type guests struct {
	audience *audience
	pace     *pace
	first    int // the first one's number
	count    int
	leave    int   // a second
	owed     []int // by guest, the first message that began to be sent when it had been let in; or nothingOwed
	start    time.Time
	over     bool // nobody leaves any more

	leaving    map[int]bool // who has said goodbye and waits for an answer
	gone       []int        // who is to come again
	departures int
	arrivals   int
}

// round has those leave whose time has come, and those come who have left. A guest that has heard nothing keeps the
// others waiting.
func (g *guests) round() error {
	due := int(time.Since(g.start).Seconds() * float64(g.leave))
	for !g.over && g.departures < due {
		guest := g.first + g.departures%g.count
		if g.leaving[guest] || !g.audience.crowd.hears(guest) || g.audience.ledger.due[guest] == anyNumber {
			break
		}
		if err := g.depart(guest); err != nil {
			return err
		}
	}
	for _, guest := range g.gone {
		if err := g.audience.crowd.connect(guest); err != nil {
			return fmt.Errorf("guest %d: %w", guest, err)
		}
		g.arrivals++
	}
	g.gone = g.gone[:0]
	return nil
}

// admitted notes what a guest must hear: the server has let it in before that is sent.
func (g *guests) admitted(guest int) { g.owed[guest-g.first] = int(g.pace.begun.Load()) }

// heard sees that a guest's first message is not too late.
func (g *guests) heard(guest, number int) error {
	owed := g.owed[guest-g.first]
	g.owed[guest-g.first] = nothingOwed
	if number > owed {
		return fmt.Errorf("message %d comes first where %d was sent after the guest was let in: lost", number, owed)
	}
	return nil
}

// depart has a guest say goodbye, and the next one just drop.
func (g *guests) depart(guest int) error {
	g.departures++
	if g.departures%2 == 0 {
		g.leaving[guest] = true
		return g.audience.crowd.goodbye(guest)
	}
	g.left(guest)
	return g.audience.crowd.drop(guest)
}

// ended takes the server's answer to a goodbye. Up to that a guest takes what it is sent.
func (g *guests) ended(client int, how *ending) error {
	if !g.leaving[client] || !how.said {
		return how
	}
	delete(g.leaving, client)
	g.left(client)
	return nil
}

func (g *guests) left(guest int) {
	g.audience.ledger.excuse(guest)
	g.gone = append(g.gone, guest)
}

// settle waits until all guests are in, and sees that each has received everything since its first message.
func (g *guests) settle(ctx context.Context) error {
	g.over = true
	a, l := g.audience, g.audience.ledger
	in := 0
	err := a.crowd.serve(ctx, func() bool {
		in = a.crowd.opened - len(g.leaving)
		a.target.progress("let guests in", in, a.clients)
		return in == a.clients
	})
	if err != nil {
		return fmt.Errorf("%w: %d of %d clients are in", err, in, a.clients)
	}
	if err := a.meet(ctx); err != nil {
		return err
	}
	if !l.complete() {
		return errors.New(l.missingText())
	}
	for i, owed := range g.owed {
		if owed < l.numbers {
			return fmt.Errorf("client %d: no message comes, though %d was sent after the guest was let in", g.first+i, owed)
		}
	}
	return nil
}
