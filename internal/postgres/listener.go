package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"pgws/internal/channel"
	"pgws/internal/hub"
)

// How the listener waits.
const (
	firstWait      = time.Second      // between the first two tries to connect
	longestWait    = 32 * time.Second // between any two
	probeTimeout   = 5 * time.Second  // for the proof that LISTEN works
	leastCheckWait = 250 * time.Millisecond
	closeTimeout   = time.Second
)

// ErrListenerLost ends Run when the connection is lost and is not to be replaced.
var ErrListenerLost = errors.New("postgres: the listener's connection is lost")

// Sink takes what is heard, from one goroutine at a time.
type Sink interface {
	// Append is told of a notification, which except, if not nil, is not to be
	// sent. The strings share memory with all that came in the same burst: who
	// keeps them clones them.
	Append(channel, payload string, except *hub.Session)
	// Flush says that the listener is about to wait.
	Flush()
	// Gap says that the listener hears again after its connection was lost: what
	// others notified meanwhile is missed. It comes before all that the new
	// connection hears.
	Gap()
}

// ListenerObserver is told of the listener's connection.
type ListenerObserver interface {
	// ListenerUp tells whether notifications are heard.
	ListenerUp(up bool)
	// Reconnected counts replaced connections.
	Reconnected()
}

// ListenerOptions configure a Listener.
type ListenerOptions struct {
	// Config is how to connect, from ParseURI.
	Config *pgx.ConnConfig
	// Channel is the database channel to LISTEN to.
	Channel string
	// Retries is how often connecting is tried at start before Run gives up.
	Retries int
	// CheckInterval is the longest time for which a dead connection may go
	// unnoticed; the connection is then replaced, for ever. 0: it is not
	// replaced, Run ends.
	CheckInterval time.Duration
	Sink          Sink
	// Notifier, if set, sends only while the listener hears.
	Notifier *Notifier
	// Recorder, if set, is handed each notification as well.
	Recorder *Recorder
	Observer ListenerObserver
	Log      *slog.Logger
}

// Listener hears the notifications of one channel on a connection of its own.
type Listener struct {
	ListenerOptions
	up        atomic.Bool
	listening chan struct{}
	missed    bool // what was notified since a connection was lost; Run's own
}

// NewListener returns a listener that Run starts.
func NewListener(o ListenerOptions) *Listener {
	if o.Notifier != nil {
		o.Notifier.attach()
	}
	return &Listener{ListenerOptions: o, listening: make(chan struct{})}
}

// Listening is closed when LISTEN has been proven for the first time.
func (l *Listener) Listening() <-chan struct{} { return l.listening }

// Up reports whether notifications are heard now.
func (l *Listener) Up() bool { return l.up.Load() }

// Run listens until ctx is done, which is no error. It ends with an error when
// the first connection cannot be made, and with ErrListenerLost.
func (l *Listener) Run(ctx context.Context) error {
	conn, err := l.connectAtStart(ctx)
	if err == nil {
		close(l.listening)
	}
	for err == nil {
		l.setUp(true)
		lost := l.receive(ctx, conn)
		if ctx.Err() != nil {
			l.drain(conn)
		}
		l.setUp(false)
		l.close(conn)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end that was asked for is no failure
		}
		if l.CheckInterval == 0 {
			return fmt.Errorf("%w: %w", ErrListenerLost, lost)
		}
		l.Log.Warn("the listener's connection is lost; notifications sent before it is back are missed", "error", lost)
		if l.Notifier != nil {
			l.Notifier.settle(ctx)
		}
		if conn, err = l.reconnect(ctx); err == nil {
			l.Observer.Reconnected()
			l.Log.Info("the listener is connected again")
		}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // as above
	}
	return err
}

func (l *Listener) setUp(up bool) {
	l.up.Store(up)
	if l.Notifier != nil {
		l.Notifier.setListening(up)
	}
	l.Observer.ListenerUp(up)
}

// A listening connection, where its notifications come out, and how it was dialed.
type listening struct {
	*pgx.Conn
	stream *stream
	line   *dialer
}

// connectAtStart waits 1, 2, 4 … seconds between its tries.
func (l *Listener) connectAtStart(ctx context.Context) (*listening, error) {
	wait := firstWait
	for try := 1; ; try++ {
		conn, err := l.connect(ctx)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if try >= l.Retries {
			return nil, fmt.Errorf("postgres: no listener after %d tries: %w", try, err)
		}
		l.Log.Warn("cannot listen yet", "error", err, "try", try, "of", l.Retries, "next", wait)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, longestWait)
	}
}

// reconnect tries until it succeeds or ctx is done.
func (l *Listener) reconnect(ctx context.Context) (*listening, error) {
	return backoff.Retry(ctx, func() (*listening, error) { l.missed = true; return l.connect(ctx) },
		backoff.WithBackOff(newBackOff(longestWait)),
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, next time.Duration) {
			l.Log.Warn("cannot listen again yet", "error", err, "next", next.Round(time.Millisecond))
		}))
}

// newBackOff doubles its waits with a jitter of a third; none is over longest.
func newBackOff(longest time.Duration) *backoff.ExponentialBackOff {
	const jitter = 1.0 / 3
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 100 * time.Millisecond
	b.Multiplier = 2
	b.RandomizationFactor = jitter
	b.MaxInterval = time.Duration(float64(longest) / (1 + jitter))
	return b
}

