package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// closeTimeout is how long PostgreSQL has to take a goodbye.
const closeTimeout = 5 * time.Second

// A database is a connection of our own to the PostgreSQL behind the server.
type database struct {
	conn    *pgx.Conn
	channel string // the server's listen channel
	heard   func(payload string)
}

// connect connects to PostgreSQL. Its errors do not quote the target's string, which may hold a password.
func (t *Target) connect(ctx context.Context) (*database, error) {
	config, err := pgx.ParseConfig(t.Database)
	if err != nil {
		return nil, errors.New("PostgreSQL: neither a valid connection URI nor a keyword/value string")
	}
	// What others notify while we begin to listen is heard by nobody.
	d := &database{channel: t.ListenChannel, heard: func(string) {}}
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { d.heard(n.Payload) }
	if d.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return d, nil
}

// notify sends notifications in one transaction.
func (d *database) notify(ctx context.Context, payloads ...string) error {
	const statement = "select pg_notify($1, payload) from unnest($2::text[]) as payload"
	if _, err := d.conn.Exec(ctx, statement, d.channel, payloads); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// listen begins to listen.
func (d *database) listen(ctx context.Context) error {
	if _, err := d.conn.Exec(ctx, "listen "+pgx.Identifier{d.channel}.Sanitize()); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// hear hands each notification to take until take reports that it was the last, or returns an error.
func (d *database) hear(ctx context.Context, take func(payload string) (last bool, err error)) error {
	var last bool
	var wrong error
	d.heard = func(payload string) {
		if !last && wrong == nil {
			last, wrong = take(payload)
		}
	}
	// A context that can end would cost a watcher for each notification; a deadline in the past ends the wait as well.
	stop := context.AfterFunc(ctx, func() { _ = d.conn.PgConn().Conn().SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for !last && wrong == nil {
		if err := d.conn.PgConn().WaitForNotification(context.Background()); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("listen: %w", err)
		}
	}
	return wrong
}

func (d *database) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := d.conn.Close(ctx); err != nil {
		return fmt.Errorf("close the connection to PostgreSQL: %w", err)
	}
	return nil
}
