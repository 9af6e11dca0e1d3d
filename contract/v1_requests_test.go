package contract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// The frame ready says what the token allows, and what is open.
func TestV1Ready(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for name, tc := range map[string]struct {
		path, claims string
		want         v1Frame
	}{
		"any channel, none named": {"/", anybody, v1Frame{Mode: "rw", Channels: []string{}}},
		"receives":                {"/", `{"mode":"r","channel":"a"}`, v1Frame{Mode: "r", Channels: []string{}}},
		"sends":                   {"/", `{"mode":"w"}`, v1Frame{Mode: "w", Channels: []string{}}},
		"a channel":               {"/a%2Fb", anybody, v1Frame{Mode: "rw", Channels: []string{"a/b"}}},
		"one of several":          {"/b", `{"mode":"rw","channels":["a","b"]}`, v1Frame{Mode: "rw", Channels: []string{"b"}}},
		"a channel to send to":    {"/a", `{"mode":"w","channel":"a"}`, v1Frame{Mode: "w", Channels: []string{}}},
		"an end":                  {"/", `{"mode":"rw","exp":4000000000}`, v1Frame{Mode: "rw", Expires: "4000000000", Channels: []string{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for way, c := range map[string]*v1Client{
				"subprotocol": s.connectV1(t, tc.path, token(tc.claims)),
				"path":        s.connectV1(t, strings.TrimSuffix(tc.path, "/")+"/"+token(tc.claims), ""),
			} {
				ready := c.hear()
				if ready.Position == "" {
					t.Error("there is no position")
				}
				want := tc.want
				want.Op, want.Position = "ready", ready.Position
				if diff := cmp.Diff(want, ready); diff != "" {
					t.Errorf("by %s (-want +got):\n%s", way, diff)
				}
				c.expectQuiet()
			}
		})
	}
}

// An answer repeats the id to the byte.
func TestV1IDs(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, _ := s.speak(t, "/", token(anybody))
	for name, id := range map[string]string{
		"zero": `0`, "negative": `-1`, "a fraction": `1.50`, "an exponent": `1E+2`, "beyond 64 bits": `123456789012345678901234567890`,
		"64 digits": strings.Repeat("1", 64), "beyond any float": `1e999`,
		"a string": `"a"`, "an empty string": `""`, "a number in a string": `"1"`, "64 bytes": `"` + strings.Repeat("x", 64) + `"`,
		"64 bytes of UTF-8": `"` + strings.Repeat("ä", 32) + `"`, "HTML": `"<a&b>"`, "quotes": `"\"\\"`,
		"escapes": `"\u0041\u00e4"`, "separators": "\"\u2028\"", "beyond 16 bits": `"🎈"`,
	} {
		c.send(`{"id":` + id + `,"op":"ping"}`)
		if got, want := c.receive(), `{"id":`+id+`,"op":"ok"}`; got != want {
			t.Errorf("%s: answered %s, want %s", name, got, want)
		}
	}
	t.Log("An id that is none cannot be repeated.")
	for name, members := range map[string]string{
		"missing": ``, "null": `"id":null,`, "true": `"id":true,`, "an object": `"id":{},`, "an object with an id": `"id":{"id":1},`, "a list": `"id":[1],`,
		"65 digits": `"id":` + strings.Repeat("1", 65) + `,`, "65 bytes": `"id":"` + strings.Repeat("x", 65) + `",`,
		"very long": `"id":"` + strings.Repeat("x", 100_000) + `",`, "65 bytes of UTF-8": `"id":"` + strings.Repeat("ä", 32) + `x",`,
	} {
		c.send(`{` + members + `"op":"ping"}`)
		f := c.hear()
		if f.ID != nil || f.Op != "error" || f.Code != "bad_request" || f.Message == "" {
			t.Errorf("%s: answered %+v", name, f)
		}
	}
	c.expectQuiet()
}

// What is no request is answered with bad_request, with its id if that can be read, and the connection stays.
func TestV1BadRequests(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, _ := s.speak(t, "/", token(anybody))
	for _, text := range []string{
		``, ` `, `hello`, `1`, `"ping"`, `null`, `true`, `[]`, `[{"id":1,"op":"ping"}]`, `{`, `{"id":1,"op":"ping"`, `{"id":1,"op":"ping"}}`,
		`{"id":1,"op":"ping"}{"id":2,"op":"ping"}`, `{"id":1,"op":"ping",}`, `{id:1,op:"ping"}`, `{'id':1,'op':'ping'}`, "{\"id\":1,\"op\":\"pi\nng\"}",
		"\ufeff" + `{"id":1,"op":"ping"}`, strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 20_000),
	} {
		c.send(text)
		if f := c.hear(); f.ID != nil || f.Op != "error" || f.Code != "bad_request" || f.Message == "" {
			t.Errorf("%.50q is answered %+v", text, f)
		}
	}
	for _, members := range []string{
		`"ops":"ping"`, `"op":null`, `"op":1`, `"op":["ping"]`, `"op":""`, `"op":"PING"`, `"op":"dance"`, `"op":"ready"`, `"OP":"ping"`,
		`"op":"subscribe"`, `"op":"subscribe","channels":null`, `"op":"subscribe","channels":[]`, `"op":"subscribe","channels":"a"`,
		`"op":"subscribe","channels":["a",1]`, `"op":"subscribe","channels":["a",null]`, `"op":"subscribe","channels":{"a":1}`, `"op":"subscribe","channel":"a"`,
		`"op":"subscribe","channels":["a"],"since":1`,
		`"op":"unsubscribe"`, `"op":"unsubscribe","channels":"a"`, `"op":"unsubscribe","channels":[1]`, `"op":"unsubscribe","channels":[]`,
		`"op":"publish"`, `"op":"publish","channel":"a"`, `"op":"publish","payload":"x"`, `"op":"publish","channel":1,"payload":"x"`,
		`"op":"publish","channel":null,"payload":"x"`, `"op":"publish","channels":["a"],"payload":"x"`, `"op":"publish","channel":"a","payload":"x","echo":"no"`,
		`"op":"publish","channel":"a","Payload":"x"`, `"op":"auth","token":1`,
	} {
		c.expectError(members, "bad_request")
	}
	c.expectQuiet()
}

