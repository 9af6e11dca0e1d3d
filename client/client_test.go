package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgws/client"
)

// everywhere runs a test by websocket, and by event streams where websockets are blocked.
func everywhere(t *testing.T, test func(t *testing.T, s *server, url string, transport client.Transport)) {
	t.Run("websocket", func(t *testing.T) {
		t.Parallel()
		s := serve(t)
		test(t, s, s.url(), client.Websocket)
	})
	t.Run("SSE", func(t *testing.T) {
		t.Parallel()
		s := serve(t)
		test(t, s, blocking(t, s.url(), forbid).url, client.SSE)
	})
}

// What is published arrives, and so does what the database notifies.
func TestMessages(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *server, url string, transport client.Transport) {
		states := newStates()
		c := dial(t, client.Options{URL: url, Token: s.sign(0, anybody), OnState: states.add})
		sub := subscribe(t, c, "chat", "b/c ü&?")
		for _, channel := range []string{"chat", "b/c ü&?"} {
			for _, tc := range []struct {
				payload any
				want    string
			}{
				{"hello", "hello"},
				{"", ""},
				{"<ü>\r\n\"\x01\u2028", "<ü>\r\n\"\x01\u2028"},
				{"null", "null"},
				{json.RawMessage(`{"a": [1, null, "<"]}`), `{"a":[1,null,"<"]}`},
				{1.5, "1.5"},
				{nil, "null"},
			} {
				receipt, err := publish(t, c, channel, tc.payload)
				check(t, err)
				m := next(t, sub)
				sent, ok := m.Sent()
				if !ok || m.Channel != channel || receipt.Channel != channel || m.Position == "" {
					t.Fatalf("got %+v %s", m, m.Payload)
				}
				var claims struct {
					Sub string      `json:"sub"`
					At  json.Number `json:"message_delivered_at"`
				}
				check(t, json.Unmarshal(sent.Claims, &claims))
				if claims.At != receipt.MessageDeliveredAt || claims.Sub != "ann" {
					t.Errorf("the claims %s, the receipt %+v", sent.Claims, receipt)
				}
				if d := time.Since(receipt.Time()); d < 0 || d > patience {
					t.Errorf("it was sent %v ago", d)
				}
				if m.Text() != tc.want {
					t.Errorf("got %q, want %q", m.Text(), tc.want)
				}
			}
		}
		s.notify(`{"channel":"chat","payload":"from SQL"}`)
		if m := next(t, sub); m.Text() != `{"channel":"chat","payload":"from SQL"}` {
			t.Errorf("got %s", m.Payload)
		} else if _, ok := m.Sent(); ok {
			t.Errorf("sent by a client: %s", m.Payload)
		}
		other := subscribe(t, c, "postgres-websockets-listener")
		s.notify("no JSON\nat all")
		if m := next(t, other); m.Text() != "no JSON\nat all" {
			t.Errorf("got %s", m.Payload)
		}
		if n := states.count(func(s client.State) bool { return connected(s) && s.Transport == transport }); n != 1 {
			t.Errorf("connected %d times by %s", n, transport)
		}
	})
}

func TestNoEcho(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := dial(t, client.Options{URL: s.url(), Token: s.sign(0, anybody), NoEcho: true})
	sub := subscribe(t, c, "chat")
	_, err := publish(t, c, "chat", "mine")
	check(t, err)
	s.notify(numbered("chat", 0, 1)...)
	expectNumbered(t, sub, "chat", 0, 1)
}

// One goroutine's messages arrive in the order in which it sent them.
func TestAsync(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *server, url string, transport client.Transport) {
		c := dial(t, client.Options{URL: url, Token: s.sign(0, anybody)})
		sub := subscribe(t, c, "chat")
		count := map[client.Transport]int{client.Websocket: 5000, client.SSE: 100}[transport]
		var last func()
		for i := range count {
			receipt, err := c.PublishAsync(t.Context(), "chat", fmt.Sprint(i))
			check(t, err)
			last = func() {
				for range 2 {
					_, err := receipt(t.Context())
					check(t, err)
				}
			}
		}
		for i := range count {
			if m := next(t, sub); m.Text() != fmt.Sprint(i) {
				t.Fatalf("got %s, want %d", m.Text(), i)
			}
		}
		last()
	})
}

