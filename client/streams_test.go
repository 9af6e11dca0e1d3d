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
	for _, want := range []string{"a gap", "b gap", "a 1", "b 2"} {
		m := next(t, s)
		got := m.Channel + " " + m.Text()
		if m.Gap {
			got = m.Channel + " gap"
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
