package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/protocol"
)

func TestParseRequest(t *testing.T) {
	t.Parallel()
	channel, yes, no := "a", true, false
	id := json.RawMessage(`1`)
	publish := protocol.Request{ID: id, Op: "publish", Channel: &channel, Payload: `"x"`}
	tests := map[string]struct {
		frame string
		want  protocol.Request
	}{
		"auth":               {`{"id":1,"op":"auth","token":"t.o.k"}`, protocol.Request{ID: id, Op: "auth", Token: "t.o.k"}},
		"subscribe":          {`{"id":1,"op":"subscribe","channels":["a","b\u00e4"],"since":"x-1"}`, protocol.Request{ID: id, Op: "subscribe", Channels: []string{"a", "bä"}, Since: "x-1"}},
		"publish":            {`{"id":1,"op":"publish","channel":"a","payload":"x"}`, publish},
		"echo":               {`{"id":1,"op":"ping","echo":true}`, protocol.Request{ID: id, Op: "ping", Echo: &yes}},
		"no echo":            {`{"id":1,"op":"ping","echo":false}`, protocol.Request{ID: id, Op: "ping", Echo: &no}},
		"spaces":             {" {\n\"id\" : 1 ,\t\"op\":\"ping\" } \r\n", protocol.Request{ID: id, Op: "ping"}},
		"no id":              {`{"op":"ping"}`, protocol.Request{Op: "ping"}},
		"empty":              {`{}`, protocol.Request{}},
		"other capitals":     {`{"id":1,"ID":2,"op":"publish","OP":"ping","channel":"a","Channel":"b","payload":"x","Payload":"y"}`, publish},
		"unknown members":    {`{"x":{"op":"ping","id":9},"id":1,"y":["op","ping"],"op":"publish","channel":"a","payload":"x"}`, publish},
		"of equal ones":      {`{"id":9,"op":"ping","channel":"b","payload":"y","id":1,"op":"publish","channel":"a","payload":"x"}`, publish},
		"a wrong one before": {`{"id":[],"op":1,"channel":{},"id":1,"op":"publish","channel":"a","payload":"x"}`, publish},
		"an escaped name":    {`{"\u0069d":1,"o\u0070":"publish","chann\u0065l":"a","payload":"x"}`, publish},
		"nulls": {
			`{"id":1,"op":"publish","channel":"a","payload":null,"token":null,"channels":null,"since":null,"echo":null}`,
			protocol.Request{ID: id, Op: "publish", Channel: &channel, Payload: `null`},
		},
		"channel null":   {`{"id":1,"op":"ping","channel":null}`, protocol.Request{ID: id, Op: "ping"}},
		"an empty name":  {`{"id":1,"op":"subscribe","channels":[""]}`, protocol.Request{ID: id, Op: "subscribe", Channels: []string{""}}},
		"half a pair":    {`{"id":1,"op":"auth","token":"\ud800x"}`, protocol.Request{ID: id, Op: "auth", Token: "\uFFFDx"}},
		"payload as is":  {`{"payload": { "b" : 1.10, "a":"\u0041" } }`, protocol.Request{Payload: `{ "b" : 1.10, "a":"\u0041" }`}},
		"a payload last": {`{"payload":-1e3}`, protocol.Request{Payload: `-1e3`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := protocol.ParseRequest([]byte(test.frame))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestIDs has ids that are repeated to the byte.
func TestIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		`0`, `-1`, `1.50`, `1E+2`, `1e999`, strings.Repeat("1", 64), `""`, `"1"`, `"` + strings.Repeat("x", 64) + `"`,
		`"<a&b>"`, `"\"\\"`, `"\u0041"`, "\"\u2028\"", `"🎈"`, `"\/"`,
	} {
		for _, frame := range []string{`{"id":` + id + `,"op":"ping"}`, `{"op":"ping","id": ` + id + "\t}"} {
			r, err := protocol.ParseRequest([]byte(frame))
			if err != nil {
				t.Errorf("%s: %v", frame, err)
				continue
			}
			if got, want := string(protocol.JSON(&protocol.Answer{ID: r.ID, Op: protocol.OpOK})), `{"id":`+id+`,"op":"ok"}`; got != want {
				t.Errorf("answered %s, want %s", got, want)
			}
		}
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	const (
		noObject = "the frame is not a JSON object"
		badID    = "the id must be a string or a number of up to 64 bytes"
	)
	wrong := func(name string) string { return "the member " + name + " has the wrong type" }
	tests := map[string]struct{ frame, id, fault string }{
		"nothing":              {``, "", noObject},
		"a list":               {`[{"id":1,"op":"ping"}]`, "", noObject},
		"a string":             {`"ping"`, "", noObject},
		"null":                 {`null`, "", noObject},
		"two":                  {`{"id":1}{"id":1}`, "", noObject},
		"a mark":               {"\ufeff" + `{"id":1}`, "", noObject},
		"cut short":            {`{"id":1,"op":"ping"`, "", noObject},
		"a line end in a text": {"{\"id\":1,\"op\":\"pi\nng\"}", "", noObject},
		"deep":                 {`{"id":1,"payload":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, "", noObject},
		"not UTF-8":            {"{\"id\":1,\"x\":\"\xff\"}", "", "the frame is not UTF-8"},
		"id null":              {`{"id":null}`, "", badID},
		"id true":              {`{"id":true}`, "", badID},
		"id an object":         {`{"id":{"id":1}}`, "", badID},
		"a long number":        {`{"id":` + strings.Repeat("1", 65) + `}`, "", badID},
		"a long string":        {`{"id":"` + strings.Repeat("x", 65) + `"}`, "", badID},
		"a long UTF-8":         {`{"id":"` + strings.Repeat("ä", 32) + `x"}`, "", badID},
		"op":                   {`{"op":1,"id":7}`, "7", wrong("op")},
		"token":                {`{"id":7,"token":["t"]}`, "7", wrong("token")},
		"since":                {`{"id":7,"since":1}`, "7", wrong("since")},
		"channel":              {`{"id":7,"channel":1}`, "7", wrong("channel")},
		"channels":             {`{"id":7,"channels":"a"}`, "7", wrong("channels")},
		"channels an object":   {`{"id":7,"channels":{"a":1}}`, "7", wrong("channels")},
		"one of them":          {`{"id":7,"channels":["a",1,"b"]}`, "7", wrong("channels")},
		"many of them":         {`{"id":7,"channels":["a"` + strings.Repeat(`,"a"`, protocol.MaxChannels) + `]}`, "7", "more than 1024 channels"},
		"null among them":      {`{"id":7,"channels":["a",null]}`, "7", wrong("channels")},
		"echo":                 {`{"id":7,"echo":"false"}`, "7", wrong("echo")},
		"the last counts":      {`{"id":7,"op":"ping","op":1}`, "7", wrong("op")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := protocol.ParseRequest([]byte(test.frame))
			if err == nil || err.Error() != test.fault || string(r.ID) != test.id {
				t.Errorf("got the id %s, %v", r.ID, err)
			}
			if isText := utf8.ValidString(test.frame); isText == errors.Is(err, protocol.ErrNotUTF8) {
				t.Errorf("ErrNotUTF8: %v", !isText)
			}
		})
	}
}

// TestKeepsNoFrame has names and an id come in long frames. It is not parallel: it looks
// at the heap.
func TestKeepsNoFrame(t *testing.T) {
	const length = 1 << 20
	kept := make([]*protocol.Request, 20)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range kept {
		r, err := protocol.ParseRequest([]byte(`{"id":"x","channels":["a"],"channel":"b","since":"c","y":"` + strings.Repeat("y", length) + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		kept[i] = r
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > length {
		t.Errorf("%d bytes are kept", grown)
	}
	runtime.KeepAlive(kept)
}

func TestText(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		payload, text string
		isJSON        bool
	}{
		"a string":     {`"hello"`, "hello", false},
		"empty":        {`""`, "", false},
		"escapes":      {`"\u0041\n\ud83c\udf88\u0000"`, "A\n🎈\x00", false},
		"half a pair":  {`"\ud800x"`, "\uFFFDx", false},
		"a number":     {`1.10`, `1.10`, true},
		"beyond any":   {`1e999`, `1e999`, true},
		"null":         {`null`, `null`, true},
		"an object":    {"{ \"b\" : [ 1 ,\n 2 ] , \"a\" : \"<\\u00e4 &>\" }", `{"b":[1,2],"a":"<\u00e4 &>"}`, true},
		"equal names":  {`{"a":1,"a":2}`, `{"a":1,"a":2}`, true},
		"an odd space": {"[\"\u2028\"]", "[\"\u2028\"]", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := protocol.ParseRequest([]byte(`{"payload":` + test.payload + `}`))
			if err != nil {
				t.Fatal(err)
			}
			text, isJSON, err := r.Text()
			if err != nil || string(text) != test.text || isJSON != test.isJSON {
				t.Errorf("got %q, JSON %v, %v", text, isJSON, err)
			}
		})
	}
	if _, _, err := new(protocol.Request).Text(); err == nil {
		t.Error("no payload is none missed")
	}
}

// FuzzParseRequest compares with encoding/json, where that is as exact.
func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"op":"auth","token":"…"}`, `{"id":"x","op":"subscribe","channels":["a","b"],"since":"x-1"}`,
		`{"id":4,"op":"publish","channel":"a","payload":{"x":[1,null]},"echo":false}`, `{"id":1,"id":null}`, "{\"\\u0069d\":\"\\ud800\"}", "\xff", `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		r, err := protocol.ParseRequest(frame)
		if !bytes.Equal(before, frame) {
			t.Fatal("the frame is changed")
		}
		var members map[string]json.RawMessage
		isObject := utf8.Valid(frame) && json.Unmarshal(frame, &members) == nil && members != nil
		if err == nil && !isObject {
			t.Fatalf("%q is taken", frame)
		}
		if !isObject {
			return
		}
		if id := members["id"]; r.ID != nil && !bytes.Equal(r.ID, id) {
			t.Errorf("id %s, want %s", r.ID, id)
		}
		answer := protocol.JSON(&protocol.Answer{ID: r.ID, Op: protocol.OpOK})
		if !json.Valid(answer) || !bytes.Contains(answer, r.ID) {
			t.Errorf("answer %s", answer)
		}
		if err != nil {
			return
		}
		var op *string
		if json.Unmarshal(members["op"], &op) == nil && op != nil && *op != r.Op {
			t.Errorf("op %q, want %q", r.Op, *op)
		}
		var channels []string
		if json.Unmarshal(members["channels"], &channels) == nil {
			if diff := cmp.Diff(channels, r.Channels); diff != "" && len(channels)+len(r.Channels) > 0 {
				t.Error(diff)
			}
		}
		if payload := members["payload"]; string(payload) != r.Payload {
			t.Errorf("payload %s, want %s", r.Payload, payload)
		}
		if text, isJSON, err := r.Text(); err == nil && (!utf8.Valid(text) || isJSON && !json.Valid(text)) {
			t.Errorf("text %q", text)
		}
	})
}
