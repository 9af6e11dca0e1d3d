package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"pgws/client"
)

// A message whose connection ends before the answer may have been sent: the error says so, and it is not sent again.
func TestUncertain(t *testing.T) {
	t.Parallel()
	var published atomic.Int32
	url := peers(t, func(p *peer) {
		p.ready()
		for {
			q, ok := p.next()
			if !ok {
				return
			}
			if published.Add(1); p.number == 0 {
				return
			}
			p.send(`{"id":%d,"op":"ok","message_delivered_at":1.000002}`, q.ID)
		}
	})
	c := dial(t, client.Options{URL: url})
	_, err := publish(t, c, "chat", "first")
	if e := asError(t, err); e.Code != client.Unavailable || !e.Uncertain {
		t.Errorf("got %+v", e)
	}
	if !strings.Contains(err.Error(), "may have been sent") {
		t.Errorf("the error does not say what is uncertain: %v", err)
	}
	receipt, err := publish(t, c, "chat", "second")
	check(t, err)
	if got := receipt.Time().UnixMicro(); got != 1_000_002 {
		t.Errorf("the receipt's time is %d µs", got)
	}
	if got := published.Load(); got != 2 {
		t.Errorf("%d messages were sent, want 2", got)
	}
}

// An answer that does not come in the caller's time is uncertain, and the caller's error is in it.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	url := peers(t, func(p *peer) {
		p.ready()
		p.expect("publish")
		close(asked)
		p.rest()
	})
	c := dial(t, client.Options{URL: url})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := c.Publish(ctx, "chat", "hello")
	if e := asError(t, err); !e.Uncertain || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What the server answers is in the error.
func TestErrors(t *testing.T) {
	t.Parallel()
	url := peers(t, func(p *peer) {
		p.ready()
		for q, ok := p.next(); ok; q, ok = p.next() {
			code, uncertain, _ := strings.Cut(fmt.Sprint(q.Payload), " ")
			p.send(`{"id":%d,"op":"error","code":%q,"message":"as asked","uncertain":%t}`, q.ID, code, uncertain != "")
		}
	})
	c := dial(t, client.Options{URL: url})
	for payload, want := range map[string]client.Error{
		"rate_limited":          {Code: client.RateLimited, Message: "as asked"},
		"unavailable":           {Code: client.Unavailable, Message: "as asked"},
		"unavailable uncertain": {Code: client.Unavailable, Message: "as asked", Uncertain: true},
		"forbidden":             {Code: client.Forbidden, Message: "as asked"},
	} {
		_, err := publish(t, c, "chat", payload)
		if got := asError(t, err); *got != want {
			t.Errorf("%s: got %+v, want %+v", payload, *got, want)
		}
	}
}

