package app

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/server"
)

// diary writes down what services do.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// service runs until it is stopped, or fails when told so.
func (d *diary) service(name string, fail <-chan error) service {
	started := make(chan struct{})
	return service{name: name, started: started, run: func(ctx context.Context) error {
		d.note(name + " starts")
		close(started)
		select {
		case err := <-fail:
			return err
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), server.ErrRestart) {
				d.note(name + " is to restart")
			}
			d.note(name + " stops")
			return nil
		}
	}}
}

func TestSupervise(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := map[string]struct {
		run  func(ctx context.Context, stop func(), d *diary) error
		want []string
		err  error
	}{
		"stopped": {
			run: func(ctx context.Context, stop func(), d *diary) error {
				return supervise(ctx, []service{d.service("a", nil), d.service("b", nil)}, stop)
			},
			want: []string{"a starts", "b starts", "b stops", "a stops"},
		},
		"one fails": {
			run: func(ctx context.Context, _ func(), d *diary) error {
				fail := make(chan error, 1)
				return supervise(ctx, []service{d.service("a", nil), d.service("b", fail), d.service("c", nil)}, func() { fail <- broken })
			},
			want: []string{"a starts", "b starts", "c starts", "c is to restart", "c stops", "a is to restart", "a stops"},
			err:  broken,
		},
		"one fails at start": {
			run: func(ctx context.Context, _ func(), d *diary) error {
				never := service{name: "b", started: make(chan struct{}), run: func(context.Context) error { return broken }}
				return supervise(ctx, []service{d.service("a", nil), never, d.service("c", nil)}, func() { d.note("started") })
			},
			want: []string{"a starts", "a is to restart", "a stops"},
			err:  broken,
		},
		"stopped while one starts": {
			run: func(ctx context.Context, stop func(), d *diary) error {
				slow := service{name: "b", started: make(chan struct{}), run: func(ctx context.Context) error {
					stop()
					<-ctx.Done()
					d.note("b stops")
					return nil
				}}
				return supervise(ctx, []service{d.service("a", nil), slow, d.service("c", nil)}, func() { d.note("started") })
			},
			want: []string{"a starts", "b stops", "a stops"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			d := new(diary)
			err := test.run(ctx, stop, d)
			if diff := cmp.Diff(test.want, d.lines); diff != "" {
				t.Error(diff)
			}
			if !errors.Is(err, test.err) || test.err == nil && err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// TestSuperviseExpectsServicesToStay has one end without being asked to, and
// without an error.
func TestSuperviseExpectsServicesToStay(t *testing.T) {
	t.Parallel()
	quits := service{name: "quits", run: func(context.Context) error { return nil }}
	if err := supervise(t.Context(), []service{quits}, func() {}); err == nil {
		t.Error("nothing is said of it")
	}
}