// Unknown members mean nothing, not even those that differ from a known one by capitals alone.
func TestV1UnknownMembers(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, _ := s.speak(t, "/a", token(anybody))
	heard := s.listen(t)
	for name, members := range map[string]string{
		"a number": `"x":1`, "an object": `"x":{"id":2,"op":"dance"}`, "of other ops": `"token":"x","channels":["b"],"since":"x"`,
		"another ID": `"ID":"other"`, "another Op": `"Op":"ping"`, "another Payload": `"Payload":"other"`, "another Channel": `"Channel":"b"`,
		"another Echo": `"Echo":false`, "a long one": `"x":"` + strings.Repeat("x", 10_000) + `"`,
	} {
		c.expectSent(name, publishing("a", name)+","+members, heard)
		c.expectSaid(name)
	}
	c.send(` { "x" : [ ] ,` + "\n\t" + `"op" : "ping" , "id" : 7 } ` + "\r\n")
	if got := c.receive(); got != `{"id":7,"op":"ok"}` {
		t.Errorf("spaces: answered %s", got)
	}
}

// expectSent publishes, and wants that to be answered and to be heard, in either order.
func (c *v1Client) expectSent(name, members string, heard *hearer) {
	c.t.Helper()
	text, id := c.request(members)
	c.send(text)
	notification := parseMessage(c.t, heard.receive())
	if notification.Channel != "a" || notification.Payload != name {
		c.t.Errorf("%s: sent %+v", name, notification)
	}
	f := c.hear()
	if f.Op == "message" { // It may come before the answer: put it back.
		message := f
		f = c.hear()
		c.early = append(c.early, textFrame(`{"op":"message","position":"`+message.Position+`","payload":`+string(message.Payload)+`}`))
	}
	if string(f.ID) != id || f.Op != "ok" {
		c.t.Errorf("%s: answered %+v", name, f)
	}
}

