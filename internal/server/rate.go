package server

import (
	"crypto/sha256"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// newLimiter returns what limits one client's messages: so many a second, and a
// second's worth of them at once. nil: nothing does.
func (s *Server) newLimiter() *rate.Limiter {
	if s.MessageRate == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(s.MessageRate), s.MessageRate)
}

// hold makes a client wait that says more than it may and cannot be told so. It reports
// false when the connection closes meanwhile.
func (c *conn) hold() bool { return c.allow() || c.limiter.Wait(c.context()) == nil }

// allow reports whether a client may go on.
func (c *conn) allow() bool { return c.limiter == nil || c.limiter.Allow() }

// A tally limits those who have no connection, by their tokens.
type tally struct {
	mu sync.Mutex
	// A limiter that was idle for a second allows all again, as a new one does. So
	// those that were not used since the last turn are forgotten.
	turned       time.Time
	recent, past map[[sha256.Size]byte]*rate.Limiter
}

// allow reports whether the holder of a token may send one more message.
func (s *Server) allow(token string, now time.Time) bool {
	if s.MessageRate == 0 {
		return true
	}
	key := sha256.Sum256([]byte(token))
	t := &s.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.turned) >= time.Second {
		t.past, t.recent, t.turned = t.recent, make(map[[sha256.Size]byte]*rate.Limiter), now
	}
	limiter := t.recent[key]
	if limiter == nil {
		if limiter = t.past[key]; limiter == nil {
			limiter = s.newLimiter()
		}
		t.recent[key] = limiter
	}
	return limiter.AllowN(now, 1)
}
