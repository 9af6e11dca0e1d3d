package contract_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// A posted is what has become of a message.
type posted struct {
	text  string
	stamp json.Number // of its receipt; empty: it was refused
	err   error
}

// post publishes a text as programs do. It may run beside the test.
func (s *server) post(ctx context.Context, client *http.Client, text string) posted {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.addr+"/chat", strings.NewReader(text))
	if err != nil {
		return posted{err: err}
	}
	r.Header.Set("Authorization", "Bearer "+token(anybody))
	response, err := client.Do(r)
	if err != nil {
		return posted{err: err}
	}
	defer response.Body.Close()
	var got receipt
	switch response.StatusCode {
	case http.StatusOK:
		err = json.NewDecoder(response.Body).Decode(&got)
		return posted{text, got.DeliveredAt, err}
	case http.StatusServiceUnavailable:
		return posted{text: text}
	}
	return posted{err: fmt.Errorf("%q is answered %s", text, response.Status)}
}

// However often PostgreSQL ends the server's sessions: what has a receipt has arrived, with that stamp, and what was
// refused never arrives.
func TestPostThroughLosses(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_CHECK_LISTENER_INTERVAL": "60000"}) // A loss is noticed at once.
	watcher := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	const senders, each, losses = 4, 150, 6
	results := make(chan posted)
	for sender := range senders {
		go func() {
			client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n, try := 0, 0; n < each; try++ {
				p := s.post(t.Context(), client, fmt.Sprint("sender ", sender, ", try ", try))
				results <- p
				if p.stamp != "" || p.err != nil {
					n++
				}
			}
		}()
	}
	receipts, refusals := map[string]json.Number{}, map[string]bool{}
	for answered := 0; answered < senders*each; {
		p := <-results
		switch {
		case p.err != nil:
			t.Error(p.err)
		case p.stamp == "":
			refusals[p.text] = true
			continue
		}
		receipts[p.text] = p.stamp
		if answered++; answered%(senders*each/losses) == 1 {
			s.terminate(t)
		}
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	programtest.Eventually(t, "the last message is taken", func() bool {
		p := s.post(t.Context(), client, "the end")
		check(t, p.err)
		return p.stamp != ""
	})
	arrived := map[string]json.Number{}
	for {
		m := watcher.receiveMessage()
		if m.Payload == "the end" {
			break
		}
		stamp := m.Claims["message_delivered_at"].(json.Number)
		if refusals[m.Payload] || arrived[m.Payload] != "" && arrived[m.Payload] != stamp {
			t.Errorf("%q (refused: %v) has arrived at %s, and at %s", m.Payload, refusals[m.Payload], stamp, arrived[m.Payload])
		}
		arrived[m.Payload] = stamp
	}
	if diff := cmp.Diff(receipts, arrived); diff != "" {
		t.Errorf("messages (-by receipt +arrived):\n%s", diff)
	}
	t.Logf("%d were refused", len(refusals))
}

// When PostgreSQL does not answer for 10 seconds, nobody can say whether the message arrives. Here it does.
func TestPostUncertain(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	network, through := behindProxy(t, uri)
	s := start(t, env{"PGWS_DB_URI": through, "PGWS_CHECK_LISTENER_INTERVAL": "60000"})
	s.uri = uri
	watcher := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	s.ask(t, posting("/chat", anybody, "before")).receipt()
	network.silence()
	frame := attempt{transport: framedPost, channel: "chat", address: "/chat"}
	byHeader(&frame, token(anybody))
	plain, framed := s.send(t, posting("/chat", anybody, "plain")), s.send(t, frame.request())
	plain.read().expectRefusal(http.StatusGatewayTimeout)
	got := framed.read()
	if text := frame.refusedFrame(t, got.text(), got.status); got.status != http.StatusGatewayTimeout {
		t.Errorf("a frame is answered %d %q", got.status, text)
	}
	network.speak()
	watcher.expectPayloads([]string{"before"})
	arrived := map[string]bool{} // in any order: they are of two senders
	for !arrived["plain"] || !arrived["hello"] {
		arrived[watcher.receiveMessage().Payload] = true
	}
}

// A message that is under way when the server is told to stop has its receipt before the server ends.
func TestPostWhileStopping(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	network, through := behindProxy(t, uri)
	s := start(t, env{"PGWS_DB_URI": through, "PGWS_ADMIN_ADDR": freeAddress(t)})
	s.uri = uri
	heard := s.listen(t)
	s.ask(t, posting("/chat", anybody, "before")).receipt()
	heard.receive()
	network.slow(200)
	last := s.send(t, posting("/chat", anybody, "last"))
	programtest.Eventually(t, "it is under way", func() bool {
		_, _, figures := (&server{addr: s.admin}).get(t, "/metrics")
		return strings.Contains(figures, "\npgws_messages_received_total 2\n")
	})
	s.Signal(t, syscall.SIGTERM)
	got := last.read().receipt()
	m := parseMessage(t, heard.arrived())
	if m.Payload != "last" || m.Claims["message_delivered_at"] != got.DeliveredAt {
		t.Errorf("PostgreSQL was sent %+v, the receipt is %+v", m, got)
	}
	if status := s.wait(t); status != 0 {
		t.Errorf("the status is %d", status)
	}
}
