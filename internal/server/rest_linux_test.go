package server

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// awaitRest waits until a connection has no goroutine.
func awaitRest(t *testing.T, c *conn) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !c.resting.Load(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection does not rest")
		}
	}
}

// TestRest follows a connection that rests, is woken by each kind of frame,
// stays awake while messages come and rests again after a quiet time.
func TestRest(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).serve(t)
	p := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "rw"}))
	r.publish("c", "heard while at rest")
	if f := p.next(t); string(f.Payload) != "heard while at rest" {
		t.Errorf("got %q", f.Payload)
	}
	c := r.keeper.all()[0]
	awaitRest(t, c)
	for range 3 {
		p.send(t, ws.NewPingFrame([]byte("x")))
		if f := p.next(t); f.Header.OpCode != ws.OpPong {
			t.Errorf("got %v", f.Header.OpCode)
		}
		awaitRest(t, c)
	}
	for round := range 3 {
		for i := range 10 {
			text := fmt.Sprint(round, i)
			p.send(t, ws.NewTextFrame([]byte(text)))
			if m := <-r.messages; string(m.Text) != text {
				t.Errorf("got %q, want %q", m.Text, text)
			}
		}
		if c.resting.Load() {
			t.Error("rests while messages come")
		}
		c.calm() // a ping after messages
		c.calm() // and one after none
		awaitRest(t, c)
	}
	half := masked(true, ws.OpText, "cut in two")
	if _, err := p.Write(half[:5]); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); c.resting.Load(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("half a frame does not wake the connection")
		}
	}
	other := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "r"})) // meanwhile others are served
	r.publish("c", "to all")
	other.next(t)
	if _, err := p.Write(half[5:]); err != nil {
		t.Fatal(err)
	}
	if m := <-r.messages; string(m.Text) != "cut in two" {
		t.Errorf("got %q", m.Text)
	}
}

// TestEndAtRest ends connections that rest in every way.
func TestEndAtRest(t *testing.T) {
	t.Parallel()
	ends := map[string]struct {
		end  func(t *testing.T, c *conn, p *peer)
		code int
	}{
		"the client closes":   {func(t *testing.T, _ *conn, p *peer) { p.send(t, ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))) }, 1000},
		"the client is gone":  {func(t *testing.T, _ *conn, p *peer) { report(t, p.Close()) }, 1006},
		"the server closes":   {func(_ *testing.T, c *conn, _ *peer) { c.close(ws.StatusGoingAway, "") }, 1001}, // and is not answered
		"the server drops it": {func(_ *testing.T, c *conn, _ *peer) { c.abandon(ws.StatusAbnormalClosure); c.cut() }, 1006},
		"both at the same time": {func(t *testing.T, c *conn, p *peer) {
			go c.cut()
			report(t, p.Close())
		}, 1006},
	}
	for name, test := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil).serve(t)
			p := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "r"}))
			for len(r.keeper.all()) == 0 {
				<-time.After(time.Millisecond)
			}
			c := r.keeper.all()[0]
			awaitRest(t, c)
			test.end(t, c, p)
			if code := r.awaitClosed(t); code != test.code {
				t.Errorf("closed with %d, want %d", code, test.code)
			}
			if r.poller.find(int(c.fd.Load())) == c {
				t.Error("the poller keeps the connection")
			}
		})
	}
}

// TestComeAndGoAtRest opens and ends many connections in all ways at once, so
// that descriptors are soon used again: each ends once, and none is left.
func TestComeAndGoAtRest(t *testing.T) {
	t.Parallel()
	const clients, rounds = 16, 25
	r := newRig(t, nil).serve(t)
	token := r.token(t, map[string]any{"mode": "r"})
	var coming sync.WaitGroup
	for client := range clients {
		coming.Go(func() {
			for round := range rounds {
				p := r.dial(t, "/c/"+token)
				switch (client + round) % 4 {
				case 0:
					p.send(t, ws.NewPingFrame(nil), ws.NewCloseFrame(nil))
					p.expectClose(t, ws.StatusNoStatusRcvd)
				case 1:
					p.send(t, ws.NewPingFrame(nil))
					p.next(t)
				case 2:
					for _, c := range r.keeper.all() {
						if c.net.RemoteAddr().String() == p.LocalAddr().String() {
							c.cut()
						}
					}
				}
				report(t, p.Close())
			}
		})
	}
	coming.Wait()
	for range clients * rounds {
		r.awaitClosed(t)
	}
	if n := len(r.keeper.all()); n > 0 {
		t.Errorf("%d connections are left", n)
	}
	for fd, c := range r.poller.conns {
		if c != nil {
			t.Errorf("the poller keeps one by descriptor %d", fd)
		}
	}
}
