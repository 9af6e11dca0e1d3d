package main

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// untilHangup calls cancel when nobody reads standard output any more: `| head -1` would else be noticed at the next
// message, which may never come. The function that it returns ends the watch.
func untilHangup(ctx context.Context, cancel context.CancelFunc) (end func()) {
	r, w, err := os.Pipe()
	if err != nil {
		return func() {} // It is a comfort.
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.Close()
		// Nothing is asked for: what is broken is told anyway.
		watched := []unix.PollFd{{Fd: int32(os.Stdout.Fd())}, {Fd: int32(r.Fd())}}
		for ctx.Err() == nil {
			_, err := unix.Poll(watched, -1)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err == nil && watched[0].Revents != 0 {
				cancel()
			}
			return
		}
	}()
	return func() {
		_ = w.Close() // Its only use is to be closed.
		<-done
	}
}
