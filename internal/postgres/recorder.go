package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// RecorderOptions configure a Recorder.
type RecorderOptions struct {
	// Config is how to connect, from ParseURI.
	Config *pgx.ConnConfig
	// Procedure is a function or procedure (channel text, notification text),
	// with its schema or found by the search path.
	Procedure string
	// Channel is the first argument of each call.
	Channel string
	// QueueBytes bounds the notifications that wait to be recorded.
	QueueBytes int
	Log        *slog.Logger
}

// Recorder calls a procedure of the database for each notification, in order,
// one transaction each. What the procedure refuses is logged and left; when the
// connection breaks, the call is made again.
type Recorder struct {
	RecorderOptions
	wake  chan struct{}
	ready chan struct{}

	mu      sync.Mutex
	waiting []string
	size    int
	missed  int // for want of room, since it was last logged
}

// NewRecorder returns a recorder that Run starts.
func NewRecorder(o RecorderOptions) *Recorder {
	return &Recorder{RecorderOptions: o, wake: make(chan struct{}, 1), ready: make(chan struct{})}
}

// Ready is closed when the procedure has been found.
func (r *Recorder) Ready() <-chan struct{} { return r.ready }

// Record queues a notification. It never waits: the listener must not. What
// finds no room is not recorded, and that is logged.
func (r *Recorder) Record(notification string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size > 0 && r.size+len(notification) > r.QueueBytes {
		r.missed++
		return
	}
	r.waiting = append(r.waiting, strings.Clone(notification)) // it is part of a whole burst
	r.size += len(notification)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns what waits, and how many notifications found no room.
func (r *Recorder) take() (waiting []string, missed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting, missed = r.waiting, r.missed
	r.waiting, r.missed = nil, 0
	return waiting, missed
}

func (r *Recorder) done(notification string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.size -= len(notification)
}

// Run records until ctx is done, and then what had been queued, for a while.
// It is an error when the database has no such procedure.
func (r *Recorder) Run(ctx context.Context) error {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	patience := time.AfterFunc(time.Hour, cancel)
	patience.Stop()
	defer patience.Stop()
	stop := context.AfterFunc(ctx, func() { patience.Reset(flushLimit(ctx)) })
	defer stop()
	c := caller{Recorder: r, line: newDialer(r.Config.DialFunc)}
	defer c.close()
	if err := c.connect(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("postgres: recorder: %w", err)
	}
	close(r.ready)
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
		}
		waiting, missed := r.take()
		for _, notification := range waiting {
			if !c.record(working, notification) {
				missed++
			}
			r.done(notification)
		}
		if missed > 0 {
			r.Log.Error("notifications were not recorded", "count", missed)
		}
		if len(waiting) == 0 && ctx.Err() != nil {
			return nil
		}
	}
}

// A caller is the recorder's connection and the statement to call with.
type caller struct {
	*Recorder
	line      *dialer
	conn      *pgx.Conn
	statement string
}

// connect connects and looks the procedure up.
func (c *caller) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout(&c.Config.Config))
	defer cancel()
	config := c.Config.Copy()
	config.DialFunc = c.line.dial
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "pgws recorder"
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.conn = conn
	var kind, name string
	err = conn.QueryRow(ctx, `select prokind::text, format('%I.%I', nspname, proname)
		from pg_proc p join pg_namespace n on n.oid = pronamespace
		where p.oid = to_regprocedure($1 || '(text, text)')`, c.Procedure).Scan(&kind, &name)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("the database has no function or procedure %s(text, text)", c.Procedure)
	case err != nil:
		return fmt.Errorf("look up %s: %w", c.Procedure, err)
	}
	c.statement = "select " + name + "($1, $2)"
	if kind == "p" {
		c.statement = "call " + name + "($1, $2)"
	}
	return nil
}

func (c *caller) close() {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := c.conn.Close(ctx); err != nil {
		c.Log.Debug("close the recorder's connection", "error", err)
	}
	c.line.hangUp()
	<-c.conn.PgConn().CleanupDone()
}

// record calls the procedure until it has an answer, and reports whether that
// is a good one.
func (c *caller) record(ctx context.Context, notification string) bool {
	waits := newBackOff(longestRetry)
	for ctx.Err() == nil {
		err := c.call(ctx, notification)
		if err == nil {
			return true
		}
		var answer *pgconn.PgError
		if errors.As(err, &answer) && !c.conn.IsClosed() {
			c.Log.Warn("the procedure refuses a notification", "error", err, "procedure", c.Procedure)
			return false
		}
		wait := waits.NextBackOff()
		c.Log.Warn("a notification could not be recorded and waits", "error", err, "next", wait.Round(time.Millisecond))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return false
}

func (c *caller) call(ctx context.Context, notification string) error {
	if c.conn.IsClosed() {
		if err := c.connect(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	if _, err := c.conn.Exec(ctx, c.statement, c.Channel, notification); err != nil {
		return fmt.Errorf("postgres: record: %w", err)
	}
	return nil
}