// What the server refuses is an error with its code.
func TestRefused(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *server, url string, _ client.Transport) {
		for name, tc := range map[string]struct {
			claims map[string]any
			act    func(*client.Client) error
			want   client.Code
		}{
			"publish to another channel": {map[string]any{"mode": "rw", "channel": "a"},
				func(c *client.Client) error { _, err := publish(t, c, "b", ""); return err }, client.Forbidden},
			"publish without w": {map[string]any{"mode": "r"},
				func(c *client.Client) error { _, err := publish(t, c, "b", ""); return err }, client.Forbidden},
			"subscribe to another channel": {map[string]any{"mode": "rw", "channel": "a"},
				func(c *client.Client) error { _, err := c.Subscribe(t.Context(), "a", "b"); return err }, client.Forbidden},
			"subscribe without r": {map[string]any{"mode": "w"},
				func(c *client.Client) error { _, err := c.Subscribe(t.Context(), "a"); return err }, client.Forbidden},
			"too large with its claims": {anybody,
				func(c *client.Client) error { _, err := publish(t, c, "a", strings.Repeat("x", 7990)); return err }, client.TooLarge},
			"no text of PostgreSQL's": {anybody,
				func(c *client.Client) error { _, err := publish(t, c, "", "\x00"); return err }, ""},
		} {
			c := dial(t, client.Options{URL: url, Token: s.sign(0, tc.claims)})
			err := tc.act(c)
			if tc.want == "" {
				continue // Whatever the server makes of it, the connection must go on.
			}
			if e := asError(t, err); e.Code != tc.want || e.Uncertain {
				t.Errorf("%s: got %v", name, err)
			}
			if sub, err := c.Subscribe(t.Context(), "a"); tc.claims["mode"] != "w" && err != nil {
				t.Errorf("%s: then: %v", name, err)
			} else if err == nil {
				sub.Close()
			}
		}
		bad := map[string]func() (string, error){
			"no token":      func() (string, error) { return "", nil },
			"no such token": func() (string, error) { return "eyTOKEN", nil },
			"expired":       func() (string, error) { return s.app.Sign([]byte(`{"mode":"rw","exp":1}`)) },
		}
		for name, token := range bad {
			text, err := token()
			check(t, err)
			_, err = client.Dial(t.Context(), client.Options{URL: url, Token: staticToken(text)})
			if e := asError(t, err); e.Code != client.Unauthorized {
				t.Errorf("%s: got %v", name, err)
			}
			if text != "" && strings.Contains(err.Error(), text) {
				t.Errorf("%s: the error has the token: %v", name, err)
			}
		}
	})
}

// A line that is cut again and again costs no message and doubles none.
func TestResumes(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, s *server, l *line, url string) {
		states := newStates()
		c := dial(t, client.Options{URL: url, Token: s.sign(0, anybody), OnState: states.add})
		a, bc := subscribe(t, c, "a"), subscribe(t, c, "b", "c")
		for round := range 3 {
			from := round * 200
			s.notify(slices.Concat(numbered("a", from, from+100), numbered("b", from, from+50))...)
			expectNumbered(t, a, "a", from, from+100)
			l.cut()
			states.await(t, round+1, func(s client.State) bool { return lost(s) && s.Retry > 0 })
			s.notify(slices.Concat(numbered("a", from+100, from+200), numbered("c", from, from+50), numbered("d", 0, 10))...)
			l.mend()
			expectNumbered(t, a, "a", from+100, from+200)
			expectNumbered(t, bc, "b", from, from+50)
			expectNumbered(t, bc, "c", from, from+50)
			_, err := publish(t, c, "d", "the connection serves all")
			check(t, err)
		}
	}
	t.Run("websocket", func(t *testing.T) {
		t.Parallel()
		s := serve(t)
		l := lineTo(t, s)
		run(t, s, l, l.url())
	})
	t.Run("SSE", func(t *testing.T) {
		t.Parallel()
		s := serve(t)
		l := lineTo(t, s)
		run(t, s, l, blocking(t, l.url(), forbid).url)
	})
}

// Where the server cannot go on, because it is another one, there is a gap.
func TestGap(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, url func(*server) string) {
		s := serve(t)
		c := dial(t, client.Options{URL: url(s), Token: s.sign(0, anybody)})
		sub := subscribe(t, c, "a")
		s.notify(numbered("a", 0, 3)...)
		expectNumbered(t, sub, "a", 0, 3)
		s.values["PGWS_PORT"] = fmt.Sprint(s.app.Addr())[len("127.0.0.1:"):]
		s.stop()
		s.notify(numbered("a", 3, 4)...) // nobody hears it
		s.start()
		if m := next(t, sub); !m.Gap || m.Channel != "a" || m.Payload != nil {
			t.Errorf("got %+v", m)
		}
		s.notify(numbered("a", 4, 6)...)
		expectNumbered(t, sub, "a", 4, 6)
	}
	t.Run("websocket", func(t *testing.T) {
		t.Parallel()
		run(t, func(s *server) string { return s.url() })
	})
	t.Run("SSE", func(t *testing.T) {
		t.Parallel()
		run(t, func(s *server) string { return blocking(t, s.url(), forbid).url })
	})
}

