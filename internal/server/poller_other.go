//go:build !linux

package server

import (
	"context"
	"errors"
)

// A poller is for Linux only: elsewhere each connection keeps its goroutine.
type poller struct{}

func newPoller() (*poller, error) { return nil, errors.ErrUnsupported }

func (p *poller) close() error              { return nil }
func (p *poller) watch(*conn, int) error    { return errors.ErrUnsupported }
func (p *poller) forget(*conn, int)         {}
func (p *poller) run(context.Context) error { return nil }
