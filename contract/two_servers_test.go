package contract_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/devpg/pgtest"
)

// Two servers on one database are one: what is sent to either reaches the clients of both, once, in one order.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	one, two := start(t, env{"PGWS_DB_URI": uri}), start(t, env{"PGWS_DB_URI": uri})
	apart := start(t, env{"PGWS_DB_URI": uri, "PGWS_LISTEN_CHANNEL": "another"})
	clients := []*client{one.dial(t, "/chat/"+token(anybody)), two.dial(t, "/chat/"+token(anybody))}
	stranger := apart.dial(t, "/chat/"+token(anybody))

	const count = 1000
	for i := range count {
		clients[i%2].send(fmt.Sprint(i))
	}
	one.notify(t, `{"channel":"chat","from":"SQL"}`)
	var received [2][]string
	for i, c := range clients {
		seen := map[string]int{}
		next := [2]int{0, 1} // of each sender
		for range count {
			text := c.receive()
			received[i] = append(received[i], text)
			if text == `{"channel":"chat","from":"SQL"}` {
				text = c.receive()
				received[i] = append(received[i], text)
			}
			m := parseMessage(t, text)
			seen[m.Payload]++
			var n int
			_, err := fmt.Sscan(m.Payload, &n)
			check(t, err)
			if n != next[n%2] {
				t.Fatalf("client %d got %d, want %d", i, n, next[n%2])
			}
			next[n%2] += 2
		}
		if len(received[i]) == count {
			received[i] = append(received[i], c.receive())
		}
		if len(seen) != count {
			t.Errorf("client %d got %d different messages", i, len(seen))
		}
		c.expectPong()
	}
	if diff := cmp.Diff(received[0], received[1]); diff != "" {
		t.Errorf("the clients of the two servers differ:\n%s", diff)
	}
	stranger.send("hello")
	if got := stranger.receiveMessage().Payload; got != "hello" {
		t.Errorf("the client of another PGWS_LISTEN_CHANNEL got %q", got)
	}
}
