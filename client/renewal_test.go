package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"pgws/client"
)

// The server says once that a token ends. Until it has one with another end, the Token function is asked for one, whatever
// comes of it, and the server is not bothered with what it has been sent.
func TestRenewedAtLast(t *testing.T) {
	t.Parallel()
	const refused, busy = `"op":"error","code":"unauthorized"`, `"op":"error","code":"unavailable"`
	good := func(expires int) string { return fmt.Sprintf(`"op":"ok","expires":%d`, expires) }
	type sent struct{ token, answer string }
	for name, tc := range map[string]struct {
		tokens []string // as they are asked for once the first ends; the last one may be asked for again
		sent   []sent
		errors int // that are told
		// asked is how long after the first time the last one is asked for.
		asked time.Duration
	}{
		"no new one yet":       {[]string{"old", "old", "new"}, []sent{{"new", good(200)}}, 0, 10 * time.Second},
		"an error":             {[]string{"old", "error", "new"}, []sent{{"new", good(200)}}, 1, 10 * time.Second},
		"an error at first":    {[]string{"error", "error", "new"}, []sent{{"new", good(200)}}, 2, 10 * time.Second},
		"none":                 {[]string{"old", "", "new"}, []sent{{"new", good(200)}}, 1, 10 * time.Second},
		"refused":              {[]string{"bad", "bad", "new"}, []sent{{"bad", refused}, {"new", good(200)}}, 1, 10 * time.Second},
		"the server is busy":   {[]string{"new", "new"}, []sent{{"new", busy}, {"new", good(200)}}, 1, 5 * time.Second},
		"the same end":         {[]string{"same", "same", "new"}, []sent{{"same", good(100)}, {"new", good(200)}}, 0, 10 * time.Second},
		"no end":               {[]string{"new"}, []sent{{"new", `"op":"ok"`}}, 0, 0},
		"told again meanwhile": {[]string{"same", "new"}, []sent{{"same", good(100) + `}EXPIRING`}, {"new", good(200)}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var asked []time.Duration // but for the first, which is for the connection
				var start time.Time
				var got []string
				states := newStates()
				_, end := overPipe(t, func(w http.ResponseWriter, r *http.Request) {
					conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"pgws.v1"}})
					check(t, err)
					defer func() { _ = conn.CloseNow() }()
					p := &peer{t: t, conn: conn}
					p.send(`{"op":"ready","mode":"rw","expires":100,"channels":[],"position":"0"}`)
					start = time.Now()
					p.send(`{"op":"expiring","in":30}`)
					for _, s := range tc.sent {
						q := p.expect("auth")
						got = append(got, q.Token)
						answer, again := strings.CutSuffix(s.answer, "}EXPIRING")
						p.send(`{"id":%d,%s}`, q.ID, answer)
						if again {
							p.send(`{"op":"expiring","in":30}`)
						}
					}
					<-conn.CloseRead(t.Context()).Done()
				}, client.Options{OnState: states.add, Token: func(context.Context) (string, error) {
					if start.IsZero() {
						return "old", nil
					}
					asked = append(asked, time.Since(start))
					token := tc.tokens[min(len(asked), len(tc.tokens))-1]
					if token == "error" {
						return "", errors.New("no")
					}
					return token, nil
				}})
				defer end()
				pass(time.Minute)
				var want []string
				for _, s := range tc.sent {
					want = append(want, s.token)
				}
				if !slices.Equal(got, want) {
					t.Errorf("the server was sent %q, want %q", got, want)
				}
				if len(asked) != len(tc.tokens) || asked[len(asked)-1] != tc.asked {
					t.Errorf("asked at %v, want %d times, at last at %v", asked, len(tc.tokens), tc.asked)
				}
				if n := states.count(func(s client.State) bool { return s.Connected && s.Err != nil }); n != tc.errors {
					t.Errorf("the states are %+v, want %d errors", states.all(), tc.errors)
				}
			})
		})
	}
}

// tokenServer is one without websockets whose tokens are "1", "2" and so on. Each ends at its time after the start.
type tokenServer struct {
	t     *testing.T
	start time.Time
	ends  map[string]time.Duration
	mu    sync.Mutex
	// opened has the token and the beginning of each stream.
	opened []string
}

func (s *tokenServer) left(token string) time.Duration { return s.ends[token] - time.Since(s.start) }

func (s *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	left := s.left(token)
	switch {
	case r.Header.Get("Upgrade") != "":
		forbid(w, r)
	case r.Method == http.MethodPost && left <= 0:
		_, _ = io.WriteString(w, `{"id":0,"op":"error","code":"unauthorized","message":"JWT expired"}`)
	case r.Method == http.MethodPost:
		_, _ = io.WriteString(w, `{"op":"ok"}`)
	case left <= 0:
		s.t.Errorf("a stream with the token %s, which has expired", token)
	default:
		s.mu.Lock()
		s.opened = append(s.opened, token+" from "+r.Header.Get("Last-Event-ID"))
		s.mu.Unlock()
		s.stream(w, r, left)
	}
}

