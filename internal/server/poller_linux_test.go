package server

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// TestBellIsNobodyElses ends pollers and takes their descriptors again: nothing is
// written to those.
func TestBellIsNobodyElses(t *testing.T) {
	for range 200 {
		p, err := newPoller()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- p.run(ctx) }()
		cancel()
		report(t, <-ran)
		report(t, p.close())
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		report(t, in.SetReadDeadline(time.Now().Add(time.Millisecond)))
		if n, err := in.Read(make([]byte, 8)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes came, %v", n, err)
		}
		report(t, in.Close())
		report(t, out.Close())
	}
}
