package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgws/internal/hub"
)

// send sends a batch until PostgreSQL has taken it, it is put back because the
// listener is lost, or ctx is done. It returns what is committed and was not
// told before.
func (n *Notifier) send(ctx context.Context, b *batch) (committed []entry) {
	waits := newBackOff(longestRetry)
	turn := n.expect(b)
	for {
		if committed, still := n.stillTurn(b, turn); !still {
			return committed
		}
		err := n.notify(ctx, b)
		n.down.Store(err != nil && !isDataError(err))
		switch {
		case err == nil:
			n.Observer.Notified(len(b.entries))
			return n.commit(b, turn)
		case ctx.Err() != nil:
			return n.giveUp(b)
		case isDataError(err):
			n.isolate(ctx, b, err)
			return nil
		}
		b.unsure = true
		n.Observer.NotifyFailed()
		if committed, still := n.stillTurn(b, turn); !still {
			return committed
		}
		wait := waits.NextBackOff()
		n.Log.Warn("messages could not be sent and wait", "error", err, "messages", len(b.entries), "next", wait.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return n.giveUp(b)
		case <-time.After(wait):
		}
	}
}

// giveUp is for a batch that is sent no more. It has arrived nevertheless when
// the listener has heard it.
func (n *Notifier) giveUp(b *batch) (committed []entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !b.heard {
		return nil
	}
	n.free(b)
	return b.entries
}

func (n *Notifier) notify(ctx context.Context, b *batch) error {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	conn, err := n.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("postgres: connect the notifier: %w", err)
	}
	defer conn.Release()
	result := conn.Conn().PgConn().ExecPrepared(ctx, statementName,
		[][]byte{[]byte(n.Channel), b.param()}, []int16{pgx.TextFormatCode, pgx.BinaryFormatCode}, nil)
	if _, err := result.Close(); err != nil {
		return fmt.Errorf("postgres: notify: %w", err)
	}
	return nil
}

// isDataError reports whether PostgreSQL finds fault with a message's text
// (class 22 of its error codes), so that sending it again is of no use.
func isDataError(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "22")
}

// isolate finds the messages at fault by halves and refuses them; the others
// are sent, in order.
func (n *Notifier) isolate(ctx context.Context, b *batch, cause error) {
	n.expectNoMore(b)
	count := len(b.entries)
	if count > 1 {
		tell(n.send(ctx, b.part(0, count/2)), nil)
		tell(n.send(ctx, b.part(count/2, count)), nil)
		return
	}
	n.Observer.NotifyRefused()
	n.Log.Warn("PostgreSQL refuses a message", "error", cause)
	tell(b.entries, fmt.Errorf("%w: %w", hub.ErrRefused, cause))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.free(b)
}
