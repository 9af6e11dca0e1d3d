package postgres

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// unreachable makes a listener whose dials fail at once, and notes when.
func unreachable(t *testing.T, retries int) (*Listener, *[]time.Duration) {
	t.Helper()
	config := parse(t, "host=127.0.0.1 user=u dbname=d sslmode=disable").ConnConfig
	start := time.Now()
	var dials []time.Duration
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		dials = append(dials, time.Since(start))
		return nil, errors.New("nobody there")
	}
	h := newHeard()
	return NewListener(ListenerOptions{Config: config, Channel: "c", Retries: retries, Sink: h, Observer: h, Log: testLog(t)}), &dials
}

func TestWaitsAtStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, dials := unreachable(t, 9)
		if err := l.Run(t.Context()); err == nil {
			t.Error("listens")
		}
		var want []time.Duration
		for _, seconds := range []int{0, 1, 3, 7, 15, 31, 63, 95, 127} { // 1, 2, 4, 8, 16, 32, 32, 32 apart
			want = append(want, time.Duration(seconds)*time.Second)
		}
		if diff := cmp.Diff(want, *dials); diff != "" {
			t.Error(diff)
		}
	})
}

// TestWaitsToReconnect goes on for hours, at most 32 s apart and not in step
// with other servers.
func TestWaitsToReconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, dials := unreachable(t, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		if _, err := l.reconnect(ctx); err == nil {
			t.Error("connected")
		}
		if n := len(*dials); n < 3*3600/32 {
			t.Errorf("only %d tries in three hours", n)
		}
		different := make(map[time.Duration]bool)
		for i := 1; i < len(*dials); i++ {
			wait := (*dials)[i] - (*dials)[i-1]
			if wait > longestWait {
				t.Errorf("waited %v", wait)
			}
			different[wait] = true
		}
		if len(different) < len(*dials)/2 {
			t.Errorf("only %d different waits in %d", len(different), len(*dials))
		}
	})
}

// TestDispatchRests leaves an idle notifier alone for a long time. If it looked
// around now and then, with nothing to look for, this would take for ever.
func TestDispatchRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := NewNotifier(NotifierOptions{Connections: 10, Observer: newHeard(), Log: testLog(t)})
		ctx, stop := context.WithCancel(t.Context())
		sending, giveUp := context.WithCancel(t.Context())
		defer giveUp()
		ended := make(chan struct{})
		go func() { defer close(ended); n.dispatch(ctx, sending, giveUp) }()
		n.signal()                     // as the end of a transaction does
		<-time.After(1000 * time.Hour) // of the bubble
		stop()
		<-ended
	})
}