// connect opens a connection, listens and proves that it hears.
func (l *Listener) connect(ctx context.Context) (*listening, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout(&l.Config.Config)+probeTimeout)
	defer cancel()
	made := &listening{line: newDialer(l.Config.DialFunc)}
	probe := "pgws_probe_" + rand.Text()
	heard := false
	config := l.Config.Copy()
	config.DialFunc = made.line.dial
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "pgws listener"
	}
	config.MaxProtocolMessageBodyLen = longestAnswer
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		made.stream = newStream(r, l.Channel, l.hear, l.Sink.Flush)
		return pgproto3.NewFrontend(made.stream, w)
	}
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		heard = heard || n.Channel == probe
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: connect the listener: %w", err)
	}
	made.Conn = conn
	if err := l.listen(ctx, made, probe, &heard); err != nil {
		l.close(made)
		return nil, err
	}
	return made, nil
}

// hear hands a notification on to the websocket channel that it is for.
func (l *Listener) hear(payload string) {
	l.tellGap()
	var except *hub.Session
	if l.Notifier != nil {
		except = l.Notifier.hear(payload)
	}
	if l.Recorder != nil {
		l.Recorder.Record(payload)
	}
	name, ok := channel.Of(payload)
	if !ok {
		name = l.Channel
	}
	l.Sink.Append(name, payload, except)
}

// tellGap tells of what was missed, as soon as nothing more is: PostgreSQL listens, and
// nothing that it has sent since then has been handed on.
func (l *Listener) tellGap() {
	if l.missed {
		l.missed = false
		l.Sink.Gap()
	}
}

// listen starts to listen and proves it by a notification from another
// connection: through a pooler that lends connections by the transaction,
// LISTEN succeeds and nothing is ever heard.
func (l *Listener) listen(ctx context.Context, conn *listening, probe string, heard *bool) error {
	if err := setUp(ctx, conn.Conn); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	for _, name := range []string{l.Channel, probe} {
		if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{name}.Sanitize()); err != nil {
			return fmt.Errorf("postgres: listen: %w", err)
		}
	}
	l.tellGap()
	if err := l.notifyProbe(ctx, probe); err != nil {
		return fmt.Errorf("postgres: prove that LISTEN works: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for !*heard {
		if err := conn.PgConn().WaitForNotification(ctx); err != nil {
			if ctx.Err() != nil {
				return errors.New("postgres: LISTEN was accepted but no notification arrives: is there a pooler in transaction mode" +
					" (pgbouncer) between? PGWS_DB_URI must lead to PostgreSQL itself or to a pooler in session mode")
			}
			return fmt.Errorf("postgres: prove that LISTEN works: %w", err)
		}
	}
	if _, err := conn.Exec(ctx, "unlisten "+pgx.Identifier{probe}.Sanitize()); err != nil {
		return fmt.Errorf("postgres: unlisten the probe: %w", err)
	}
	return nil
}

func (l *Listener) notifyProbe(ctx context.Context, probe string) error {
	conn, err := pgx.ConnectConfig(ctx, l.Config.Copy())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "select pg_notify($1, '')", pgx.QueryExecModeExec, probe)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return errors.Join(err, conn.Close(closing))
}

// receive hears notifications until the connection fails, or ctx is done. A
// silent connection is asked now and then whether it still lives and listens.
func (l *Listener) receive(ctx context.Context, conn *listening) error {
	defer l.Sink.Flush()
	stop := context.AfterFunc(ctx, conn.stream.interrupt)
	defer stop()
	wait := l.CheckInterval / 2
	for {
		conn.stream.receive(conn.PgConn().Conn(), wait)
		// The stream hears what is notified, and limits and ends the wait: the
		// driver has nothing to tell but errors.
		err := conn.PgConn().WaitForNotification(context.Background())
		if err == nil {
			continue
		}
		var timeout net.Error
		if ctx.Err() != nil || !errors.As(err, &timeout) || !timeout.Timeout() {
			return err
		}
		if err := l.check(ctx, conn, max(wait, leastCheckWait)); err != nil {
			return fmt.Errorf("check: %w", err)
		}
	}
}

// drain hears what has been committed before the end: PostgreSQL sends it
// before the answer to a query.
func (l *Listener) drain(conn *listening) {
	defer l.Sink.Flush()
	if err := l.check(context.Background(), conn, closeTimeout); err != nil {
		l.Log.Debug("hear the last notifications", "error", err)
	}
}

// check asks the listener's own connection: another session that listens to
// the same channel proves nothing.
func (l *Listener) check(ctx context.Context, conn *listening, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := conn.stream.query(); err != nil {
		return err
	}
	var listens bool
	err := conn.QueryRow(ctx, "select $1 in (select pg_listening_channels())", pgx.QueryExecModeExec, l.Channel).Scan(&listens)
	if err != nil {
		return err
	}
	if !listens {
		return errors.New("the session listens no more")
	}
	return nil
}

// close closes a connection and waits until the driver has done with it.
func (l *Listener) close(conn *listening) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := conn.Close(ctx); err != nil {
		l.Log.Debug("close the listener's connection", "error", err)
	}
	conn.line.hangUp()
	<-conn.PgConn().CleanupDone()
}
