package contract_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

// numberFor is a notification that carries a number.
func numberFor(channel string, n int) string {
	return fmt.Sprintf(`{"channel":%q,"n":%d}`, channel, n)
}

// numberIn returns the number of a message.
func numberIn(f v1Frame) (n int, err error) {
	var payload struct {
		Channel string `json:"channel"`
		N       int    `json:"n"`
	}
	if err := json.Unmarshal(f.Payload, &payload); err != nil {
		return 0, fmt.Errorf("the message %.200s: %w", f.Payload, err)
	}
	if payload.Channel != f.Channel {
		return 0, fmt.Errorf("the message %.200s came for the channel %q", f.Payload, f.Channel)
	}
	return payload.N, nil
}

// notifyNumbers notifies the numbers from first to the one before end, each in a transaction of its own, for channels
// in turn.
func notifyNumbers(ctx context.Context, conn *pgx.Conn, listenChannel string, first, end int, channels ...string) error {
	for n := first; n < end; n++ {
		if _, err := conn.Exec(ctx, "select pg_notify($1, $2)", listenChannel, numberFor(channels[n%len(channels)], n)); err != nil {
			return fmt.Errorf("notify %d: %w", n, err)
		}
	}
	return nil
}

// keepNotifying notifies numbers from 0 on for channels in turn, until stop is called, which returns the number that
// would come next.
func (s *server) keepNotifying(t *testing.T, channels ...string) (stop func() (end int)) {
	t.Helper()
	conn := connect(t, s.uri)
	ctx, cancel := context.WithCancel(t.Context())
	ended, next := make(chan error, 1), 0
	go func() {
		for ctx.Err() == nil {
			if err := notifyNumbers(t.Context(), conn, s.channel, next, next+1, channels...); err != nil {
				ended <- err
				return
			}
			next++
		}
		ended <- nil
	}()
	stopped := false
	stop = func() int {
		cancel()
		if !stopped {
			stopped = true
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		return next
	}
	t.Cleanup(func() { stop() })
	return stop
}
