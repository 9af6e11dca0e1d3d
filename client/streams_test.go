package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"pgws/client"
)

// answerPost answers whatever is posted as a server does that is there.
func answerPost(w http.ResponseWriter) {
	_, _ = io.WriteString(w, `{"id":0,"op":"error","code":"bad_request","message":"only publish can be posted"}`)
}

// A stream whose token has expired goes on with a new one where it was, also when there was no message yet. What cannot be
// had again is a gap.
func TestStreamGoesOn(t *testing.T) {
	t.Parallel()
	var streams, tokens atomic.Int32
	const expired = `{"op":"close","code":3001,"reason":"JWT expired"}`
	script := []struct {
		since  string
		frames []string
	}{
		{"", []string{`{"op":"ready","channels":["a","b"],"position":"7"}`, expired}},
		{"7", []string{`{"op":"ready","channels":["a","b"],"position":"9","resumed":false}`, expired}},
		{"9", []string{`{"op":"ready","channels":["a","b"],"position":"9","resumed":true}`, `{"op":"message","channel":"a","position":"10","payload":1}`, expired}},
		{"10", []string{`{"op":"ready","channels":["a","b"],"position":"12","resumed":true}`, `{"op":"message","channel":"b","position":"11","payload":2}`}},
	}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") != "":
			forbid(w, r)
			return
		case r.Method == http.MethodPost:
			answerPost(w)
			return
		}
		i := int(streams.Add(1)) - 1
		if i >= len(script) {
			t.Errorf("there is a stream %d", i)
			return
		}
		if got := r.Header.Get("Last-Event-ID"); got != script[i].since {
			t.Errorf("stream %d begins at %q, want %q", i, got, script[i].since)
		}
		if got, want := r.Header.Get("Authorization"), fmt.Sprint("Bearer token ", tokens.Load()); got != want {
			t.Errorf("stream %d comes with %q, want %q", i, got, want)
		}
		if got := strings.Join(r.URL.Query()["channel"], ","); got != "a,b" {
			t.Errorf("stream %d is for %q", i, got)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, frame := range script[i].frames {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", frame)
		}
		_ = http.NewResponseController(w).Flush()
		if i == len(script)-1 {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(host.Close)
	c := dial(t, client.Options{URL: host.URL, Token: func(context.Context) (string, error) {
		return fmt.Sprint("token ", tokens.Add(1)), nil
	}})
	s := subscribe(t, c, "a", "b")
	for _, want := range []string{"a gap 9", "b gap 9", "a 1 10", "b 2 11"} {
		m := next(t, s)
		got := m.Channel + " " + m.Text() + " " + m.Position
		if m.Gap {
			got = m.Channel + " gap " + m.Position
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A message that is refused since the token has expired was not sent, and the next goes by a new token.
func TestPublishStale(t *testing.T) {
	t.Parallel()
	var refused, asked atomic.Int32
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		switch {
		case r.Header.Get("Upgrade") != "":
			forbid(w, r)
		case !strings.Contains(string(body), `"publish"`):
			answerPost(w)
		case r.Header.Get("Authorization") == "Bearer new":
			_, _ = io.WriteString(w, `{"op":"ok","message_delivered_at":1}`)
		default:
			refused.Add(1)
			_, _ = io.WriteString(w, `{"op":"error","code":"unauthorized","message":"it has expired"}`)
		}
	}))
	t.Cleanup(host.Close)
	c := dial(t, client.Options{URL: host.URL, Token: func(context.Context) (string, error) {
		// It has the new one when it is asked for the second time after the refusal.
		if refused.Load() > 0 && asked.Add(1) > 1 {
			return "new", nil
		}
		return "old", nil
	}})
	_, err := publish(t, c, "a", "")
	if e := asError(t, err); e.Code != client.Unauthorized || e.Uncertain {
		t.Errorf("got %v", err)
	}
	_, err = publish(t, c, "a", "")
	check(t, err)
	if refused, asked := refused.Load(), asked.Load(); refused != 1 || asked != 2 {
		t.Errorf("refused %d times, asked %d times", refused, asked)
	}
}