func (s *tokenServer) stream(w http.ResponseWriter, r *http.Request, left time.Duration) {
	w.Header().Set("Content-Type", "text/event-stream")
	say := func(format string, values ...any) {
		_, _ = fmt.Fprintf(w, "data: "+format+"\n\n", values...)
		_ = http.NewResponseController(w).Flush()
	}
	say(`{"op":"ready","position":"7","resumed":%t}`, r.Header.Get("Last-Event-ID") == "7")
	for _, step := range []struct {
		after time.Duration
		frame string
	}{{left - 30*time.Second, `{"op":"expiring","in":30}`}, {30 * time.Second, `{"op":"close","code":3001,"reason":"JWT expired"}`}} {
		select {
		case <-time.After(step.after):
			say(step.frame)
		case <-r.Context().Done():
			return
		}
	}
}

// Over SSE a token is renewed before it ends, too: the streams that end with the old one go on with the new one at once.
func TestStreamsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{t: t, start: time.Now(), ends: map[string]time.Duration{"1": time.Minute, "2": 2 * time.Minute, "3": time.Hour}}
		states := newStates()
		var asked []time.Duration
		token := "1"
		c, end := overPipe(t, s.ServeHTTP, client.Options{OnState: states.add, Token: func(context.Context) (string, error) {
			asked = append(asked, time.Since(s.start))
			if time.Since(s.start) > 37*time.Second {
				token = "2"
			}
			if time.Since(s.start) > 80*time.Second {
				token = "3"
			}
			return token, nil
		}})
		defer end()
		subscribe(t, c, "a")
		subscribe(t, c, "b")
		pass(130 * time.Second)
		want := []string{"1 from ", "1 from ", "2 from 7", "2 from 7", "3 from 7", "3 from 7"}
		if !slices.Equal(s.opened, want) {
			t.Errorf("the streams are %q, want %q", s.opened, want)
		}
		times := []time.Duration{0, 0, 30 * time.Second, 35 * time.Second, 40 * time.Second, 90 * time.Second}
		if !slices.Equal(asked, times) {
			t.Errorf("asked at %v, want %v", asked, times)
		}
		if n := states.count(func(client.State) bool { return true }); n != 1 {
			t.Errorf("the states are %+v", states.all())
		}
	})
}

// A Token function that returns the expired token again is asked for another, once for all streams, and then again and
// again, for a while: the client ends only after that.
func TestExpired(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]time.Duration{"late": 3 * time.Second, "never": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{t: t, start: time.Now(), ends: map[string]time.Duration{"1": time.Minute, "2": time.Hour}}
				var asked atomic.Int32 // after the end
				c, end := overPipe(t, s.ServeHTTP, client.Options{Token: func(context.Context) (string, error) {
					if s.left("1") <= 0 {
						asked.Add(1)
					}
					if s.left("1") < -late {
						return "2", nil
					}
					return "1", nil
				}})
				defer end()
				for _, channel := range []string{"a", "b", "c"} {
					subscribe(t, c, channel)
				}
				pass(2 * time.Minute)
				if late < time.Minute {
					check(t, c.Err())
					if _, err := publish(t, c, "a", ""); err != nil {
						t.Error(err)
					}
					return
				}
				if e := asError(t, c.Err()); e.Code != client.Unauthorized {
					t.Errorf("it ends with %v", e)
				}
				if n := asked.Load(); n < 6 || n > 7 { // The old token ends just when the renewal is to ask again.
					t.Errorf("asked %d times", n)
				}
			})
		})
	}
}

// A client whose tokens are refused again and again ends, and all who wait are told.
func TestRefusedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		number := -1
		c, end := overPipe(t, func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"pgws.v1"}})
			check(t, err)
			defer func() { _ = conn.CloseNow() }()
			p := &peer{t: t, conn: conn}
			if number++; number > 0 {
				p.close(3000, "no more")
				return
			}
			p.ready()
			p.send(`{"id":%d,"op":"ok","channels":["a"],"position":"1"}`, p.expect("subscribe").ID)
			p.send(`{"op":"message","channel":"a","position":"2","payload":"last"}`)
			p.close(3001, "JWT expired")
		}, client.Options{})
		defer end()
		s := subscribe(t, c, "a")
		<-c.Done()
		if e := asError(t, c.Err()); e.Code != client.Unauthorized || number != 5 {
			t.Errorf("the client: %v, after %d connections more", e, number)
		}
		if m := next(t, s); m.Text() != "last" {
			t.Errorf("got %+v", m)
		}
		_, err := s.Next(t.Context())
		if e := asError(t, err); e.Code != client.Unauthorized {
			t.Errorf("the subscription: %v", e)
		}
		for _, act := range []func() error{
			func() error { _, err := publish(t, c, "a", ""); return err },
			func() error { _, err := c.Subscribe(t.Context(), "b"); return err },
		} {
			if e := asError(t, act()); e.Code != client.Unauthorized || e.Uncertain {
				t.Errorf("then: %v", e)
			}
		}
	})
}
