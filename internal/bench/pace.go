package bench

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// A pace sends messages at a rate, and records how late they are delivered: from just before one is sent.
type pace struct {
	rate  int
	start time.Time
	sent  []atomic.Int64 // by message, nanoseconds since start
	late  latencies
}

func newPace(rate int, duration time.Duration) *pace {
	count := max(int(math.Round(duration.Seconds()*float64(rate))), 1)
	return &pace{rate: rate, start: time.Now(), sent: make([]atomic.Int64, count), late: newLatencies()}
}

// count is how many messages there are.
func (p *pace) count() int { return len(p.sent) }

// run sends them.
func (p *pace) run(ctx context.Context, send func(number int) error) error {
	ticker := time.NewTicker(time.Second / time.Duration(p.rate))
	defer ticker.Stop()
	for i := range p.sent {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		p.sent[i].Store(int64(time.Since(p.start)))
		if err := send(i); err != nil {
			return err
		}
	}
	return nil
}

// delivered records a delivery.
func (p *pace) delivered(number int) error {
	return p.late.record(time.Since(p.start) - time.Duration(p.sent[number].Load()))
}
