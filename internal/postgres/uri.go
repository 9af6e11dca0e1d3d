// Package postgres joins the hub to PostgreSQL: the Listener hears every
// notification of one channel, the Notifier sends messages as notifications,
// many in one transaction.
//
// Both are started by Run, which blocks until all that it has started has
// ended. The package imports hub and channel.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// MaxChannelBytes is the longest name of a database channel: PostgreSQL cuts
// identifiers to NAMEDATALEN-1 bytes.
const MaxChannelBytes = 63

// maxPayloadBytes is the longest payload of a notification (NOTIFY: "must be
// shorter than 8000 bytes").
const maxPayloadBytes = 7999

// ParseURI reads a libpq URI or keyword/value string together with libpq's
// environment variables, password and service files. Its errors never quote
// the string, since it holds a password.
func ParseURI(uri string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(uri)
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, fmt.Errorf("a file that the connection string names: %w", path)
		}
		return nil, errors.New("neither a valid connection URI nor a keyword/value string" +
			" (special characters of a password are percent-encoded in a URI)")
	}
	if err := adapt(&config.ConnConfig.Config); err != nil {
		return nil, err
	}
	// Notifications must reach the clients in UTF-8, whatever the environment says.
	config.ConnConfig.RuntimeParams["client_encoding"] = "UTF8"
	return config, nil
}

// setUp prepares a session of ours. A time-out for idle sessions, which a role
// may carry since PostgreSQL 14, would cut the listener off. A notification does
// not outlive a crash of the server, so that its commit need not wait for the disk.
func setUp(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `select set_config(name, case vartype when 'enum' then 'off' else '0' end, false)
		from pg_settings where name in ('idle_session_timeout', 'synchronous_commit')`)
	if err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	return nil
}
