package contract_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// With pgws.v1 the body is the frame of a publish, and each answer is a frame.
func TestPostedFrames(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	some := `{"mode":"rw","channels":["a","b"]}`
	for name, tc := range map[string]struct {
		target, claims, body string
		id                   string
		channel              string
		payload              string // JSON, to the byte
	}{
		"a text":            {"/", some, `{"id":1,"op":"publish","channel":"a","payload":"hello"}`, `1`, "a", `"hello"`},
		"another channel":   {"/", some, `{"id":1,"op":"publish","channel":"b","payload":""}`, `1`, "b", `""`},
		"without an id":     {"/", some, `{"op":"publish","channel":"a","payload":"hello"}`, ``, "a", `"hello"`},
		"an id as a string": {"/", some, `{"id":"a\u0062\"","op":"publish","channel":"a","payload":"hello"}`, `"a\u0062\""`, "a", `"hello"`},
		"a fine id":         {"/", some, `{"id":-1.50e3,"op":"publish","channel":"a","payload":"hello"}`, `-1.50e3`, "a", `"hello"`},
		"an object": {"/", some, `{"op":"publish","channel":"a","payload":{ "b" : [1.10, null] , "a":"<\u00e4>"}}`,
			``, "a", `{"b":[1.10,null],"a":"<\u00e4>"}`},
		"null":     {"/", some, `{"op":"publish","channel":"a","payload":null}`, ``, "a", `null`},
		"a number": {"/", some, `{"op":"publish","channel":"a","payload":12345678901234567890}`, ``, "a", `12345678901234567890`},
		"unknown members": {"/", some, `{"op":"publish","channel":"a","payload":"hello","more":{"channel":"b"},"echo":false}`,
			``, "a", `"hello"`},
		"spaces":             {"/", some, " {\r\n\"op\":\t\"publish\",\"channel\":\"a\",\"payload\":\"hello\"}\n", ``, "a", `"hello"`},
		"the path's channel": {"/b", some, `{"op":"publish","payload":"hello"}`, ``, "b", `"hello"`},
		"the path's again":   {"/b", some, `{"op":"publish","channel":"b","payload":"hello"}`, ``, "b", `"hello"`},
		"any channel":        {"/", anybody, `{"op":"publish","channel":"any \"one\"","payload":"hello"}`, ``, `any "one"`, `"hello"`},
		"an empty name":      {"/", anybody, `{"op":"publish","channel":"","payload":"hello"}`, ``, "", `"hello"`},
		"token in the path":  {"/" + token(some), ``, `{"op":"publish","channel":"b","payload":"hello"}`, ``, "b", `"hello"`},
		"both in the path":   {"/a/" + token(some), ``, `{"op":"publish","payload":"hello"}`, ``, "a", `"hello"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := s.listen(t)
			r := request{method: http.MethodPost, target: tc.target + "?protocol=pgws.v1", body: tc.body}
			if tc.claims != "" {
				r = posting(r.target, tc.claims, tc.body)
			}
			a := s.ask(t, r)
			body := a.text()
			var f v1Frame
			if err := json.Unmarshal([]byte(body), &f); err != nil || a.status != http.StatusOK || f.DeliveredAt == "" {
				t.Fatalf("answered %d %q: %v", a.status, body, err)
			}
			if diff := cmp.Diff(v1Frame{ID: f.ID, Op: "ok", DeliveredAt: f.DeliveredAt}, f); diff != "" || string(f.ID) != tc.id {
				t.Errorf("the id %s, want %s; frame (-want +got):\n%s", f.ID, tc.id, diff)
			}
			beginning := `{"event":"WebsocketMessage","channel":` + mustJSON(tc.channel) + `,"payload":` + tc.payload + `,"claims":{`
			for { // Others send, too.
				text := heard.receive()
				if !strings.Contains(text, `"message_delivered_at":`+f.DeliveredAt.String()+"}") {
					continue
				}
				if !strings.HasPrefix(text, beginning) {
					t.Errorf("PostgreSQL was sent %s, want %s…", text, beginning)
				}
				return
			}
		})
	}
}

// A frame that is none, or asks for what cannot be posted, is answered by an error with the id that could be read.
func TestPostedFramesRefused(t *testing.T) { //nolint:tparallel // The subtests have nothing to wait for.
	t.Parallel()
	s := start(t, env{"PGWS_MAX_MESSAGE_BYTES": "10000"})
	heard := s.listen(t)
	const bad, forbidden = http.StatusBadRequest, http.StatusForbidden
	some := `{"mode":"rw","channels":["a","b"]}`
	for name, tc := range map[string]struct {
		target, claims, body string
		status               int
		id                   string
	}{
		"empty":                   {"/", some, ``, bad, ``},
		"no JSON":                 {"/", some, `hello`, bad, ``},
		"a list":                  {"/", some, `[{"op":"publish"}]`, bad, ``},
		"null":                    {"/", some, `null`, bad, ``},
		"two":                     {"/", some, `{"op":"publish","channel":"a","payload":"x"}{}`, bad, ``},
		"not UTF-8":               {"/", some, "{\"op\":\"publish\",\"channel\":\"a\",\"payload\":\"\xff\"}", bad, ``},
		"no op":                   {"/", some, `{"id":1,"channel":"a","payload":"x"}`, bad, `1`},
		"no op that is known":     {"/", some, `{"id":"p","op":"dance"}`, bad, `"p"`},
		"auth":                    {"/", some, `{"id":1,"op":"auth","token":"x"}`, bad, `1`},
		"subscribe":               {"/", some, `{"id":1,"op":"subscribe","channels":["a"]}`, bad, `1`},
		"no channel":              {"/", some, `{"id":1,"op":"publish","payload":"x"}`, bad, `1`},
		"no payload":              {"/", some, `{"id":1,"op":"publish","channel":"a"}`, bad, `1`},
		"a numbered channel":      {"/", some, `{"id":1,"op":"publish","channel":1,"payload":"x"}`, bad, `1`},
		"an id that is none":      {"/", some, `{"id":{},"op":"publish","channel":"a","payload":"x"}`, bad, ``},
		"a long id":               {"/", some, `{"id":"` + strings.Repeat("x", 65) + `","op":"publish","channel":"a","payload":"x"}`, bad, ``},
		"another channel":         {"/", some, `{"id":1,"op":"publish","channel":"c","payload":"x"}`, forbidden, `1`},
		"another than the path's": {"/a", some, `{"id":1,"op":"publish","channel":"c","payload":"x"}`, forbidden, `1`},
		"the path's":              {"/c", some, `{"id":1,"op":"publish","channel":"a","payload":"x"}`, forbidden, ``},
		"mode r":                  {"/", `{"mode":"r","channel":"a"}`, `{"id":1,"op":"publish","channel":"a","payload":"x"}`, forbidden, `1`},
		"a ping, another's token": {"/", `{"mode":"r","exp":1}`, `{"id":1,"op":"ping"}`, http.StatusUnauthorized, ``},
		"a ping to another":       {"/c", some, `{"id":1,"op":"ping"}`, forbidden, ``},
		"too large":               {"/", some, `{"id":1,"op":"publish","channel":"a","payload":"` + strings.Repeat("x", 8000) + `"}`, 413, `1`},
		"far too large":           {"/", some, `{"id":1,"op":"publish","channel":"a","payload":"` + strings.Repeat("x", 10000) + `"}`, 413, ``},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.ask(t, posting(tc.target+"?protocol=pgws.v1", tc.claims, tc.body))
			body := a.text()
			var f v1Frame
			if err := json.Unmarshal([]byte(body), &f); err != nil || a.status != tc.status {
				t.Fatalf("answered %d %q: %v", a.status, body, err)
			}
			want := v1Frame{ID: f.ID, Op: "error", Code: codes[tc.status], Message: f.Message}
			if diff := cmp.Diff(want, f); diff != "" || string(f.ID) != tc.id || f.Message == "" {
				t.Errorf("the id %s, want %s; message %q; frame (-want +got):\n%s", f.ID, tc.id, f.Message, diff)
			}
		})
	}
	s.ask(t, posting("/a", anybody, "the first that is sent")).receipt()
	if got := parseMessage(t, heard.receive()).Payload; got != "the first that is sent" {
		t.Errorf("PostgreSQL was sent %q", got)
	}
}

// A ping is answered whatever the mode is, and however much was sent.
func TestPostedPing(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_MESSAGE_RATE": "1"})
	heard := s.listen(t)
	for range 5 {
		for _, mode := range []string{"r", "w", "rw"} {
			a := s.ask(t, posting("/?protocol=pgws.v1", `{"mode":"`+mode+`"}`, `{"id":"p","op":"ping"}`))
			if body := a.text(); a.status != http.StatusOK || body != `{"id":"p","op":"ok"}`+"\n" {
				t.Errorf("answered %d %q", a.status, body)
			}
		}
	}
	s.ask(t, posting("/a", `{"mode":"w"}`, "the first that is sent")).receipt()
	if got := parseMessage(t, heard.receive()).Payload; got != "the first that is sent" {
		t.Errorf("PostgreSQL was sent %q", got)
	}
}
