package contract_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
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

// flowLead is how many numbers a flow is ahead of those who hear it, at most: nobody is too slow for it, and the server's
// history holds what they have still to hear.
const flowLead = 500

// A flow is numbers that are notified one after the other while a test goes on.
type flow struct {
	stop func() (end int) // ends it and returns the number that would come next
	sent atomic.Int64
	most atomic.Int64  // the number that may not be sent yet
	more chan struct{} // full after most has grown
}

// keepNotifying notifies numbers from 0 on for channels in turn, until the flow is stopped.
func (s *server) keepNotifying(t *testing.T, channels ...string) *flow {
	t.Helper()
	conn := connect(t, s.uri)
	ctx, cancel := context.WithCancel(t.Context())
	f := &flow{more: make(chan struct{}, 1)}
	f.heard(0)
	ended := make(chan error, 1)
	go func() { ended <- f.run(ctx, conn, s.channel, channels) }()
	f.stop = sync.OnceValue(func() int {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		return int(f.sent.Load())
	})
	t.Cleanup(func() { f.stop() })
	return f
}

func (f *flow) run(ctx context.Context, conn *pgx.Conn, listenChannel string, channels []string) error {
	for n := 0; ; n++ {
		for int64(n) >= f.most.Load() {
			select {
			case <-f.more:
			case <-ctx.Done():
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		default:
		}
		// Not ended by the flow's end, which must know what was sent.
		if err := notifyNumbers(context.WithoutCancel(ctx), conn, listenChannel, n, n+1, channels...); err != nil {
			return err
		}
		f.sent.Add(1)
	}
}

// heard lets the flow go on to flowLead numbers after n.
func (f *flow) heard(n int) {
	f.most.Store(int64(n + flowLead))
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// missed lets the flow go on whatever was heard of it.
func (f *flow) missed() { f.heard(int(f.sent.Load())) }
