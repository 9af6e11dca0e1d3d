package app

import (
	"context"
	"runtime/debug"
	"time"
)

// When memory is given back.
const (
	trimCheck = 2 * time.Second
	trimLeast = 100 // sessions opened, for it to be worth the while
)

// trim gives back to the system, when a wave of new sessions has passed, what
// their handshakes have left: Go's collector would keep it for long, since an
// idle server hardly allocates.
func (a *App) trim(ctx context.Context) error {
	ticker := time.NewTicker(trimCheck)
	defer ticker.Stop()
	var trimmed, last uint64
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		opened := a.server.Opened()
		if opened == last && opened-trimmed >= trimLeast {
			debug.FreeOSMemory()
			trimmed = opened
		}
		last = opened
	}
}
