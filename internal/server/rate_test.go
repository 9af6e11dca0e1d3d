package server

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"pgws/internal/protocol"
)

// limited has a rig in which a client may send so many messages a second.
func limited(t *testing.T, rate int) *rig {
	t.Helper()
	return bubbleRig(t, func(o *Options) { o.MessageRate = rate }).servePipes(t)
}

// TestRateHoldsBack has a client of the classic protocol say too much: it is not read
// meanwhile, and others are.
func TestRateHoldsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := limited(t, 2)
		path := "/a/" + r.token(t, map[string]any{"mode": "w"})
		p, other := r.upgrade(t, path, askUpgrade), r.upgrade(t, path, askUpgrade)
		start := time.Now()
		go p.say(t, "1", "2", "3", "4", "5", "6")
		for i, after := range []time.Duration{0, 0, 500 * time.Millisecond, time.Second, 1500 * time.Millisecond, 2 * time.Second} {
			m := <-r.messages
			if string(m.Text) != fmt.Sprint(i+1) {
				t.Errorf("got %q", m.Text)
			}
			checkTime(t, start, after)
			if i == 1 {
				synctest.Wait()
				other.say(t, "from another")
				if m := <-r.messages; string(m.Text) != "from another" {
					t.Errorf("got %q", m.Text)
				}
				checkTime(t, start, 0)
			}
		}
	})
}

// TestHeldBackForLong has a client wait for minutes: it is not taken for dead, and its
// token ends nevertheless.
func TestHeldBackForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := limited(t, 1)
		claims := lasting(5 * time.Minute)
		claims["mode"] = "w"
		p := r.upgrade(t, "/a/"+r.token(t, claims), askUpgrade)
		start := time.Now()
		go func() {
			for range r.messages {
			}
		}()
		defer close(r.messages)
		var texts []string
		for i := range 400 {
			texts = append(texts, fmt.Sprint(i))
		}
		go p.say(t, texts...)
		p.expectClose(t, protocol.CloseExpired)
		checkTime(t, start, 5*time.Minute)
		p.expectEnd(t)
		if code := r.awaitClosed(t); code != 3001 {
			t.Errorf("counted %d", code)
		}
	})
}

// TestRateOfV1 has publishes refused, and nothing else.
func TestRateOfV1(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := limited(t, 2)
		claims := map[string]any{"mode": "rw"}
		p, other := r.speak(t, claims), r.speak(t, claims)
		publish := func(id int) string { return fmt.Sprintf(`{"id":%d,"op":"publish","channel":"a","payload":%d}`, id, id) }
		refused := func(id int) string {
			return fmt.Sprintf(`{"id":%d,"op":"error","code":"rate_limited","message":"too many messages"}`, id)
		}
		taken := func(p *peer, id int) {
			t.Helper()
			(<-r.messages).Done(int64(id), nil)
			p.expect(t, fmt.Sprintf(`{"id":%d,"op":"ok","message_delivered_at":0.00000%d}`, id, id))
		}
		for range 3 {
			p.renew(t, r, 0)
			p.say(t, `{"id":1,"op":"subscribe","channels":["b"]}`, `{"id":2,"op":"unsubscribe","channels":["b"]}`)
			p.expect(t, `{"id":1,"op":"ok","channels":["b"],"position":"P"}`, `{"id":2,"op":"ok"}`)
		}
		p.say(t, publish(1), publish(2), publish(3), publish(4))
		p.expect(t, refused(3), refused(4))
		taken(p, 1)
		taken(p, 2)
		other.say(t, publish(5))
		taken(other, 5)
		<-time.After(500 * time.Millisecond)
		p.say(t, publish(6), publish(7))
		p.expect(t, refused(7))
		taken(p, 6)
	})
}

// TestRateOfPosts has who sends by POST be limited by its token.
func TestRateOfPosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := limited(t, 2)
		token := r.token(t, map[string]any{"mode": "w"})
		go func() {
			for m := range r.messages {
				m.Done(1, nil)
			}
		}()
		defer close(r.messages)
		ask := func(headers, query string) (status int, text string) {
			t.Helper()
			response := r.connect(t).ask(t, posting("/a"+query, headers, `{"op":"publish","payload":1}`))
			if retry := response.Header.Get("Retry-After"); (retry != "") != (response.StatusCode == http.StatusTooManyRequests) {
				t.Errorf("Retry-After: %q", retry)
			}
			return response.StatusCode, body(t, response)
		}
		bearer, cookie := "Authorization: Bearer "+token+"\r\n", "Sec-WebSocket-Protocol: pgws.v1, pgws.bearer."+token+"\r\n"
		for range 2 {
			ask(bearer, "") // whatever becomes of them
		}
		for query, want := range map[string]string{
			"": "Error: too many messages", "?protocol=pgws.v1": "{\"op\":\"error\",\"code\":\"rate_limited\",\"message\":\"too many messages\"}\n",
		} {
			for _, headers := range []string{bearer, cookie} {
				if status, text := ask(headers, query); status != http.StatusTooManyRequests || text != want {
					t.Errorf("got %d %q", status, text)
				}
			}
		}
		another := "Authorization: Bearer " + r.token(t, map[string]any{"mode": "w", "sub": "another"}) + "\r\n"
		if status, text := ask(another, ""); status != http.StatusOK {
			t.Errorf("another client: %d %q", status, text)
		}
		<-time.After(500 * time.Millisecond)
		if status, text := ask(bearer, "?protocol=pgws.v1"); status != http.StatusOK {
			t.Errorf("later: %d %q", status, text)
		}
	})
}

// TestTally follows what is kept of tokens, and that to forget one gives it nothing.
func TestTally(t *testing.T) {
	t.Parallel()
	const rate = 4
	s := &Server{Options: Options{MessageRate: rate}}
	now := time.Unix(0, 0)
	taken := 0
	const steps = 10_000 // of a millisecond
	for i := range steps {
		now = now.Add(time.Millisecond)
		if s.allow("greedy", now) {
			taken++
		}
		s.allow(fmt.Sprint("once ", i), now)
		if n := len(s.tally.recent) + len(s.tally.past); n > 2*(1000+1) {
			t.Fatalf("%d tokens are kept", n)
		}
	}
	if most := rate + rate*steps/1000; taken < most-1 || taken > most {
		t.Errorf("%d were taken, want %d", taken, most)
	}
	for key := range s.tally.recent { // not the tokens themselves
		if strings.Contains(string(key[:]), "once") || len(key) != sha256.Size {
			t.Errorf("kept %q", key)
		}
	}
	if unlimited := new(Server); !unlimited.allow("t", now) || unlimited.tally.recent != nil || unlimited.newLimiter() != nil {
		t.Error("limited without a limit")
	}
}

// TestReceiverIsNotLimited has who may not send talk on: it is heard by nobody.
func TestReceiverIsNotLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := limited(t, 1)
		p := r.upgrade(t, "/a/"+r.token(t, map[string]any{"mode": "r"}), askUpgrade)
		start := time.Now()
		p.say(t, "1", "2", "3", "4", "5")
		p.send(t, ws.NewPingFrame([]byte("?")))
		if f := p.next(t); f.Header.OpCode != ws.OpPong {
			t.Errorf("got %v", f.Header.OpCode)
		}
		checkTime(t, start, 0)
	})
}
