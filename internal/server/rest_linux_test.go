package server

import (
	"fmt"
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
