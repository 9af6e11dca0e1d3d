//go:build !linux

package bench

import (
	"context"
	"time"
)

// A crowd needs epoll; there is none here, and openCrowd says so.
type crowd struct {
	deliver func(client int, payload []byte) error
	more    func(client int) []byte
}

func openCrowd(context.Context, *Target, int, func(client int) string) (*crowd, error) {
	return nil, ErrUnsupported
}

func (*crowd) serve(context.Context, func() bool) error { return ErrUnsupported }
func (*crowd) wantWrite(int) error                      { return ErrUnsupported }
func (*crowd) close() error                             { return ErrUnsupported }

func (process) cpu() (time.Duration, error) { return 0, ErrUnsupported }
