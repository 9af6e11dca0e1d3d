package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgws/internal/hub"
)

// How the notifier waits.
const (
	notifyTimeout   = 30 * time.Second // for one transaction
	longestRetry    = 5 * time.Second  // between two tries to send a batch
	settleTimeout   = 3 * time.Second  // for what is under way when the listener is lost
	slowTransaction = 5 * time.Millisecond
	flushTimeout    = 10 * time.Second // for what is queued when Run is to end,
	lostTimeout     = time.Second      // and when it is to end because PostgreSQL is lost
)

// statement sends every element of an array. Counting a subquery spares a row
// in the answer for each; pg_notify is volatile, so that it is not optimised away.
const statement = `select count(*) from (select pg_notify($1, payload) from unnest($2::text[]) payload offset 0) sent`

const statementName = "pgws_notify"

// ErrStopped refuses a message because the notifier has ended or is about to.
var ErrStopped = errors.New("postgres: the notifier has stopped")

// NotifierObserver is told of what is sent.
type NotifierObserver interface {
	// Notified counts a committed transaction and its messages.
	Notified(messages int)
	// NotifyFailed counts a transaction that failed and will be sent again.
	NotifyFailed()
	// NotifyRefused counts a message that PostgreSQL finds fault with.
	NotifyRefused()
}

// NotifierOptions configure a Notifier.
type NotifierOptions struct {
	// Config is how to connect, from ParseURI.
	Config *pgxpool.Config
	// Connections is how many transactions may be under way at once.
	Connections int
	// Channel is the database channel to NOTIFY.
	Channel string
	// QueueBytes bounds what was accepted and is not committed yet.
	QueueBytes int
	Observer   NotifierObserver
	Log        *slog.Logger
}

// Notifier sends messages as notifications. What arrives while a transaction
// is under way goes into the next one. A transaction that fails is sent again
// until it succeeds. With a Listener that reports to it, it sends only while
// that hears, and sends again what was not heard (echo.go): messages reach the
// sessions at least once.
type Notifier struct {
	NotifierOptions
	pool  *pgxpool.Pool
	ascii atomic.Bool   // the database's encoding is not UTF-8: send what any can hold
	wake  chan struct{} // something was queued or a transaction has ended
	ready chan struct{}
	down  atomic.Bool // the last transaction has failed, and is or will be sent again

	mu       sync.Mutex
	queue    queue
	echo     echo
	size     int           // bytes accepted and not done with
	room     chan struct{} // closed when size has shrunk
	waiting  int           // senders that wait for room
	stopped  bool
	underWay []*batch
	settled  chan struct{} // closed while nothing is under way
	last     int64         // stamp
}

// NewNotifier returns a notifier that accepts messages; Run sends them.
func NewNotifier(o NotifierOptions) *Notifier {
	return &Notifier{
		NotifierOptions: o,
		wake:            make(chan struct{}, 1),
		ready:           make(chan struct{}),
		room:            make(chan struct{}),
		settled:         closedChannel(),
	}
}

func closedChannel() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// Publish accepts a message for Run to send, see hub.Publisher.
func (n *Notifier) Publish(ctx context.Context, m hub.Message) error {
	buffer := scratch.Get().(*[]byte)
	defer scratch.Put(buffer)
	elements := (*buffer)[:0]
	for _, name := range m.Channels {
		start := len(elements)
		elements = append(elements, make([]byte, elementHeaderBytes)...)
		elements = m.AppendJSON(elements, name, n.ascii.Load())
		size := len(elements) - start - elementHeaderBytes
		if size > maxPayloadBytes {
			return hub.ErrTooLarge
		}
		binary.BigEndian.PutUint32(elements[start:], uint32(size))
	}
	*buffer = elements
	e := entry{sender: m.Sender, mute: m.Mute && m.Sender != nil, done: m.Done}
	if m.Done != nil && len(m.Channels) > 1 {
		e.done = gather(m.Done, len(m.Channels))
	}
	room, err := n.offer(elements, e, m.Prompt)
	if room == nil {
		return err
	}
	n.countWaiting(1)
	defer n.countWaiting(-1)
	for room != nil {
		select {
		case <-ctx.Done():
			err = fmt.Errorf("postgres: wait for room in the queue: %w", context.Cause(ctx))
			if m.Prompt {
				err = fmt.Errorf("%w: %w", hub.ErrUnavailable, err)
			}
			return err
		case <-room:
		}
		room, err = n.offer(elements, e, m.Prompt)
	}
	return err
}

func (n *Notifier) countWaiting(change int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting += change
}

// offer queues the elements or returns what to wait for. An empty queue takes
// anything, so that a bound below one message stops nothing.
func (n *Notifier) offer(elements []byte, e entry, prompt bool) (room <-chan struct{}, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case prompt && n.away():
		return nil, hub.ErrUnavailable
	case n.stopped:
		return nil, ErrStopped
	case n.size > 0 && n.size+len(elements) > n.QueueBytes:
		return n.room, nil
	}
	n.size += len(elements)
	for len(elements) > 0 {
		length := elementHeaderBytes + int(binary.BigEndian.Uint32(elements))
		n.queue.add(elements[:length], e)
		elements = elements[length:]
	}
	n.signal()
	return nil, nil
}

