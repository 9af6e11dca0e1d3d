package server

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/auth"
	"pgws/internal/protocol"
)

// lasting returns the claims of a token that lasts for some time.
func lasting(ttl time.Duration) map[string]any {
	return map[string]any{"mode": "rw", "exp": float64(time.Now().Add(ttl).UnixNano()) / 1e9}
}

// expectAt wants a text at a time.
func (p *peer) expectAt(t *testing.T, start time.Time, after time.Duration, want string) {
	t.Helper()
	p.expect(t, want)
	checkTime(t, start, after)
}

// checkTime allows for a token's times, which are floating-point numbers.
func checkTime(t *testing.T, start time.Time, after time.Duration) {
	t.Helper()
	if since := time.Since(start); (since - after).Abs() > time.Millisecond {
		t.Errorf("came after %v, want %v", since, after)
	}
}

func TestTokenWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		start := time.Now()
		p := r.upgrade(t, "/a", askV1)
		if reason := p.expectClose(t, protocol.CloseTimeout); reason != "no token has come" {
			t.Errorf("reason %q", reason)
		}
		checkTime(t, start, tokenWait)
		p.send(t, ws.NewCloseFrame(nil))
		if code := r.awaitClosed(t); code != 3008 {
			t.Errorf("counted %d", code)
		}
	})
}

// TestTokenInPieces has one come too slowly: it counts when it is there.
func TestTokenInPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		p := r.upgrade(t, "/a", askV1)
		whole := masked(true, ws.OpText, `{"id":1,"op":"auth","token":"`+r.token(t, map[string]any{"mode": "r"})+`"}`)
		start := time.Now()
		for i := range 5 {
			if _, err := p.Write(whole[i : i+1]); err != nil {
				t.Error(err)
			}
			<-time.After(time.Second - time.Millisecond)
		}
		p.expectClose(t, protocol.CloseTimeout)
		checkTime(t, start, tokenWait)
	})
}

func TestTokenInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		p := r.upgrade(t, "/a", askV1)
		<-time.After(tokenWait - 100*time.Millisecond)
		p.say(t, `{"id":1,"op":"auth","token":"`+r.token(t, map[string]any{"mode": "r"})+`"}`)
		p.expect(t, `{"id":1,"op":"ok","mode":"r","channels":["a"],"position":"P"}`)
		go func() {
			<-time.After(10 * time.Minute)
			r.publish("a", "{}")
		}()
		p.expect(t, `{"op":"message","channel":"a","position":"P","payload":{}}`)
	})
}

func TestExpiring(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ttl, notice time.Duration
		in          int
	}{
		"long":          {time.Hour, time.Hour - 30*time.Second, 30},
		"a minute":      {time.Minute, 30 * time.Second, 30},
		"half of it":    {40 * time.Second, 20 * time.Second, 20},
		"a second":      {time.Second, 500 * time.Millisecond, 1},
		"with fraction": {90*time.Second + 250*time.Millisecond, 60*time.Second + 250*time.Millisecond, 30},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, nil).servePipes(t)
				start := time.Now()
				p := r.speak(t, lasting(test.ttl))
				p.expectAt(t, start, test.notice, fmt.Sprintf(`{"op":"expiring","in":%d}`, test.in))
				if reason := p.expectClose(t, protocol.CloseExpired); reason != "JWT expired" {
					t.Errorf("reason %q", reason)
				}
				checkTime(t, start, test.ttl)
			})
		})
	}
}

// TestRenewal has the notice and the end move with each token.
func TestRenewal(t *testing.T) {
	t.Parallel()
	const first, renewed = 60 * time.Second, 10 * time.Second // the token's life, and when another comes
	tests := map[string]struct {
		next        time.Duration // from then on; 0: for good
		notice, end time.Duration
		in          int
	}{
		"later":    {5 * time.Minute, 280 * time.Second, 310 * time.Second, 30},
		"earlier":  {20 * time.Second, 20 * time.Second, 30 * time.Second, 10},
		"for good": {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, nil).servePipes(t)
				start := time.Now()
				p := r.speak(t, lasting(first))
				<-time.After(renewed)
				p.renew(t, r, test.next)
				if test.next == 0 {
					go func() {
						<-time.After(24 * time.Hour)
						r.keeper.all()[0].session.Reply(appendText(nil, "a day"))
					}()
					p.expectAt(t, start, 24*time.Hour+renewed, "a day")
					return
				}
				p.expectAt(t, start, test.notice, fmt.Sprintf(`{"op":"expiring","in":%d}`, test.in))
				p.expectClose(t, protocol.CloseExpired)
				checkTime(t, start, test.end)
			})
		})
	}
}

// renew renews the token by one that lasts for some time, 0 for good.
func (p *peer) renew(t *testing.T, r *rig, ttl time.Duration) {
	t.Helper()
	claims := lasting(ttl)
	if ttl == 0 {
		delete(claims, "exp")
	}
	p.say(t, `{"id":1,"op":"auth","token":"`+r.token(t, claims)+`"}`)
	if got := p.hear(t); !strings.HasPrefix(got, `{"id":1,"op":"ok"`) {
		t.Errorf("got %s", got)
	}
}

