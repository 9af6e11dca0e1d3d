package channel_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pgws/internal/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		payload string
		want    string
	}{
		"alone":                       {`{"channel":"a"}`, "a"},
		"among others":                {`{"event":"WebsocketMessage","channel":"chat","payload":"test","claims":{"mode":"rw"}}`, "chat"},
		"last":                        {`{"payload":{"channel":"b"},"x":["channel"],"channel":"a"}`, "a"},
		"empty":                       {`{"channel":""}`, ""},
		"white space":                 {" \t\r\n{ \"x\" : [ 1 , 2 ] ,\n\"channel\"\t:\r\n \"a b\" } \n", "a b"},
		"the first of two":            {`{"channel":"a","channel":"b"}`, "a"},
		"the first of a string, null": {`{"channel":"a","channel":null}`, "a"},
		"other bytes than ASCII":      {`{"channel":"käse 😀"}`, "käse 😀"},
		"HTML":                        {`{"channel":"<a&b>"}`, "<a&b>"},
		"a path as gjson has them":    {`{"a.b":"x","channel":"channel.#|@this"}`, "channel.#|@this"},

		"key escaped in part":       {`{"ch\u0061nnel":"a"}`, "a"},
		"key escaped wholly":        {`{"\u0063\u0068\u0061\u006e\u006e\u0065\u006C":"a"}`, "a"},
		"an escaped key is first":   {`{"ch\u0061nnel":"a","channel":"b"}`, "a"},
		"another key with escapes":  {`{"ch\u0062nnel":"b","channel":"a"}`, "a"},
		"a key with quotes in it":   {`{"x\"channel":"b","\\":"c","channel":"a"}`, "a"},
		"value escaped":             {`{"channel":"\u0061\n\t\r\b\f\/\\\"\u00e4"}`, "a\n\t\r\b\f/\\\"ä"},
		"value with a zero":         {`{"channel":"a\u0000b"}`, "a\x00b"},
		"value with surrogates":     {`{"channel":"\ud83d\ude00"}`, "😀"},
		"half a surrogate":          {`{"channel":"a\ud83db"}`, "a\ufffdb"},
		"the wrong half":            {`{"channel":"\ude00b"}`, "\ufffdb"},
		"half, then another escape": {`{"channel":"\ud83d\u0061b"}`, "\ufffdab"},
		"half, then a line end":     {`{"channel":"\ud83d\nb"}`, "\ufffd\nb"},
		"two first halves":          {`{"channel":"\ud83d\ud83d\ude00"}`, "\ufffd😀"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := channel.Of(tt.payload); !ok || got != tt.want {
				t.Errorf("got %q, %t, want %q", got, ok, tt.want)
			}
		})
	}
}

func TestOfNone(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"nothing":                  "",
		"white space":              " \n",
		"text":                     "channel",
		"a string":                 `"channel"`,
		"a string with an object":  `"{\"channel\":\"a\"}"`,
		"a number":                 "1",
		"true":                     "true",
		"null":                     "null",
		"an empty object":          "{}",
		"an array":                 `["channel","a"]`,
		"an object in an array":    `[{"channel":"a"}]`,
		"only a nested one":        `{"x":{"channel":"a"},"y":[{"channel":"a"}]}`,
		"only as a value":          `{"x":"channel","y":"a"}`,
		"another case":             `{"Channel":"a","CHANNEL":"a"}`,
		"a longer key":             `{"channels":"a","channel ":"a","xchannel":"a","":"a"}`,
		"an escaped longer key":    `{"channel\u0000":"a","channel\u0073":"a"}`,
		"its value is a number":    `{"channel":1}`,
		"its value is null":        `{"channel":null}`,
		"its value is true":        `{"channel":true}`,
		"its value is an array":    `{"channel":["a"]}`,
		"its value is an object":   `{"channel":{"channel":"a"}}`,
		"the first is no string":   `{"channel":1,"channel":"a"}`,
		"the first is null":        `{"ch\u0061nnel":null,"channel":"a"}`,
		"no end":                   `{"channel":"a"`,
		"no end of the value":      `{"channel":"a`,
		"broken behind":            `{"channel":"a","x":}`,
		"broken before":            `{"x":,"channel":"a"}`,
		"a comma too much":         `{"channel":"a",}`,
		"no colon":                 `{"channel" "a"}`,
		"no quotes":                `{channel:"a"}`,
		"single quotes":            `{'channel':'a'}`,
		"a comment":                `{"channel":"a"} // x`,
		"something behind":         `{"channel":"a"}x`,
		"an object behind":         `{"channel":"a"}{}`,
		"two lines of JSON":        "{\"channel\":\"a\"}\n{\"channel\":\"b\"}",
		"something before":         `x{"channel":"a"}`,
		"a byte order mark before": "\ufeff" + `{"channel":"a"}`,
		"a zero byte behind":       `{"channel":"a"}` + "\x00",
		"an unknown escape":        `{"channel":"\x61"}`,
		"half an escape":           `{"channel":"\u00"}`,
		"a line end in a string":   "{\"channel\":\"a\nb\"}",
		"a tab in a key":           "{\"x\ty\":1,\"channel\":\"a\"}",
		"a number with a zero":     `{"x":01,"channel":"a"}`,
		"a number without an end":  `{"x":1.,"channel":"a"}`,
		"a number with a plus":     `{"x":+1,"channel":"a"}`,
		"no number":                `{"x":NaN,"channel":"a"}`,
		"half a word":              `{"x":tru,"channel":"a"}`,
		"another white space":      "{\"channel\":\u00a0\"a\"}",
		"the wrong bracket":        `{"x":[1},"channel":"a"}`,
	}
	for name, payload := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := channel.Of(payload); ok || got != "" {
				t.Errorf("got %q, %t, want none", got, ok)
			}
		})
	}
}

