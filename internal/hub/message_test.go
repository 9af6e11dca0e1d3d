package hub

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text, claims string
		json, ascii  bool
		want         string // payload and claims
	}{
		"plain":   {text: "hi", claims: `{"mode":"rw"}`, want: `"payload":"hi","claims":{"mode":"rw"`},
		"escapes": {text: "\"\\\n\r\t\x00\x1f/<&\u2028", claims: `{"a":1}`, want: `"payload":"\"\\\n\r\t\u0000\u001f/<&` + "\u2028" + `","claims":{"a":1`},
		"unicode": {text: "grüße 😀", claims: `{"a":"ü"}`, want: `"payload":"grüße 😀","claims":{"a":"ü"`},
		"ascii":   {text: "grüße 😀\n", claims: `{"a":"ü"}`, ascii: true, want: `"payload":"gr\u00fc\u00dfe \ud83d\ude00\n","claims":{"a":"\u00fc"`},
		"long": {text: strings.Repeat("é", 20) + "\n" + strings.Repeat("x", 30) + `"`, claims: `{"a":1}`,
			want: `"payload":"` + strings.Repeat("é", 20) + `\n` + strings.Repeat("x", 30) + `\"","claims":{"a":1`},
		"empty text": {text: "", claims: `{"a":null}`, want: `"payload":"","claims":{"a":null`},
		"no claims":  {text: "hi", claims: `{}`, want: `"payload":"hi","claims":{`},
		"JSON":       {text: `{"a":["ü\n",null]}`, json: true, claims: `{"a":1}`, want: `"payload":{"a":["ü\n",null]},"claims":{"a":1`},
		"JSON ascii": {text: `["ü","😀\u00fc"]`, json: true, claims: `{"a":1}`, ascii: true, want: `"payload":["\u00fc","\ud83d\ude00\u00fc"],"claims":{"a":1`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := Message{Event: "WebsocketMessage", Text: []byte(test.text), JSON: test.json, Claims: test.claims}
			got := string(m.AppendJSON(nil, "ch", test.ascii))
			stamp := `"message_delivered_at":`
			if test.claims != "{}" {
				stamp = "," + stamp
			}
			want := `{"event":"WebsocketMessage","channel":"ch",` + test.want + stamp + Stamp + `}}`
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzAppendJSON compares with encoding/json what a client reads.
func FuzzAppendJSON(f *testing.F) {
	f.Add("chat", "hello", false)
	f.Add("a/b", "\x00\"\\\u2028😀", true)
	f.Add("c", `{"a":[1,"ü",null]}`, true)
	f.Add("", "0123456789\x1f0123456\"01234567890123456\\0123456789012345\x00 \x7f\u0080!#[]", false)
	f.Fuzz(func(t *testing.T, channel, text string, ascii bool) {
		channel, text = strings.ToValidUTF8(channel, ""), strings.ToValidUTF8(text, "") // as servers check it before
		m := Message{Event: "e", Text: []byte(text), Claims: `{"x":"` + "é" + `"}`}
		if got := read(t, &m, channel, ascii); got != any(text) {
			t.Errorf("payload %q, want %q", got, text)
		}
		var value any
		if json.Unmarshal(m.Text, &value) != nil {
			return
		}
		m.JSON = true
		if diff := cmp.Diff(value, read(t, &m, channel, ascii)); diff != "" {
			t.Error(diff)
		}
	})
}

// read returns the payload that a client reads of a message.
func read(t *testing.T, m *Message, channel string, ascii bool) (payload any) {
	t.Helper()
	encoded := m.AppendJSON(nil, channel, ascii)
	if ascii && strings.ContainsFunc(string(encoded), func(r rune) bool { return r >= utf8.RuneSelf }) {
		t.Errorf("not ASCII: %s", encoded)
	}
	if stamp := encoded[len(encoded)-StampEnd-len(Stamp) : len(encoded)-StampEnd]; string(stamp) != Stamp {
		t.Errorf("the stamp's place holds %q", stamp)
	}
	encoded[len(encoded)-StampEnd-len(Stamp)] = '1' // a number does not begin with 0
	var got struct {
		Event, Channel string
		Payload        any
		Claims         map[string]any
	}
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatalf("%s: %v", encoded, err)
	}
	if got.Event != "e" || got.Channel != channel || got.Claims["x"] != "é" {
		t.Errorf("%s: read %+v", encoded, got)
	}
	return got.Payload
}