// TestRenewalOfTheSameEnd has tokens come that end when the first one does: the client is
// told of that end once, whether they come before or after.
func TestRenewalOfTheSameEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		start := time.Now()
		claims := lasting(12 * time.Second)
		p := r.speak(t, claims)
		renew := func() {
			t.Helper()
			p.say(t, `{"id":1,"op":"auth","token":"`+r.token(t, claims)+`"}`)
			if got := p.hear(t); !strings.HasPrefix(got, `{"id":1,"op":"ok"`) {
				t.Errorf("got %s", got)
			}
		}
		<-time.After(2 * time.Second)
		renew()
		p.expectAt(t, start, 6*time.Second, `{"op":"expiring","in":6}`)
		renew()
		f := p.next(t)
		checkTime(t, start, 12*time.Second)
		if f.Header.OpCode != ws.OpClose {
			t.Errorf("got %v %q", f.Header.OpCode, f.Payload)
		}
	})
}

// TestRenewalAtEachNotice renews a token for an hour, each time at the notice.
func TestRenewalAtEachNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		start := time.Now()
		p := r.speak(t, lasting(time.Minute))
		for i := range 120 {
			p.expectAt(t, start, time.Duration(i+1)*30*time.Second, `{"op":"expiring","in":30}`)
			p.renew(t, r, time.Minute)
		}
	})
}

// TestStaleAlarm has the keeper come with an alarm that a new token has replaced.
func TestStaleAlarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		start := time.Now()
		p := r.speak(t, lasting(time.Minute))
		late := r.upgrade(t, "/a", askV1)
		synctest.Wait()
		var stale []func()
		for _, c := range r.keeper.all() {
			before := c.times()
			stale = append(stale, func() { c.ring(before) })
		}
		p.renew(t, r, 2*time.Minute)
		late.renew(t, r, 2*time.Minute)
		for _, ring := range stale {
			ring()
		}
		go func() { late.expectAt(t, start, 90*time.Second, `{"op":"expiring","in":30}`) }()
		p.expectAt(t, start, 90*time.Second, `{"op":"expiring","in":30}`)
		synctest.Wait()
	})
}

// TestFarExpiry has tokens whose end is further away than a duration can be.
func TestFarExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		<-time.After(time.Hour) // The keeper counts from its start.
		for _, exp := range []float64{4102444800, 1e10, 253402300798, 1e18} {
			r.speak(t, map[string]any{"mode": "rw", "exp": exp}).expectNothing(t)
		}
		now := r.keeper.now()
		for _, c := range r.keeper.all() {
			if due := c.next(now); due != c.pingAt {
				t.Errorf("due in %v", due-now)
			}
		}
	})
}

// TestClassicIsNotTold has a classic websocket end without a notice.
func TestClassicIsNotTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil).servePipes(t)
		p := r.upgrade(t, "/a/"+r.token(t, lasting(20*time.Second)), askUpgrade)
		f, err := ws.ReadFrame(p.in)
		if err != nil || f.Header.OpCode != ws.OpClose {
			t.Errorf("got %v %q: %v", f.Header.OpCode, f.Payload, err)
		}
	})
}

// TestStreamInTime has event streams: the comments, no end for silence, and the end.
func TestStreamInTime(t *testing.T) {
	t.Parallel()
	const ttl = 10*time.Minute + 5*time.Second
	tests := map[string]struct{ query, notice, end string }{
		"plain": {"", "", "event: close\ndata: {\"code\":3001,\"reason\":\"JWT expired\"}\n\n"},
		"pgws.v1": {
			"?protocol=pgws.v1", "data: {\"op\":\"expiring\",\"in\":30}\n\n",
			"data: {\"op\":\"close\",\"code\":3001,\"reason\":\"JWT expired\"}\n\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, nil).servePipes(t)
				start := time.Now()
				p := r.stream(t, "/a/"+r.token(t, lasting(ttl))+test.query, "")
				p.event(t) // ready
				for i := 1; i <= int(ttl/commentEvery); i++ {
					if got := p.event(t); got != ":\n\n" {
						t.Fatalf("comment %d is %q", i, got)
					}
					checkTime(t, start, time.Duration(i)*commentEvery)
					if i == int((ttl-expiryNotice)/commentEvery) && test.notice != "" {
						if got := p.event(t); got != test.notice {
							t.Errorf("got %q, want %q", got, test.notice)
						}
					}
				}
				rest, err := io.ReadAll(p.in)
				if err != nil || string(rest) != test.end {
					t.Errorf("ends with %q, want %q: %v", rest, test.end, err)
				}
				checkTime(t, start, ttl)
				if code := r.awaitClosed(t); code != 3001 {
					t.Errorf("counted %d", code)
				}
			})
		})
	}
}

func TestNoticeAfter(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]time.Duration{
		time.Hour: time.Hour - 30*time.Second, time.Minute: 30 * time.Second, 59 * time.Second: 29500 * time.Millisecond, 2: 1,
	} {
		if got := noticeAfter(left); got != want {
			t.Errorf("with %v left after %v, want %v", left, got, want)
		}
	}
	if grant := (&auth.Grant{}); expired(grant) || expired(nil) {
		t.Error("what has no end has ended")
	}
}
