package protocol_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgws/internal/protocol"
)

func TestAppendMessage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ channel, payload, want string }{
		"JSON":           {"a", `{"x":1}`, `{"op":"message","channel":"a","position":"e-1","payload":{"x":1}}`},
		"as it is":       {"a", ` [1.10, "\u0041<"] `, `{"op":"message","channel":"a","position":"e-1","payload": [1.10, "\u0041<"] }`},
		"a JSON string":  {"a", `"x"`, `{"op":"message","channel":"a","position":"e-1","payload":"x"}`},
		"a number":       {"a", `12`, `{"op":"message","channel":"a","position":"e-1","payload":12}`},
		"text":           {"a", `hello`, `{"op":"message","channel":"a","position":"e-1","payload":"hello"}`},
		"empty":          {"a", ``, `{"op":"message","channel":"a","position":"e-1","payload":""}`},
		"nearly JSON":    {"a", `{"x":1`, `{"op":"message","channel":"a","position":"e-1","payload":"{\"x\":1"}`},
		"two":            {"a", `1 2`, `{"op":"message","channel":"a","position":"e-1","payload":"1 2"}`},
		"controls":       {"a", "a\n\x00\x1f", `{"op":"message","channel":"a","position":"e-1","payload":"a\n\u0000\u001f"}`},
		"a channel":      {"ä\"\\\n", `1`, `{"op":"message","channel":"ä\"\\\n","position":"e-1","payload":1}`},
		"a line end":     {"a", "[1,\n2]", "{\"op\":\"message\",\"channel\":\"a\",\"position\":\"e-1\",\"payload\":[1,\n2]}"},
		"NaN is no JSON": {"a", `NaN`, `{"op":"message","channel":"a","position":"e-1","payload":"NaN"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(protocol.AppendMessage([]byte("before "), test.channel, []byte("e-1"), test.payload)); got != "before "+test.want {
				t.Errorf("got  %s\nwant before %s", got, test.want)
			}
		})
	}
}

func TestAppendGap(t *testing.T) {
	t.Parallel()
	if got, want := string(protocol.AppendGap(nil, "a\"b", []byte("e-1"))), `{"op":"gap","channel":"a\"b","position":"e-1"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	none, yes := []string{}, true
	tests := map[string]struct {
		frame []byte
		want  string
	}{
		"ready": {
			protocol.JSON(&protocol.Answer{Op: protocol.OpReady, Mode: "rw", Expires: 1795352315, Channels: &none, Position: "e-1"}),
			`{"op":"ready","mode":"rw","expires":1795352315,"channels":[],"position":"e-1"}`,
		},
		"receipt": {
			protocol.JSON(&protocol.Answer{ID: json.RawMessage(`4`), Op: protocol.OpOK, DeliveredAt: 1795352315019831}),
			`{"id":4,"op":"ok","message_delivered_at":1795352315.019831}`,
		},
		"a stamp of zeros": {protocol.JSON(&protocol.Answer{DeliveredAt: 1795352315000000}), `{"message_delivered_at":1795352315.000000}`},
		"resumed":          {protocol.JSON(&protocol.Answer{Op: protocol.OpOK, Resumed: &yes}), `{"op":"ok","resumed":true}`},
		"error": {
			protocol.JSON(&protocol.Answer{ID: json.RawMessage(`"x"`), Op: protocol.OpError, Code: protocol.Unavailable, Message: "m", Uncertain: true}),
			`{"id":"x","op":"error","code":"unavailable","message":"m","uncertain":true}`,
		},
		"expiring":      {protocol.JSON(&protocol.Answer{Op: protocol.OpExpiring, In: 30}), `{"op":"expiring","in":30}`},
		"close":         {protocol.JSON(&protocol.Close{Op: protocol.OpClose, Code: 3001, Reason: "JWT expired"}), `{"op":"close","code":3001,"reason":"JWT expired"}`},
		"close, no op":  {protocol.JSON(&protocol.Close{Code: 1001}), `{"code":1001,"reason":""}`},
		"not its id's":  {protocol.JSON(&protocol.Answer{ID: json.RawMessage(`"<"`), Op: protocol.OpError, Message: "<"}), `{"id":"<","op":"error","message":"<"}`},
		"no id at all":  {protocol.JSON(&protocol.Answer{Op: protocol.OpError, Code: protocol.BadRequest}), `{"op":"error","code":"bad_request"}`},
		"several names": {protocol.JSON(&protocol.Answer{Op: protocol.OpUnsubscribed, Channels: &[]string{"a", "<b>&"}}), `{"op":"unsubscribed","channels":["a","<b>&"]}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if string(test.frame) != test.want {
				t.Errorf("got  %s\nwant %s", test.frame, test.want)
			}
		})
	}
}

// FuzzAppendMessage checks that a frame is JSON that holds what was notified.
func FuzzAppendMessage(f *testing.F) {
	for _, seed := range []string{`{"a":[1,null,"x\u0041"]}`, `hello`, "a\nb\x7f\u2028", `"x"`, `01`, "1\x00", `-`, `{"a":1,}`, `tru`, "\t 1e5 \r\n", `"\x"`} {
		f.Add("channel", seed)
	}
	f.Fuzz(func(t *testing.T, channel, payload string) {
		if !utf8.ValidString(channel) || !utf8.ValidString(payload) { // The hub lets nothing else in.
			return
		}
		frame := protocol.AppendMessage(nil, channel, []byte("e-1"), payload)
		var got struct {
			Op, Channel, Position string
			Payload               json.RawMessage
		}
		if err := json.Unmarshal(frame, &got); err != nil {
			t.Fatalf("%q: %v", frame, err)
		}
		if got.Op != "message" || got.Channel != channel || got.Position != "e-1" {
			t.Errorf("got %+v", got)
		}
		if json.Valid([]byte(payload)) {
			if want := strings.Trim(payload, " \t\r\n"); string(got.Payload) != want {
				t.Errorf("payload %s, want %s", got.Payload, want)
			}
			return
		}
		var text string
		if err := json.Unmarshal(got.Payload, &text); err != nil || text != payload {
			t.Errorf("payload %q, want %q: %v", text, payload, err)
		}
	})
}
