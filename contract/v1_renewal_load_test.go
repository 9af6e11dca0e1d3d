package contract_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// Connections that renew their tokens all the time lose no message, see none twice, and see all in order.
func TestV1RenewalUnderLoad(t *testing.T) {
	t.Parallel()
	const connections, messages = 20, 2000
	s := start(t, nil)
	channels := []string{"a", "b", "c", "d"}
	tokens := []string{
		token(`{"mode":"rw","channels":["a","b","c","d"],"exp":4000000000}`),
		token(`{"mode":"r"}`),
		token(`{"mode":"r","channels":["d","x","c","b","a"],"echo":false}`),
		token(`{"mode":"rw","channel":"a","channels":["d","c","b"],"exp":` + in(3600) + `}`),
	}
	var all atomic.Int64
	var begun, ended sync.WaitGroup
	for i := range connections {
		c, _ := s.speak(t, "/a", tokens[i%len(tokens)])
		c.expectOK(subscribing("b", "c", "d"))
		begun.Add(1)
		ended.Go(func() {
			renewals, err := c.renewWhileReading(tokens, begun.Done, messages)
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
			all.Add(int64(renewals))
		})
	}
	begun.Wait()
	conn := connect(t, s.uri)
	const together = 20 // in a transaction: singly, they would wait for a processor that renews tokens
	for first := 0; first < messages; first += together {
		var payloads []string
		for n := range together {
			payloads = append(payloads, numberFor(channels[n%len(channels)], first+n))
		}
		_, err := conn.Exec(t.Context(), "select pg_notify($1, payload) from unnest($2::text[]) payload", s.channel, payloads)
		check(t, err)
	}
	ended.Wait()
	t.Logf("%d renewals", all.Load())
}

// renewWhileReading renews the token whenever the last renewal is answered, until all messages have come. It tells of
// its first renewal.
func (c *v1Client) renewWhileReading(tokens []string, begun func(), messages int) (renewals int, err error) {
	tell := sync.OnceFunc(begun)
	defer tell()
	if err := c.conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return 0, err
	}
	renew := func() error {
		renewals++
		text, _ := c.request(authorizing(tokens[renewals%len(tokens)]))
		_, err := c.conn.Write(masked(textFrame(text)))
		return err
	}
	if err := renew(); err != nil {
		return 0, err
	}
	for next := 0; next < messages; {
		frame, err := ws.ReadFrame(c.in)
		if err != nil {
			return renewals, fmt.Errorf("before message %d: %w", next, err)
		}
		if frame.Header.OpCode == ws.OpPing {
			continue
		}
		var f v1Frame
		if err := json.Unmarshal(frame.Payload, &f); err != nil {
			return renewals, fmt.Errorf("the frame %+v %q: %w", frame.Header, frame.Payload, err)
		}
		switch {
		case f.Op == "message":
			n, err := numberIn(f)
			if err != nil || n != next {
				return renewals, fmt.Errorf("got %s, want number %d", frame.Payload, next)
			}
			next++
		case f.Op == "ok" && string(f.ID) == fmt.Sprint(c.asked) && len(f.Channels) == 4:
			tell()
			if err := renew(); err != nil {
				return renewals, err
			}
		default:
			return renewals, fmt.Errorf("got %s", frame.Payload)
		}
	}
	return renewals, nil
}
