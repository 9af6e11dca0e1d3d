package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/auth"
	"pgws/internal/protocol"
)

// pipe opens a session over a pipe: a bubble of synctest holds no sockets.
func (r *rig) pipe(t *testing.T, grant *auth.Grant) (*peer, func()) {
	t.Helper()
	near, far := net.Pipe()
	grant.Claims = `{"mode":"rw"}`
	r.enter()
	c := r.newConn(&r.dialects.classic, grant, false)
	c.begin(near, nil, func() {})
	return &peer{Conn: far, in: bufio.NewReader(far)}, r.reading.Wait
}

func TestKeeperPings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil)
		p, ended := r.pipe(t, &auth.Grant{Receive: true, Channels: []string{"c"}})
		start := time.Now()
		for i := range 10 {
			if f := p.next(t); f.Header.OpCode != ws.OpPing {
				t.Fatalf("got %v", f.Header.OpCode)
			}
			if since := time.Since(start); since != time.Duration(i+1)*pingEvery {
				t.Errorf("ping %d after %v", i+1, since)
			}
			p.send(t, ws.NewPongFrame(nil))
		}
		report(t, p.Close())
		ended()
	})
}

func TestKeeperDropsTheSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil)
		p, ended := r.pipe(t, &auth.Grant{Receive: true, Channels: []string{"c"}})
		start := time.Now()
		if _, err := io.Copy(io.Discard, p); err != nil {
			t.Error(err)
		}
		if since := time.Since(start); since != longestQuiet {
			t.Errorf("dropped after %v, want %v", since, longestQuiet)
		}
		ended()
		if code := r.awaitClosed(t); code != 1006 {
			t.Errorf("counted %d", code)
		}
	})
}

// TestKeeperSparesThoseWhoWait has the publisher's queue full for minutes: the
// client cannot be heard meanwhile, and is not to blame.
func TestKeeperSparesThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil)
		r.full = make(chan struct{})
		p, ended := r.pipe(t, &auth.Grant{Send: true, Channels: []string{"c"}})
		var reading sync.WaitGroup
		reading.Go(func() { _, _ = io.Copy(io.Discard, p.in) })
		p.send(t, ws.NewTextFrame([]byte("waits")))
		<-time.After(10 * time.Minute) // of the bubble
		close(r.full)
		if m := <-r.messages; string(m.Text) != "waits" {
			t.Errorf("got %q", m.Text)
		}
		report(t, p.Close())
		reading.Wait()
		ended()
	})
}

func TestKeeperEndsWhatExpires(t *testing.T) {
	t.Parallel()
	const ttl = 90*time.Second + 250*time.Millisecond
	answers := map[string]func(t *testing.T, p *peer){
		"answered": func(t *testing.T, p *peer) {
			p.send(t, ws.NewCloseFrame(ws.NewCloseFrameBody(protocol.CloseExpired, "")))
			p.expectEnd(t)
		},
		"ignored": func(t *testing.T, p *peer) {
			start := time.Now()
			p.send(t, ws.NewTextFrame([]byte("too late")))
			if _, err := io.Copy(io.Discard, p.in); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
			if since := time.Since(start); since > closeWait {
				t.Errorf("dropped after %v", since)
			}
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, nil)
				start := time.Now()
				p, ended := r.pipe(t, &auth.Grant{Receive: true, Send: true, Channels: []string{"c"}, Expires: start.Add(ttl)})
				for {
					f := p.next(t)
					if f.Header.OpCode == ws.OpPing {
						p.send(t, ws.NewPongFrame(nil))
						continue
					}
					code, reason := ws.ParseCloseFrameData(f.Payload)
					if code != 3001 || reason != "JWT expired" {
						t.Errorf("closed with %d %q", code, reason)
					}
					break
				}
				if since := time.Since(start); since != ttl {
					t.Errorf("expired after %v, want %v", since, ttl)
				}
				r.publish("c", "too late")
				answer(t, p)
				ended()
				if code := r.awaitClosed(t); code != 3001 {
					t.Errorf("counted %d", code)
				}
				if n := len(r.messages); n > 0 {
					t.Errorf("%d messages were taken after the expiry", n)
				}
			})
		})
	}
}

// TestExpiryEndsTheWait has a session expire while its message waits for room.
func TestExpiryEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, nil)
		r.full = make(chan struct{})
		p, ended := r.pipe(t, &auth.Grant{Send: true, Channels: []string{"c"}, Expires: time.Now().Add(time.Minute)})
		p.send(t, ws.NewTextFrame([]byte("waits")))
		p.expectClose(t, protocol.CloseExpired)
		p.expectEnd(t)
		ended()
	})
}
