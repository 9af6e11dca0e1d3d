package contract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// While PostgreSQL is away a message is refused, and never sent. The connection stays, and serves for all else.
func TestV1DatabaseAway(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Private(t, devpg.Options{})
	s := start(t, env{"PGWS_DB_URI": cluster.URI(), "PGWS_CHECK_LISTENER_INTERVAL": "1000", "PGWS_ADMIN_ADDR": freeAddress(t)})
	c, _ := s.speak(t, "/a", token(anybody))
	s.awaitReady(t, true)
	for _, mode := range []devpg.Mode{devpg.Fast, devpg.Immediate} {
		check(t, cluster.Stop(t.Context(), mode))
		s.awaitReady(t, false)
		for range 10 {
			c.expectError(publishing("a", "while it is away"), "unavailable")
		}
		c.expectOK(subscribing("b"))
		c.expectOK(authorizing(token(anybody)))
		c.expectOK(unsubscribing("b"))
		other, _ := s.speak(t, "/", token(anybody))
		other.expectError(publishing("a", "while it is away"), "unavailable")

		check(t, cluster.Start(t.Context()))
		c.expectGap("a")
		s.awaitReady(t, true)
		c.send(`{"id":"back","op":"publish","channel":"a","payload":"when it is back"}`)
		c.expectAnswered("back", "when it is back")
	}
}

// expectGap wants to be told that messages of a channel may be missed.
func (c *v1Client) expectGap(channel string) {
	c.t.Helper()
	f := c.hear()
	if f.Position == "" {
		c.t.Errorf("a gap without a position: %+v", f)
	}
	if diff := cmp.Diff(v1Frame{Op: "gap", Channel: channel, Position: f.Position}, f); diff != "" {
		c.t.Errorf("gap (-want +got):\n%s", diff)
	}
}

// expectAnswered wants an answer and a message, in any order, and nothing else.
func (c *v1Client) expectAnswered(id, payload string) {
	c.t.Helper()
	got := map[string]string{}
	for range 2 {
		f := c.hear()
		if f.Op == "error" {
			c.t.Fatalf("%s is answered %+v", f.ID, f)
		}
		if f.Op == "message" {
			got["message"] = parseMessage(c.t, string(f.Payload)).Payload
		} else {
			got[string(f.ID)] = f.Op
		}
	}
	if diff := cmp.Diff(map[string]string{mustJSON(id): "ok", "message": payload}, got); diff != "" {
		c.t.Errorf("(-want +got):\n%s", diff)
	}
	c.expectQuiet()
}

// When the queue to PostgreSQL is full, a message is refused after a short wait, and never sent. One that was taken, and
// that PostgreSQL has not answered for 10 seconds, is uncertain.
func TestV1DatabaseSilent(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	network, through := behindProxy(t, uri)
	s := start(t, env{"PGWS_DB_URI": through, "PGWS_QUEUE_BYTES": "64KiB", "PGWS_CHECK_LISTENER_INTERVAL": "60000",
		"PGWS_ADMIN_ADDR": freeAddress(t)})
	c, _ := s.speak(t, "/a", token(anybody))
	watcher, _ := s.speak(t, "/a", token(`{"mode":"r"}`))
	c.send(`{"id":"first","op":"publish","channel":"a","payload":"before"}`)
	c.expectAnswered("first", "before")
	watcher.expectSaid("before")

	network.silence()
	began := time.Now()
	text, taken := c.request(publishing("a", "taken"))
	c.send(text)
	crowd, filling := s.dial(t, "/crowd/"+token(`{"mode":"w"}`)), strings.Repeat("x", 7000)
	ofCrowd := s.dial(t, "/crowd/"+token(`{"mode":"r"}`))
	crowd.send(numbered(filling, 30)...)
	programtest.Eventually(t, "the queue is full", func() bool { _, body := s.ready(t); return strings.Contains(body, "queue") })
	answer := c.ask(publishing("a", filling))
	if diff := cmp.Diff(v1Frame{Op: "error", Code: "unavailable"}, answer); diff != "" {
		t.Errorf("the queue is full (-want +got):\n%s", diff)
	}
	answer = c.hear()
	if string(answer.ID) != taken || answer.Code != "unavailable" || !answer.Uncertain || answer.Message == "" {
		t.Errorf("a message that was taken is answered %+v", answer)
	}
	if waited := time.Since(began); waited < 10*time.Second {
		t.Errorf("it is given up after %v", waited)
	}

	network.speak()
	for _, v := range []*v1Client{watcher, c} { // There is no second answer.
		v.expectGap("a")
		v.expectSaid("taken")
	}
	ofCrowd.expectPayloads(numbered(filling, 30)) // The queue has room again.
	s.awaitReady(t, true)
	c.send(`{"id":"last","op":"publish","channel":"a","payload":"after"}`)
	c.expectAnswered("last", "after")
	watcher.expectSaid("after")
	watcher.expectQuiet()
}
