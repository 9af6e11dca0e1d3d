//go:build !linux

package bench

import (
	"context"
	"time"
)

// A crowd needs epoll; there is none here, and openCrowd says so.
type crowd struct {
	hooks
	opened     int
	handshakes latencies
}

func openCrowd(context.Context, *Target, int, int, func(client int) string) (*crowd, error) {
	return nil, ErrUnsupported
}

func (*crowd) serve(context.Context, func() bool) error { return ErrUnsupported }
func (*crowd) wantWrite(int) error                      { return ErrUnsupported }
func (*crowd) connect(int) error                        { return ErrUnsupported }
func (*crowd) goodbye(int) error                        { return ErrUnsupported }
func (*crowd) drop(int) error                           { return ErrUnsupported }
func (*crowd) deafen(int) error                         { return ErrUnsupported }
func (*crowd) undeafen(int) error                       { return ErrUnsupported }
func (*crowd) hears(int) bool                           { return false }
func (*crowd) close() error                             { return ErrUnsupported }

func (process) cpu() (time.Duration, error) { return 0, ErrUnsupported }

func (*Floor) measure(context.Context, *Target) (*Report, error) { return nil, ErrUnsupported }