// A position that was kept is where a later client begins.
func TestSubscribeSince(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *server, url string, _ client.Transport) {
		options := client.Options{URL: url, Token: s.sign(0, anybody)}
		c := dial(t, options)
		sub := subscribe(t, c, "a")
		s.notify(numbered("a", 0, 3)...)
		position := next(t, sub).Position
		c.Close()
		later, err := dial(t, options).SubscribeSince(t.Context(), position, "a")
		check(t, err)
		expectNumbered(t, later, "a", 1, 3)
		never, err := dial(t, options).SubscribeSince(t.Context(), "of another server", "a", "b")
		check(t, err)
		for _, channel := range []string{"a", "b"} {
			m := next(t, never)
			if !m.Gap || m.Channel != channel || m.Position == "" {
				t.Errorf("got %+v", m)
			}
			position = m.Position
		}
		s.notify(numbered("b", 3, 4)...)
		after, err := dial(t, options).SubscribeSince(t.Context(), position, "b")
		check(t, err)
		expectNumbered(t, after, "b", 3, 4)
	})
}

// Tokens that last 2 seconds are renewed, and meanwhile nothing is lost, doubled or refused, and there is one
// connection.
func TestRenewal(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *server, url string, transport client.Transport) {
		var tokens sync.Map
		sign := s.sign(2*time.Second, anybody)
		states := newStates()
		c := dial(t, client.Options{URL: url, OnState: states.add, Token: func(ctx context.Context) (string, error) {
			token, err := sign(ctx)
			tokens.Store(token, true)
			return token, err
		}})
		sub := subscribe(t, c, "chat")
		end := time.Now().Add(5 * time.Second)
		count := 0
		for ; time.Now().Before(end); count++ {
			_, err := publish(t, c, "chat", fmt.Sprint(count))
			check(t, err)
			if m := next(t, sub); m.Text() != fmt.Sprint(count) {
				t.Fatalf("got %+v %s, want %d", m, m.Payload, count)
			}
		}
		renewed := 0
		tokens.Range(func(any, any) bool { renewed++; return true })
		if renewed < 3 {
			t.Errorf("%d tokens in 5 s", renewed)
		}
		if n := states.count(func(client.State) bool { return true }); n != 1 {
			t.Errorf("%d states, want one: %+v", n, states.all())
		}
		t.Logf("%d messages, %d tokens by %s", count, renewed, transport)
	})
}

// A new token that grants less ends the subscriptions that it does not grant.
func TestRevoked(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *server, url string, _ client.Transport) {
		both := s.sign(2*time.Second, map[string]any{"mode": "rw", "channels": []string{"a", "b"}})
		one := s.sign(0, map[string]any{"mode": "rw", "channels": []string{"a"}})
		var less atomic.Bool
		c := dial(t, client.Options{URL: url, Token: func(ctx context.Context) (string, error) {
			if less.Load() {
				return one(ctx)
			}
			return both(ctx)
		}})
		a, b := subscribe(t, c, "a"), subscribe(t, c, "b")
		less.Store(true)
		for m, err := range b.Messages(t.Context()) {
			if e := asError(t, err); e.Code != client.Forbidden {
				t.Errorf("got %+v, %v", m, err)
			}
		}
		s.notify(numbered("a", 0, 1)...)
		expectNumbered(t, a, "a", 0, 1)
	})
}

// Close may come at any time, and ends all that waits.
func TestCloseEndsAll(t *testing.T) {
	t.Parallel()
	s := serve(t)
	l := lineTo(t, s)
	states := newStates()
	c := dial(t, client.Options{URL: l.url(), Token: s.sign(0, anybody), OnState: states.add})
	sub := subscribe(t, c, "a")
	l.cut()
	states.await(t, 1, lost)
	waiting := make(chan error, 3)
	go func() { _, err := c.Publish(t.Context(), "a", ""); waiting <- err }()
	go func() { _, err := c.Subscribe(t.Context(), "b"); waiting <- err }()
	go func() { _, err := sub.Next(t.Context()); waiting <- err }()
	c.Close()
	for range cap(waiting) {
		if err := <-waiting; !errors.Is(err, client.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	<-c.Done()
}
