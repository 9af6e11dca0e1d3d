package bench

import (
	"context"
	"errors"
	"fmt"
)

// A Measurement has its settings as fields, with defaults and meanings in the tags that kong reads.
type Measurement interface {
	// Measure measures a server. It ends with an error when a message is lost, doubled or out of order.
	Measure(ctx context.Context, t *Target) (*Report, error)
}

// during serves the crowd while a job runs in a goroutine of its own, and returns when done and the job has ended. Nil for
// done means: as long as the job. The failure of one ends the other.
func during(ctx context.Context, c *crowd, job func(context.Context) error, done func() bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		err := job(ctx)
		if err != nil {
			cancel(err)
		}
		ended <- err
	}()
	if done == nil {
		done = func() bool { return len(ended) > 0 }
	}
	err := c.serve(ctx, done)
	if err != nil {
		cancel(err)
	}
	if jobErr := <-ended; err == nil {
		err = jobErr
	}
	return err
}

// explain tells what a measurement still waited for when its time was up.
func explain(err error, l *ledger) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %s", err, l.missingText())
	}
	return err
}