// A text that is not UTF-8 breaks the websocket protocol.
func TestV1NotUTF8(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, text := range []string{"\xFF", "{\"id\":1,\"op\":\"ping\",\"x\":\"\xC3\"}", "{\"id\":\"\xED\xA0\x80\",\"op\":\"ping\"}"} {
		c, _ := s.speak(t, "/", token(anybody))
		c.raw(frame(fin|opText, text))
		c.expectClose(ws.StatusInvalidFramePayloadData)
	}
}

// Requests may be sent without waiting, in one write or in fragments. Each has exactly one answer.
func TestV1Pipelining(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, _ := s.speak(t, "/", token(`{"mode":"rw","channels":["a","b"]}`))
	const rounds = 300
	want := map[string]string{} // by ids
	var texts []string
	for range rounds {
		for members, outcome := range map[string]string{
			`"op":"ping"`: "ok", publishing("a", "x"): "ok", publishing("c", "x"): "forbidden", subscribing("b"): "ok",
			unsubscribing("b"): "ok", `"op":"dance"`: "bad_request", authorizing("x"): "unauthorized",
			authorizing(token(`{"mode":"rw","channels":["a","b"]}`)): "ok",
		} {
			text, id := c.request(members)
			want[id] = outcome
			texts = append(texts, text)
		}
	}
	c.send(texts...)
	for len(want) > 0 {
		f := c.hear()
		outcome := f.Op
		if f.Op == "error" {
			outcome = f.Code
		}
		if want[string(f.ID)] != outcome {
			t.Fatalf("%s is answered %+v, want %q", f.ID, f, want[string(f.ID)])
		}
		delete(want, string(f.ID))
	}
	c.expectQuiet()

	c.raw(join(frame(opText, `{"id":"in `), frame(fin|opPing, "now"), frame(opContinuation, ""), frame(fin|opContinuation, `pieces","op":"ping"}`)))
	if f := c.next(); f.Header.OpCode != ws.OpPong {
		t.Errorf("got %+v", f)
	}
	if got := c.receive(); got != `{"id":"in pieces","op":"ok"}` {
		t.Errorf("got %s", got)
	}
}

// Who asks and asks and reads no answer is too slow.
func TestV1AsksWithoutReading(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, _ := s.speak(t, "/", token(anybody))
	other, _ := s.speak(t, "/", token(anybody))
	many := bytes.Repeat(frame(fin|opText, `{"id":"0123456789012345678901234567890123456789012345678901234567890123","op":"ping"}`), 1000)
	for { // until the server does not read any more, or has dropped it
		if _, err := c.conn.Write(many); err != nil {
			break
		}
	}
	other.expectQuiet()
	s.awaitLog(t, "too slow")
	for {
		f, err := ws.ReadFrame(c.in)
		if err != nil {
			break // What was sent after the close may have reset the connection.
		}
		if f.Header.OpCode == ws.OpClose {
			if code, _ := ws.ParseCloseFrameData(f.Payload); code != 1013 {
				t.Errorf("closed with %d", code)
			}
			break
		}
	}
}

// No error shows a token, whatever is wrong with its request.
func TestV1ErrorsShowNoToken(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, _ := s.speak(t, "/", token(anybody))
	bad := token(`{"mode":"rw"`)
	for i, members := range []string{authorizing(bad), `"op":"` + bad + `"`, `"op":"subscribe","channels":1,"token":"` + bad + `"`, authorizing(bad[:len(bad)-5])} {
		c.send(fmt.Sprintf(`{"id":%d,%s}`, i, members))
		if text := c.receive(); tokenPattern.MatchString(text) {
			t.Errorf("the answer shows a token: %s", text)
		} else if !json.Valid([]byte(text)) {
			t.Errorf("no JSON: %s", text)
		}
	}
}
