package bench

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPayload(t *testing.T) {
	t.Parallel()
	sent := message{kind: measured, sender: 12, number: 123456}
	payload := sent.payload("chat", 200)
	if len(payload) != 200 {
		t.Errorf("length %d, want 200", len(payload))
	}
	var notification struct{ Channel, Payload string }
	if err := json.Unmarshal([]byte(payload), &notification); err != nil || notification.Channel != "chat" {
		t.Errorf("%s: channel %q, error %v", payload, notification.Channel, err)
	}
	got, err := parsePayload([]byte(payload), "chat")
	if diff := cmp.Diff(sent, got, cmp.AllowUnexported(message{})); diff != "" || err != nil {
		t.Errorf("error %v, (-want +got):\n%s", err, diff)
	}
	for _, other := range []string{"", "{}", payload[:30], sent.payload("chap", 0), `{"channel":"chat","payload":"m00001x000000000"}`} {
		if _, err := parsePayload([]byte(other), "chat"); !errors.Is(err, errText) {
			t.Errorf("%q: error %v", other, err)
		}
	}
}

func TestParseRelayed(t *testing.T) {
	t.Parallel()
	text := string(message{kind: measured, sender: 7, number: 9}.appendText(nil))
	cases := map[string]struct {
		notification string
		ok           bool
	}{
		"as pgws writes it":    {`{"event":"WebsocketMessage","channel":"bench-1","payload":"` + text + `...","claims":{}}`, true},
		"in another order":     {`{"payload":"` + text + `...","event":"WebsocketMessage","channel":"bench-1"}`, true},
		"another channel":      {`{"channel":"bench-2","payload":"` + text + `..."}`, false},
		"a meta event":         {`{"event":"ConnectionOpen","channel":"meta","payload":"bench-1","claims":{"channel":"bench-1"}}`, false},
		"not in digits":        {`{"channel":"bench-1","payload":"` + text[:8] + `x` + text[9:] + `..."}`, false},
		"of somebody else":     {`hello`, false},
		"a payload cut short":  {`{"channel":"bench-1","payload":"` + text[:9], false},
		"shorter than it was":  {`{"channel":"bench-1","payload":"` + text + `.."}`, false},
		"longer than it was":   {`{"channel":"bench-1","payload":"` + text + `...."}`, false},
		"an unknown kind of m": {`{"channel":"bench-1","payload":"x` + text[1:] + `..."}`, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, ok := parseRelayed(c.notification, "bench-1", `..."`)
			if ok != c.ok || ok && (m.sender != 7 || m.number != 9) {
				t.Errorf("got %+v, %v, want %v", m, ok, c.ok)
			}
		})
	}
}