// What cannot be sent is refused here, and costs no connection.
func TestNotSent(t *testing.T) {
	t.Parallel()
	url := peers(t, func(p *peer) {
		p.ready()
		if q, ok := p.next(); ok {
			t.Errorf("got %+v", q)
		}
	})
	c := dial(t, client.Options{URL: url})
	for name, tc := range map[string]struct {
		payload any
		want    client.Code
	}{
		"too long a text":  {strings.Repeat("x", 8000), client.TooLarge},
		"too long a value": {[]string{strings.Repeat("x", 8000)}, client.TooLarge},
		"no UTF-8":         {"\xff", client.BadRequest},
		"no JSON":          {func() {}, client.BadRequest},
	} {
		_, err := publish(t, c, "chat", tc.payload)
		if e := asError(t, err); e.Code != tc.want || e.Uncertain {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A payload reaches the server as it is.
func TestPayloads(t *testing.T) {
	t.Parallel()
	got := make(chan question, 1)
	url := peers(t, func(p *peer) {
		p.ready()
		for q, ok := p.next(); ok; q, ok = p.next() {
			got <- q
			p.send(`{"id":%d,"op":"ok","message_delivered_at":1}`, q.ID)
		}
	})
	c := dial(t, client.Options{URL: url, NoEcho: true})
	for _, tc := range []struct{ payload, want any }{
		{"<b> & \u2028 \"quoted\"\n", "<b> & \u2028 \"quoted\"\n"},
		{"", ""},
		{map[string]any{"a": "<"}, map[string]any{"a": "<"}},
		{nil, nil},
		{12, 12.0},
	} {
		_, err := publish(t, c, "chat", tc.payload)
		check(t, err)
		q := <-got
		if fmt.Sprint(q.Payload) != fmt.Sprint(tc.want) || q.Channel != "chat" || q.Echo == nil || *q.Echo {
			t.Errorf("%v: got %+v", tc.payload, q)
		}
	}
}

// A token that is refused ends Dial with its reason.
func TestRefusedByClose(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code websocket.StatusCode
		want client.Code
	}{
		"unauthorized": {3000, client.Unauthorized},
		"expired":      {3001, client.Unauthorized},
		"forbidden":    {3003, client.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := peers(t, func(p *peer) {
				if p.number > 0 {
					t.Error("it has tried again")
				}
				p.close(tc.code, "the reason")
			})
			_, err := client.Dial(t.Context(), client.Options{URL: url, Token: staticToken("token")})
			if e := asError(t, err); e.Code != tc.want || e.Message != "the reason" {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A subscription goes on after its last message, and says when it cannot.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	url := peers(t, func(p *peer) {
		p.ready()
		q := p.expect("subscribe")
		switch p.number {
		case 0:
			if q.Since != "" {
				t.Errorf("begins at %q", q.Since)
			}
			p.send(`{"id":%d,"op":"ok","channels":["a"],"position":"10"}`, q.ID)
		case 1: // Nothing has come: where the channel began counts.
			if q.Since != "10" {
				t.Errorf("goes on at %q", q.Since)
			}
			// Here are the positions of what is sent again; the answer's is later.
			p.send(`{"id":%d,"op":"ok","channels":["a"],"position":"15","resumed":true}`, q.ID)
			p.send(`{"op":"message","channel":"a","position":"11","payload":"one"}`)
			p.send(`{"op":"message","channel":"b","position":"12","payload":"of another"}`)
		case 2:
			if q.Since != "11" {
				t.Errorf("goes on at %q", q.Since)
			}
			p.send(`{"op":"message","channel":"a","position":"9","payload":"before the answer"}`)
			p.send(`{"id":%d,"op":"ok","channels":["a"],"position":"20","resumed":false}`, q.ID)
			p.send(`{"op":"gap","channel":"a","position":"22"}`)
			p.send(`{"op":"what will be","channel":"a"}`)
		case 3:
			if q.Since != "22" {
				t.Errorf("goes on at %q", q.Since)
			}
			p.send(`{"id":%d,"op":"ok","channels":["a"],"position":"20","resumed":true}`, q.ID)
			p.send(`{"op":"message","channel":"a","position":"21","payload":"two"}`)
			p.rest()
		}
	})
	s := subscribe(t, dial(t, client.Options{URL: url}), "a")
	for i, want := range []string{"one 11", "gap 20", "gap 22", "two 21"} {
		m := next(t, s)
		got := m.Text() + " " + m.Position
		if m.Gap {
			got = "gap " + m.Position
		}
		if got != want || m.Channel != "a" {
			t.Errorf("%d: got %+v, want %s", i, m, want)
		}
	}
}

// Whoever publishes while he reads, and reads slowly, gets his answers; and all messages, each once, also when the
// connection had to be given up.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const first, messages, size = 100, 600, 40_000 // More than may be queued: at all, and while an answer is awaited.
	muted := make(chan struct{})
	url := peers(t, func(p *peer) {
		p.ready()
		flood := func(from int) {
			for i := from + 1; i <= messages; i++ {
				if i == first+1 {
					<-muted
				}
				p.send(`{"op":"message","channel":"a","position":"%d","payload":"%d %s"}`, i, i, strings.Repeat("x", size))
			}
		}
		var flooding sync.WaitGroup
		for q, ok := p.next(); ok; q, ok = p.next() {
			switch {
			case q.Op == "subscribe":
				var from int
				_, _ = fmt.Sscan(q.Since, &from) // Nothing: the first.
				p.send(`{"id":%d,"op":"ok","channels":["a"],"position":"0","resumed":true}`, q.ID)
				flooding.Go(func() { flood(from) })
			case q.Payload == "mute":
				close(muted)
			default:
				p.send(`{"id":%d,"op":"ok","message_delivered_at":1}`, q.ID)
			}
		}
		_ = p.conn.CloseNow()
		flooding.Wait()
	})
	c := dial(t, client.Options{URL: url})
	s := subscribe(t, c, "a")
	for i := 1; i <= messages; i++ {
		if m := next(t, s); m.Position != fmt.Sprint(i) {
			t.Fatalf("got the message %s, want %d", m.Position, i)
		}
		if i%20 == 1 {
			_, err := publish(t, c, "a", "answer")
			check(t, err)
		}
		if i == first { // Nobody reads meanwhile: the queue fills up.
			_, err := publish(t, c, "a", "mute")
			if e := asError(t, err); !e.Uncertain {
				t.Errorf("got %v", err)
			}
		}
	}
}

// A subscription ends with its channels; another can have them.
func TestClose(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	url := peers(t, func(p *peer) {
		p.ready()
		p.send(`{"id":%d,"op":"ok","channels":["a"],"position":"1"}`, p.expect("subscribe").ID)
		p.send(`{"id":%d,"op":"ok"}`, p.expect("unsubscribe").ID)
		q := p.expect("subscribe")
		p.send(`{"op":"message","channel":"a","position":"2","payload":"of the first"}`)
		p.send(`{"id":%d,"op":"ok","channels":["a","b"],"position":"2"}`, q.ID)
		p.send(`{"op":"message","channel":"a","position":"3","payload":"of the second"}`)
		p.send(`{"op":"unsubscribed","channels":["b"],"code":"forbidden"}`)
		p.expect("unsubscribe")
		close(left)
		p.rest()
	})
	c := dial(t, client.Options{URL: url})
	first := subscribe(t, c, "a")
	if _, err := c.Subscribe(t.Context(), "b", "a"); err == nil {
		t.Error("a channel has two subscriptions")
	}
	if _, err := c.Subscribe(t.Context()); err == nil {
		t.Error("a subscription has no channel")
	}
	first.Close()
	first.Close()
	if _, err := first.Next(t.Context()); !errors.Is(err, client.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	second := subscribe(t, c, "a", "b")
	var got []string
	for m, err := range second.Messages(t.Context()) {
		if err != nil {
			if e := asError(t, err); e.Code != client.Forbidden {
				t.Errorf("got %v", err)
			}
			break
		}
		got = append(got, m.Text())
	}
	if len(got) != 1 || got[0] != "of the second" {
		t.Errorf("got %q", got)
	}
	<-left // the rest of its channels
	c.Close()
	c.Close()
	if !errors.Is(c.Err(), client.ErrClosed) {
		t.Errorf("after Close: %v", c.Err())
	}
}

// What is no root of a pgws is told in words, and what stands in a URL is not.
func TestNoServer(t *testing.T) {
	t.Parallel()
	notThere := peers(t, func(*peer) { t.Error("a connection") })
	for name, tc := range map[string]struct{ url, want string }{
		"nothing":      {"", "http://"},
		"no scheme":    {"example.com/SECRET", "http://"},
		"no host":      {"http:///SECRET", "host"},
		"unreadable":   {"http://a b/SECRET", "parsed"},
		"nobody there": {"http://127.0.0.1:1/SECRET", "refused"},
		"no pgws":      {notThere + "/SECRET\x7f", "parsed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client.Dial(t.Context(), client.Options{URL: tc.url, Token: staticToken("eyTOKEN")})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s named", err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "eyTOKEN")) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
	if _, err := client.Dial(t.Context(), client.Options{URL: notThere}); err == nil {
		t.Error("there is no Token function")
	}
}
