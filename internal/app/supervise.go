package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pgws/internal/server"
)

// A service is a part of the server with a life of its own.
type service struct {
	name string
	// run blocks until its context is done, or it cannot go on.
	run func(context.Context) error
	// started is closed when others may rely on the service; nil: at once.
	started <-chan struct{}
}

// A running service ends when stop is called or on its own; then its error is
// in done.
type running struct {
	service
	stop context.CancelCauseFunc
	done chan error
}

// supervise starts services one after the other and calls started. When ctx is
// done or one of them ends, it stops all, the last one first, each when the
// one before has ended. It returns what went wrong.
func supervise(ctx context.Context, services []service, started func()) error {
	ended := make(chan error, len(services))
	var up []running
	var failure error
	for _, s := range services {
		up = append(up, start(ctx, s, ended))
		if failure = awaitStart(ctx, s, ended); failure != nil || ctx.Err() != nil {
			break
		}
	}
	if failure == nil && ctx.Err() == nil {
		started()
		select {
		case <-ctx.Done():
		case failure = <-ended:
		}
	}
	cause := context.Cause(ctx)
	if failure != nil {
		cause = fmt.Errorf("%w: %w", server.ErrRestart, failure)
	}
	var failures []error
	for _, r := range slices.Backward(up) {
		r.stop(cause)
		if err := <-r.done; err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", r.name, err))
		}
	}
	return errors.Join(failures...)
}

func start(ctx context.Context, s service, ended chan<- error) running {
	serviceCtx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	r := running{service: s, stop: stop, done: make(chan error, 1)}
	go func() {
		err := s.run(serviceCtx)
		if serviceCtx.Err() == nil {
			if err == nil {
				err = errors.New("ended unexpectedly")
			}
			ended <- err
		}
		r.done <- err
	}()
	return r
}

// awaitStart waits for a service to be of use to others, or any to end.
func awaitStart(ctx context.Context, s service, ended <-chan error) error {
	if s.started == nil {
		return nil
	}
	select {
	case <-s.started:
		return nil
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}
