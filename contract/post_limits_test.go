package contract_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// A token may send so many messages a second by POST, whoever has it. What is over that is refused and not sent.
func TestPostRate(t *testing.T) {
	t.Parallel()
	const rate = 5
	s := start(t, env{"PGWS_MESSAGE_RATE": fmt.Sprint(rate)})
	heard := s.listen(t)
	since := time.Now()
	accepted, limited := map[string]bool{}, 0
	send := func(text, claims string) int {
		t.Helper()
		a := s.ask(t, posting("/chat", claims, text))
		switch a.status {
		case http.StatusOK:
			a.receipt()
			accepted[text] = true
		default:
			a.expectRefusal(http.StatusTooManyRequests)
			limited++
		}
		return a.status
	}
	for n := range 10 * rate {
		send(fmt.Sprint("message ", n), `{"mode":"w","sub":"ann"}`)
	}
	if most := rate + rate*time.Since(since).Seconds(); limited == 0 || float64(len(accepted)) > most+1 || len(accepted) < rate {
		t.Errorf("%d are accepted in %v, and %d refused", len(accepted), time.Since(since), limited)
	}
	if status := send("of another", `{"mode":"w","sub":"bob"}`); status != http.StatusOK {
		t.Errorf("another token is answered %d", status)
	}
	t.Log("A frame is refused by a frame.")
	frame := attempt{transport: framedPost, channel: "chat", address: "/chat"}
	byHeader(&frame, token(`{"mode":"w","sub":"ann"}`))
	programtest.Eventually(t, "a frame is too many", func() bool {
		a := s.ask(t, frame.request())
		text := a.text()
		if a.status == http.StatusOK {
			accepted["hello"] = true
			return false
		}
		frame.refusedFrame(t, text, a.status)
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "1" {
			t.Fatalf("answered %d %v %q", a.status, a.header, text)
		}
		return true
	})
	t.Log("In time it may send again.")
	programtest.Eventually(t, "it may send again", func() bool { return send("again", `{"mode":"w","sub":"ann"}`) == http.StatusOK })
	arrived := map[string]bool{}
	for !arrived["again"] {
		text := parseMessage(t, heard.receive()).Payload
		arrived[text] = true
		if !accepted[text] {
			t.Errorf("%q was refused, and has arrived", text)
		}
	}
}

// While the queue to PostgreSQL is full a message is refused, and is not sent later either.
func TestPostWhileQueueIsFull(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	network, through := behindProxy(t, uri)
	s := start(t, env{"PGWS_DB_URI": through, "PGWS_QUEUE_BYTES": "64KiB", "PGWS_ADMIN_ADDR": freeAddress(t)})
	sender, watcher := s.dial(t, "/chat/"+token(`{"mode":"w"}`)), s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	sender.send("before")
	watcher.expectPayloads([]string{"before"})
	network.slow(2000)
	texts := numbered(strings.Repeat("x", 7000), 30)
	sender.send(texts...)
	s.awaitReady(t, false)
	s.ask(t, posting("/chat", anybody, strings.Repeat("y", 7000))).expectRefusal(http.StatusServiceUnavailable)
	watcher.expectPayloads(texts)
	check(t, network.Toxics.RemoveToxic(t.Context(), "slow"))
	s.ask(t, posting("/chat", anybody, "after")).receipt()
	watcher.expectPayloads([]string{"after"})
}

// While the database is away a message is refused at once, and is not sent later either.
func TestPostWhileDatabaseIsAway(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Private(t, devpg.Options{})
	s := start(t, env{"PGWS_DB_URI": cluster.URI(), "PGWS_CHECK_LISTENER_INTERVAL": "1000", "PGWS_ADMIN_ADDR": freeAddress(t)})
	s.awaitReady(t, true)
	watcher := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	s.ask(t, posting("/chat", anybody, "before")).receipt()
	watcher.expectPayloads([]string{"before"})
	check(t, cluster.Stop(t.Context(), devpg.Fast))
	s.awaitReady(t, false)
	for range 5 {
		s.ask(t, posting("/chat", anybody, "lost")).expectRefusal(http.StatusServiceUnavailable)
		frame := attempt{transport: framedPost, channel: "chat", address: "/chat"}
		byHeader(&frame, token(anybody))
		frame.fails(t, s, refused{http.StatusServiceUnavailable, "Error: …", false})
	}
	t.Log("What is wrong with a request is told before.")
	s.ask(t, posting("/chat", `{"mode":"r"}`, "lost")).expectRefusal(http.StatusForbidden)
	s.ask(t, posting("/chat", anybody, "\xff")).expectRefusal(http.StatusBadRequest)
	s.ask(t, posting("/chat", anybody, strings.Repeat("x", 8000))).expectRefusal(http.StatusRequestEntityTooLarge)
	check(t, cluster.Start(t.Context()))
	s.awaitReady(t, true)
	programtest.Eventually(t, "a message is taken", func() bool {
		a := s.ask(t, posting("/chat", anybody, "after"))
		a.text()
		return a.status == http.StatusOK
	})
	watcher.expectPayloads([]string{"after"})
	s.ask(t, posting("/chat", anybody, "the end")).receipt()
	for m := watcher.receiveMessage(); m.Payload != "the end"; m = watcher.receiveMessage() {
		t.Errorf("then came %+v", m)
	}
}
