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
	due    time.Time // when to look next
	pingAt time.Time
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

// now returns nanoseconds since the keeper's start.
func (k *keeper) now() int64 { return int64(time.Since(k.start)) }

func (k *keeper) add(c *conn) {
	now := time.Now()
	c.pingAt = now.Add(c.dialect.pingEvery)
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
func (k *keeper) hasten(c *conn, due time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.index >= 0 && due.Before(c.due) {
		c.due = due
		heap.Fix(&k.conns, c.index)
		k.signal(c)
	}
}

// reconsider is for a connection for which something else is due than before.
func (k *keeper) reconsider(c *conn) {
	k.hasten(c, c.next(time.Now()))
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
			c.tend(time.Now())
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
	if wait := time.Until(c.due); wait > 0 {
		return nil, wait
	}
	return c, 0
}

// put gives a connection that was looked at its next time.
func (k *keeper) put(c *conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.index >= 0 {
		c.due = c.next(time.Now())
		heap.Fix(&k.conns, c.index)
	}
}

// tend does what is due for a connection. It must not wait.
func (c *conn) tend(now time.Time) {
	c.mu.Lock()
	closing, drop, alarm := c.code != 0, c.drop, c.alarm
	c.mu.Unlock()
	rings := !alarm.IsZero() && !now.Before(alarm)
	switch grant := c.grant.Load(); {
	case closing:
		if !now.Before(drop) {
			c.cut()
		}
	case grant == nil && rings:
		c.close(protocol.CloseTimeout, "no token has come")
	case expired(grant, now):
		c.close(protocol.CloseExpired, "JWT expired")
	case c.tooQuiet(now):
		c.abandon(ws.StatusAbnormalClosure)
		c.cut()
	case rings:
		c.tellExpiry(grant.Expires, now)
	case !now.Before(c.pingAt):
		c.session.Control(c.dialect.ping)
		c.calm()
		c.pingAt = now.Add(c.dialect.pingEvery)
	}
}

// tooQuiet tells that nothing has come from a client that should have answered pings.
func (c *conn) tooQuiet(now time.Time) bool {
	return !c.dialect.deaf && !c.waiting.Load() && now.Sub(c.lastSeen()) >= longestQuiet
}

// calm lets a reader rest that has waited for a message since the last ping.
func (c *conn) calm() {
	if !c.active.Swap(false) && c.raw != nil && !c.resting.Load() {
		// Its wait ends with a time-out; a connection that is closed needs none.
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
	}
}

// next returns when something will be due for a connection.
func (c *conn) next(now time.Time) time.Time {
	c.mu.Lock()
	closing, drop, alarm := c.code != 0, c.drop, c.alarm
	c.mu.Unlock()
	if closing {
		if now.Before(drop) {
			return drop
		}
		return now.Add(closeWait) // dropped already, its reader is about to end
	}
	due := c.pingAt
	if quiet := c.lastSeen().Add(longestQuiet); quiet.Before(due) && !c.dialect.deaf && !c.waiting.Load() {
		due = quiet
	}
	if grant := c.grant.Load(); grant != nil && !grant.Expires.IsZero() && grant.Expires.Before(due) {
		due = grant.Expires
	}
	if !alarm.IsZero() && alarm.Before(due) {
		due = alarm
	}
	return due
}

func expired(grant *auth.Grant, now time.Time) bool {
	return grant != nil && !grant.Expires.IsZero() && !now.Before(grant.Expires)
}

func (c *conn) lastSeen() time.Time {
	return c.server.keeper.start.Add(time.Duration(c.seen.Load()))
}

// timers is a heap of connections, the first due at its top.
type timers []*conn

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
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
