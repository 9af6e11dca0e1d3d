package contract_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// A refused is how the server says no. A text that ends with … is the beginning only.
type refused struct {
	status int
	text   string
	plain  bool // in plain text on a websocket of pgws.v1, too: it is not the token that is refused
}

// fails carries an attempt out, which must be refused in the words of its transport.
func (a attempt) fails(t *testing.T, s *server, want refused) {
	t.Helper()
	got := s.ask(t, a.request())
	if a.way == websocket && a.v1 && !want.plain && (want.status == http.StatusUnauthorized || want.status == http.StatusForbidden) {
		a.turnedAway(t, got, want)
		return
	}
	body := got.text()
	kind := "text/plain; charset=utf-8"
	if a.way == post && a.v1 {
		kind = "application/json"
		body = a.refusedFrame(t, body, want.status)
	}
	if got.status != want.status || !want.says(body) {
		t.Errorf("refused with %d %q, want %d %q", got.status, body, want.status, want.text)
	}
	if got := got.header.Get("Content-Type"); got != kind {
		t.Errorf("the body is %q", got)
	}
	challenge, retry := "", ""
	switch want.status {
	case http.StatusUnauthorized:
		challenge = "Bearer"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		retry = "1"
	}
	if scheme := got.header.Get("WWW-Authenticate"); scheme != challenge {
		t.Errorf("WWW-Authenticate: %q, want %q", scheme, challenge)
	}
	if after := got.header.Get("Retry-After"); after != retry {
		t.Errorf("Retry-After: %q, want %q", after, retry)
	}
}

func (want refused) says(text string) bool {
	beginning, open := strings.CutSuffix(want.text, "…")
	return strings.HasPrefix(text, beginning) && (open || text == beginning)
}

// turnedAway wants a websocket of pgws.v1 that is opened to be closed.
func (a attempt) turnedAway(t *testing.T, got *answer, want refused) {
	t.Helper()
	if got.status != http.StatusSwitchingProtocols {
		t.Fatalf("answered %d %v: %s", got.status, got.header, got.text())
	}
	if selected := got.header.Values("Sec-WebSocket-Protocol"); !cmp.Equal(selected, []string{"pgws.v1"}) {
		t.Errorf("the subprotocol is %q", selected)
	}
	c := &v1Client{client: newClient(t, got.conn, got.in)}
	if a.first != "" {
		answer := c.ask(authorizing(a.first))
		if diff := cmp.Diff(v1Frame{Op: "error", Code: codes[want.status]}, answer); diff != "" {
			t.Errorf("auth is answered (-want +got):\n%s", diff)
		}
	}
	code := ws.StatusCode(3000)
	if want.status == http.StatusForbidden {
		code = 3003
	}
	if reason := c.expectClose(code); !want.says(plainText(t, reason)) {
		t.Errorf("the reason is %q, want %q", reason, want.text)
	}
}

// codes are those of pgws.v1 for what HTTP calls otherwise.
var codes = map[int]string{
	http.StatusBadRequest:            "bad_request",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "forbidden",
	http.StatusRequestEntityTooLarge: "too_large",
	http.StatusTooManyRequests:       "rate_limited",
	http.StatusServiceUnavailable:    "unavailable",
	http.StatusGatewayTimeout:        "unavailable",
}

// refusedFrame wants the frame of an error and returns its message as it is in plain text.
func (a attempt) refusedFrame(t *testing.T, body string, status int) (text string) {
	t.Helper()
	var f v1Frame
	if err := json.Unmarshal([]byte(body), &f); err != nil {
		t.Fatalf("answered %q: %v", body, err)
	}
	text = f.Message
	want := v1Frame{Op: "error", Code: codes[status], Message: text, ID: f.ID, Uncertain: status == http.StatusGatewayTimeout}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("the frame (-want +got):\n%s", diff)
	}
	return plainText(t, text)
}

// plainText returns what pgws.v1 says as it is in plain text.
func plainText(t *testing.T, message string) string {
	t.Helper()
	switch {
	case strings.HasPrefix(message, "Error:"):
		t.Errorf("the message is %q", message)
	case strings.HasPrefix(message, "the token does not grant the channel "):
		return "No allowed channels"
	case message == "Token expired", message == "Missing mode":
		return message
	}
	return "Error: " + message
}