// Depth costs stack. NOTIFY carries 8000 bytes at most, and far more does no harm.
func TestOfDeep(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{3900, 1_000_000} {
		for _, nested := range []string{
			strings.Repeat("[", depth) + strings.Repeat("]", depth),
			strings.Repeat(`{"channel":`, depth) + `"b"` + strings.Repeat("}", depth),
		} {
			if got, ok := channel.Of(`{"x":` + nested + `,"channel":"a"}`); got != "a" || !ok {
				t.Errorf("beside a value %d deep: got %q, %t", depth, got, ok)
			}
			if got, ok := channel.Of(nested); ok {
				t.Errorf("%d deep: got %q", depth, got)
			}
			if got, ok := channel.Of(`{"channel":"a","x":` + nested[:depth]); ok {
				t.Errorf("%d deep and torn: got %q", depth, got)
			}
		}
	}
}

// Of is asked for each notification: without escapes in the name it allocates
// nothing. Not parallel, as AllocsPerRun counts for all goroutines.
func TestOfAllocatesNothing(t *testing.T) {
	const payload = `{"event":"WebsocketMessage","channel":"chat","payload":"\u0061","claims":{"mode":"rw"}}`
	if allocations := testing.AllocsPerRun(100, func() { channel.Of(payload) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// FuzzOf compares with an oracle that is slow and plain.
func FuzzOf(f *testing.F) {
	for _, seed := range []string{
		`{"event":"WebsocketMessage","channel":"chat","payload":"test","claims":{"mode":"rw","message_delivered_at":1.7e9}}`,
		`{"ch\u0061nnel":"\ud83d\ude00"}`, `{"channel":"\ud83d\u0061"}`, `{"channel":1,"channel":"a"}`, `{"x":{"channel":"a"}}`, `[{"channel":"a"}]`,
		` {"a":[1,-2.5e+3,true,false,null,{}],"channel" : "x" } `, `{"channel":"a"}}`, `{"channel":"a",}`, `{"x":01}`, "{\"channel\":\"\xff\"}", "", "null",
		`{"\"channel":"b","channel":"a"}`, `{"":{},"x":[],"channel":""}`, "{\"channel\":\"\x7f\u2028\"}", `{"\ud800channel":"b"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		if strings.Count(payload, "[")+strings.Count(payload, "{") >= 10_000 {
			return // Deeper than encoding/json goes.
		}
		want, wantOK := oracle(t, payload)
		got, ok := channel.Of(payload)
		got = string([]rune(got)) // As encoding/json writes bytes that are no UTF-8.
		if ok != wantOK || got != want {
			t.Errorf("%q: got %q, %t, want %q, %t", payload, got, ok, want, wantOK)
		}
	})
}

// oracle is channel.Of by encoding/json's tokens.
func oracle(t *testing.T, payload string) (string, bool) {
	t.Helper()
	if !json.Valid([]byte(payload)) {
		return "", false
	}
	decoder := json.NewDecoder(strings.NewReader(payload))
	next := func() json.Token {
		token, err := decoder.Token()
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("valid, but %v: %q", err, payload)
		}
		return token
	}
	decoder.UseNumber()
	if next() != json.Delim('{') {
		return "", false
	}
	for {
		key := next()
		if key == json.Delim('}') {
			return "", false
		}
		if key == "channel" {
			name, ok := next().(string)
			return name, ok
		}
		for depth := 0; ; { // Skip the value.
			switch next() {
			case json.Delim('{'), json.Delim('['):
				depth++
			case json.Delim('}'), json.Delim(']'):
				depth--
			}
			if depth == 0 {
				break
			}
		}
	}
}

func BenchmarkOf(b *testing.B) {
	message := `{"event":"WebsocketMessage","channel":"chat","payload":"` + strings.Repeat("x", 100) +
		`","claims":{"mode":"rw","exp":4102444800,"message_delivered_at":1700000000.123456}}`
	payloads := map[string]string{
		"message": message,
		"longest": `{"payload":"` + strings.Repeat("x", 7900) + `","channel":"chat"}`,
		"escaped": strings.Replace(message, `"chat"`, `"ch\u0061t"`, 1),
		"none":    strings.Repeat("plain text ", 10),
	}
	for _, name := range []string{"message", "longest", "escaped", "none"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(payloads[name])))
			b.ReportAllocs()
			for b.Loop() {
				channel.Of(payloads[name])
			}
		})
	}
}