// away reports whether what is queued now would have to wait for PostgreSQL.
func (n *Notifier) away() bool { return n.stopped || !n.listenerUp() || n.down.Load() }

func (n *Notifier) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Full reports whether senders have to wait.
func (n *Notifier) Full() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.waiting > 0
}

// Run sends until ctx is done, and then what was accepted before, for a while.
// Messages that could not be sent are an error.
func (n *Notifier) Run(ctx context.Context) error {
	config := n.Config.Copy()
	config.MaxConns = int32(n.Connections)
	config.MinConns = 0
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "pgws notifier"
	}
	config.AfterConnect = n.prepare
	line := newDialer(config.ConnConfig.DialFunc)
	config.ConnConfig.DialFunc = line.dial
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	pool, err := pgxpool.NewWithConfig(sending, config)
	if err != nil {
		return fmt.Errorf("postgres: make the pool: %w", err)
	}
	n.pool = pool
	n.greet(ctx)
	n.dispatch(ctx, sending, func() { cancel(); line.hangUp() })
	impatience := time.AfterFunc(closeTimeout, line.hangUp)
	defer impatience.Stop()
	pool.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.size > 0 {
		return fmt.Errorf("postgres: %d bytes of accepted messages could not be sent before the end", n.size)
	}
	return nil
}

// Ready is closed when Run has been connected for the first time. Messages are
// to be accepted only then, since their form depends on the database's encoding.
func (n *Notifier) Ready() <-chan struct{} { return n.ready }

// greet connects for the first time, and tries until ctx is done.
func (n *Notifier) greet(ctx context.Context) {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, n.pool.Ping(ctx)
	}, backoff.WithBackOff(newBackOff(longestRetry)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, next time.Duration) {
			n.Log.Warn("cannot send yet", "error", err, "next", next.Round(time.Millisecond))
		}))
	if err == nil {
		close(n.ready)
	}
}

func (n *Notifier) prepare(ctx context.Context, conn *pgx.Conn) error {
	if err := setUp(ctx, conn); err != nil {
		return err
	}
	n.ascii.Store(conn.PgConn().ParameterStatus("server_encoding") != "UTF8")
	_, err := conn.PgConn().Prepare(ctx, statementName, statement, nil)
	return err
}

// dispatch starts a transaction when there is something to send and none is
// under way, or those under way are slow: more connections at once only get
// in each other's way (NOTIFY takes a lock of the whole cluster at commit).
func (n *Notifier) dispatch(ctx, sending context.Context, giveUp context.CancelFunc) {
	var transactions sync.WaitGroup
	defer transactions.Wait()
	slow := time.NewTimer(slowTransaction)
	defer slow.Stop()
	var started time.Time // of the last transaction
	patience := time.NewTimer(time.Hour)
	patience.Stop()
	stop := ctx.Done()
	for {
		select {
		case <-stop:
			stop = nil
			n.refuseMore()
			patience.Reset(flushLimit(ctx))
		case <-patience.C:
			giveUp()
		case <-n.wake:
		case <-slow.C:
		case <-sending.Done():
			return
		}
		overtake := !n.down.Load() && time.Since(started) >= slowTransaction
		b, more := n.next(overtake)
		if b == nil && !more && stop == nil {
			return
		}
		if b != nil {
			transactions.Go(func() {
				committed := n.send(sending, b)
				n.finish(b)
				tell(committed, nil) // the next transaction need not wait for it
			})
		}
		if b != nil || overtake && more { // look for what can overtake not more often than now and then
			started = time.Now()
			slow.Reset(slowTransaction)
		}
	}
}

// flushLimit is how long to go on after the end was asked for.
func flushLimit(ctx context.Context) time.Duration {
	if errors.Is(context.Cause(ctx), ErrListenerLost) {
		return lostTimeout
	}
	return flushTimeout
}

// refuseMore ends the acceptance of messages.
func (n *Notifier) refuseMore() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = true
	n.forgetEchoes()
}

// next takes a batch if it is time for one. Without one it reports whether
// there is more to come: something is queued or under way.
func (n *Notifier) next(overtake bool) (b *batch, more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if (n.listenerUp() || n.stopped) && (len(n.underWay) == 0 || overtake && len(n.underWay) < n.Connections) {
		b = n.queue.take(n.underWay)
	}
	if b == nil {
		return nil, len(n.underWay) > 0 || !n.queue.empty()
	}
	if n.underWay = append(n.underWay, b); len(n.underWay) == 1 {
		n.settled = make(chan struct{})
	}
	n.last = b.stampAll(time.Now().UnixMicro(), n.last)
	return b, true
}

// finish gives back what next took.
func (n *Notifier) finish(b *batch) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.underWay = slices.DeleteFunc(n.underWay, func(other *batch) bool { return other == b })
	if len(n.underWay) == 0 {
		close(n.settled)
	}
	n.signal()
}

// free is done with a batch and makes room for more.
func (n *Notifier) free(b *batch) {
	n.unmute(b)
	n.size -= len(b.array) - arrayHeaderBytes
	close(n.room)
	n.room = make(chan struct{})
}
