package server

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/auth"
	"pgws/internal/protocol"
)

// A timer is a connection's place among those that the keeper looks after.
type timer struct {
	due    time.Duration // when to look next, since the keeper's start
	pingAt time.Duration
	index  int // in the heap; -1 outside
}

// A keeper looks at each connection when something is due: a ping, the
// token's expiry, the end of the wait for an answer.
type keeper struct {
	start time.Time
	wake  chan struct{}

	mu    sync.Mutex
	conns timers
}

func newKeeper() *keeper {
	return &keeper{start: time.Now(), wake: make(chan struct{}, 1)}
}

// now returns the time since the keeper's start.
func (k *keeper) now() time.Duration { return time.Since(k.start) }

func (k *keeper) add(c *conn) {
	now := k.now()
	c.pingAt = now + c.dialect.pingEvery
	c.due = c.next(now)
	k.mu.Lock()
	defer k.mu.Unlock()
	heap.Push(&k.conns, c)
	k.signal(c)
}

func (k *keeper) remove(c *conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.index >= 0 {
		heap.Remove(&k.conns, c.index)
	}
}

// all returns the connections that the keeper looks after.
func (k *keeper) all() []*conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.conns)
}

// hasten has the keeper look at c no later than due.
func (k *keeper) hasten(c *conn, due time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.index >= 0 && due < c.due {
		c.due = due
		heap.Fix(&k.conns, c.index)
		k.signal(c)
	}
}

// signal wakes the keeper when c is the next one due.
func (k *keeper) signal(c *conn) {
	if c.index == 0 {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
}

// run looks after the connections until ctx is done.
func (k *keeper) run(ctx context.Context) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		c, wait := k.take()
		if c != nil {
			c.tend(k.now())
			k.put(c)
			continue
		}
		alarm.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-alarm.C:
		}
	}
}

// take returns the first connection that is due, or how long to wait.
func (k *keeper) take() (*conn, time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.conns) == 0 {
		return nil, time.Hour
	}
	c := k.conns[0]
	if wait := c.due - k.now(); wait > 0 {
		return nil, wait
	}
	return c, 0
}

// put gives a connection that was looked at its next time.
func (k *keeper) put(c *conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.index >= 0 {
		c.due = c.next(k.now())
		heap.Fix(&k.conns, c.index)
	}
}

// tend does what is due for a connection. It must not wait.
func (c *conn) tend(now time.Duration) {
	t := c.times()
	switch {
	case t.closing:
		if now >= t.drop {
			c.cut()
		}
	case expired(t.grant):
		c.close(protocol.CloseExpired, "JWT expired")
	case c.tooQuiet(now):
		c.abandon(ws.StatusAbnormalClosure)
		c.cut()
	case t.alarm != 0 && now >= t.alarm:
		c.ring(t)
	case now >= c.pingAt:
		c.session.Control(c.dialect.ping)
		c.calm()
		c.pingAt = now + c.dialect.pingEvery
	}
}

// times are what the keeper goes by, as they were at one moment.
type times struct {
	closing     bool
	drop, alarm time.Duration
	grant       *auth.Grant
}

func (c *conn) times() times {
	c.mu.Lock()
	defer c.mu.Unlock()
	return times{closing: c.code != 0, drop: c.drop, alarm: c.alarm, grant: c.grant.Load()}
}

// stopAlarm is for a token that has come.
func (c *conn) stopAlarm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarm = 0
}

// ring does what a connection's alarm is for, unless a token has come meanwhile: then
// the alarm is another one, or none.
func (c *conn) ring(t times) {
	c.mu.Lock()
	stands := c.alarm == t.alarm
	if stands {
		c.alarm = 0
	}
	c.mu.Unlock()
	switch {
	case !stands:
	case t.grant == nil:
		c.close(protocol.CloseTimeout, "no token has come")
	default:
		c.tellExpiry(t.grant.Expires)
	}
}

// tooQuiet tells that nothing has come from a client that should have answered pings.
func (c *conn) tooQuiet(now time.Duration) bool {
	return !c.dialect.deaf && !c.waiting.Load() && now-c.lastSeen() >= longestQuiet
}

// calm lets a reader rest that has waited for a message since the last ping.
func (c *conn) calm() {
	if !c.active.Swap(false) && c.raw != nil && !c.resting.Load() {
		// Its wait ends with a time-out; a connection that is closed needs none.
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
	}
}

// next returns when something will be due for a connection.
func (c *conn) next(now time.Duration) time.Duration {
	t := c.times()
	if t.closing {
		if now < t.drop {
			return t.drop
		}
		return now + closeWait // dropped already, its reader is about to end
	}
	due := c.pingAt
	if !c.dialect.deaf && !c.waiting.Load() {
		due = min(due, c.lastSeen()+longestQuiet)
	}
	if t.grant != nil && !t.grant.Expires.IsZero() { // by the clock on the wall, which may be put right meanwhile
		due = now + min(due-now, time.Until(t.grant.Expires))
	}
	if t.alarm != 0 {
		due = min(due, t.alarm)
	}
	return due
}

// expired reports whether a grant, if there is one, has ended.
func expired(grant *auth.Grant) bool {
	return grant != nil && !grant.Expires.IsZero() && !time.Now().Before(grant.Expires)
}

// see notes that the client is there. It is not to blame for a wait that ends.
func (c *conn) see() { c.seen.Store(int64(c.server.keeper.now())) }

func (c *conn) lastSeen() time.Duration { return time.Duration(c.seen.Load()) }

// timers is a heap of connections, the first due at its top.
type timers []*conn

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due < t[j].due }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}
func (t *timers) Push(x any) {
	c := x.(*conn)
	c.index = len(*t)
	*t = append(*t, c)
}
func (t *timers) Pop() any {
	last := len(*t) - 1
	c := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	c.index = -1
	return c
}
