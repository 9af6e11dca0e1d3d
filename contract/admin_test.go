package contract_test

import (
	"net/http"
	"strings"
	"testing"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// The admin listener tells apart that the server lives and that it can deliver, and counts. No token is in its figures.
// That readiness tells of a lost database is part of TestDatabaseAway.
func TestAdmin(t *testing.T) {
	t.Parallel()
	network, through := behindProxy(t, pgtest.Database(t))
	s := start(t, env{"PGWS_DB_URI": through, "PGWS_ADMIN_ADDR": freeAddress(t), "PGWS_QUEUE_BYTES": "64KiB"})
	admin := &server{addr: s.admin}
	s.awaitReady(t, true)
	c := s.dial(t, "/chat/"+token(anybody))
	s.refuse(t, "/chat/"+token(`{}`))
	c.send("counted")
	c.receive()
	status, header, figures := admin.get(t, "/metrics")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
		t.Errorf("/metrics is answered %d %v", status, header)
	}
	for _, figure := range []string{"pgws_sessions 1\n", "pgws_messages_received_total 1\n", `pgws_refusals_total{reason="missing_mode"} 1` + "\n",
		"pgws_listener_up 1\n", "pgws_publications_total 1\n"} {
		if !strings.Contains(figures, "\n"+figure) {
			t.Errorf("/metrics has no %s", figure)
		}
	}
	if found := tokenPattern.FindString(figures); found != "" {
		t.Errorf("/metrics shows a token: %s", found)
	}
	if status, _, _ := admin.get(t, "/live"); status != http.StatusOK {
		t.Errorf("/live is answered %d", status)
	}

	t.Log("It is not ready while senders wait for room in the queue, and still lives.")
	network.slow(1000)
	texts := numbered(strings.Repeat("x", 7000), 30)
	c.send(texts...)
	programtest.Eventually(t, "it tells of the queue", func() bool {
		status, body := s.ready(t)
		return status == http.StatusServiceUnavailable && strings.Contains(body, "queue")
	})
	if status, _, _ := admin.get(t, "/live"); status != http.StatusOK {
		t.Errorf("/live is answered %d", status)
	}
	c.expectPayloads(texts)
	s.awaitReady(t, true)
}
