package bench

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// maxRate is the most messages a second that a pace is asked for.
const maxRate = 1_000_000

// A pace sends messages at a rate, and records how late they are delivered. Message i is due i periods after the first
// one, however long the sending of those before it takes: one that is sent late because of them has been late since it
// was due, as it would be for somebody who does not wait for the others. Only what our own timer oversleeps, most of a
// millisecond, counts for nothing.
type pace struct {
	rate  int
	made  time.Time
	since []atomic.Int64 // by message, from when on it is late, in nanoseconds after made
	begun atomic.Int64   // messages of which the sending has begun
	took  time.Duration  // until all were sent; known when run has returned
	late  latencies
}

func newPace(rate int, duration time.Duration) *pace {
	count := max(int(math.Round(duration.Seconds()*float64(rate))), 1)
	return &pace{rate: rate, made: time.Now(), since: make([]atomic.Int64, count), late: newLatencies()}
}

// checkRate tells whether a pace can be asked for.
func checkRate(rate int) error {
	if rate < 1 || rate > maxRate {
		return fmt.Errorf("the rate must be from 1 to %d", maxRate)
	}
	return nil
}

// count is how many messages there are.
func (p *pace) count() int { return len(p.since) }

// due is how long after the first message another one is due.
func (p *pace) due(number int) time.Duration {
	return time.Duration(number) * time.Second / time.Duration(p.rate)
}

// run sends them: each when it is due, or at once when that has passed.
func (p *pace) run(ctx context.Context, send func(number int) error) error {
	start := time.Now()
	for i := range p.since {
		since := start.Add(p.due(i))
		if wait := time.Until(since); wait > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
				since = time.Now()
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.since[i].Store(int64(since.Sub(p.made)))
		p.begun.Store(int64(i) + 1)
		if err := send(i); err != nil {
			return err
		}
	}
	p.took = time.Since(start)
	return nil
}

// delivered records a delivery.
func (p *pace) delivered(number int) error {
	return p.late.record(time.Since(p.made) - time.Duration(p.since[number].Load()))
}

// addTo adds the rate that was asked for, and the one that was achieved.
func (p *pace) addTo(r *Report) {
	r.add("notifications a second", float64(p.rate), "/s")
	r.add("notifications a second, achieved", float64(p.count())/max(p.took, p.due(p.count())).Seconds(), "/s")
}
