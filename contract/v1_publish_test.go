package contract_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// A payload stands in the notification as it is: a string as its text, any other JSON value to the digit. The receipt has
// the stamp that stands in the claims.
func TestV1Payloads(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	sender, _ := s.speak(t, "/", token(`{"mode":"w","name":"ann"}`))
	watcher, _ := s.speak(t, "/a", token(`{"mode":"r"}`))
	same := func(values ...string) map[string]string {
		cases := map[string]string{}
		for _, value := range values {
			cases[value] = value
		}
		return cases
	}
	cases := same(`"hello"`, `""`, `null`, `true`, `false`, `0`, `-0`, `1.10`, `1E+2`, `-1.5e-300`, `1e999`,
		`12345678901234567890123456789.012345678901234567890`, `{}`, `[]`, `[[],{},"",null]`, `{"b":1,"a":{"c":[1,{"d":null}]}}`,
		`{"a":1,"a":2}`, `{"":""}`, `"\u0000"`, `{"\u0000":"\u0000"}`, `{"a":"\u00e4\/\ud83c\udf88"}`, `["\ud800"]`,
		`{"a":"<b>&'\"\\"}`, `"<b>&'"`, "\"\u2028\u2029\u00a0\ufeff\U0010ffff\"", "[\"\u2028🎈\"]", `{"op":"ready","channel":"b","payload":"c"}`,
		`[`+strings.Repeat("[", 900)+strings.Repeat("]", 900)+`]`, `["`+strings.Repeat("x", 7000)+`"]`, `"'); drop table students; --"`)
	cases[`"\u0041\/\ud83c\udf88\n"`] = `"A/🎈\n"`
	cases["{ \"a\" :\n[ 1 ,\t2 ] }\r\n"] = `{"a":[1,2]}`
	for payload, want := range cases {
		answer := sender.expectOK(`"op":"publish","channel":"a","payload":` + payload)
		notification := heard.receive()
		if diff := cmp.Diff(v1Frame{Op: "ok", DeliveredAt: answer.DeliveredAt}, answer); diff != "" {
			t.Errorf("%.50s is answered (-want +got):\n%s", payload, diff)
		}
		text := fmt.Sprintf(`{"event":"WebsocketMessage","channel":"a","payload":%s,"claims":{"mode":"w","name":"ann","message_delivered_at":%s}}`,
			want, answer.DeliveredAt)
		if diff := cmp.Diff(text, notification); diff != "" {
			t.Errorf("%.50s (-want +got):\n%s", payload, diff)
		}
		watcher.expectNotification("a", notification)
	}
	watcher.expectQuiet()
}

// A message is answered when PostgreSQL has committed it, not when it is taken.
func TestV1ReceiptAfterCommit(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	network, through := behindProxy(t, uri)
	s := start(t, env{"PGWS_DB_URI": through, "PGWS_CHECK_LISTENER_INTERVAL": "60000"}) // A loss is noticed at once.
	s.uri = uri
	heard := s.listen(t)
	c, _ := s.speak(t, "/a", token(anybody))
	c.sent(publishing("a", "before"), heard)
	network.silence()
	text, id := c.request(publishing("a", "meanwhile"))
	c.send(text)
	c.expectQuiet() // Its answer does not come, although a later request is answered.
	network.speak()
	c.expectGap("a")
	m := parseMessage(t, heard.receive())
	var answer v1Frame
	for range 2 { // the answer, and the message
		if f := c.hear(); string(f.ID) == id {
			answer = f
		}
	}
	if answer.Op != "ok" || m.Payload != "meanwhile" || m.Claims["message_delivered_at"] != answer.DeliveredAt {
		t.Errorf("PostgreSQL was sent %+v, and the answer is %+v", m, answer)
	}
	c.expectQuiet()
}

// A token says which channels one may send to, and whether one may.
func TestV1PublishForbidden(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	reader, _ := s.speak(t, "/a", token(`{"mode":"r"}`))
	reader.expectError(publishing("a", "by r"), "forbidden")
	narrow, _ := s.speak(t, "/a", token(`{"mode":"rw","channels":["a","b"]}`))
	for _, channel := range []string{"c", "A", "", "a ", "b,a"} {
		narrow.expectError(publishing(channel, "not granted"), "forbidden")
	}
	narrow.expectOK(publishing("b", "granted, and not open"))
	narrow.expectQuiet()
	anywhere, _ := s.speak(t, "/", token(`{"mode":"w"}`))
	anywhere.expectOK(publishing(`any "channel", ä`, "granted"))
	for _, want := range []string{"b granted, and not open", `any "channel", ä granted`} {
		if m := parseMessage(t, heard.receive()); m.Channel+" "+m.Payload != want {
			t.Errorf("got %+v", m)
		}
	}
	reader.expectQuiet()
}

// PostgreSQL's limit is an answer; the connection stays.
func TestV1TooLarge(t *testing.T) {
	t.Parallel()
	const longest = 7999
	s := start(t, nil)
	heard := s.listen(t)
	for name, tc := range map[string]struct{ claims, before, fill, after string }{
		"a string":        {``, `"`, `x`, `"`},
		"escapes":         {``, `"`, `\u0001`, `"`},
		"quotes":          {``, `"`, `\"`, `"`},
		"a number":        {``, `1`, `0`, ``},
		"beyond ASCII":    {``, `["`, `ä`, `"]`},
		"a list":          {``, `[0`, `,1`, `]`},
		"beside a claim":  {`,"long":"` + strings.Repeat("y", 5000) + `"`, `"`, `x`, `"`},
		"a claim too big": {`,"long":"` + strings.Repeat("y", 8000) + `"`, `"`, `x`, `"`},
	} {
		c, _ := s.speak(t, "/a", token(`{"mode":"rw"`+tc.claims+`}`))
		publish := func(count int) string {
			return `"op":"publish","channel":"a","payload":` + tc.before + strings.Repeat(tc.fill, count) + tc.after
		}
		if name == "a claim too big" {
			c.expectError(publish(0), "too_large")
			c.expectQuiet()
			continue
		}
		empty := len(c.sent(publish(0), heard))
		most := (longest - empty) / len(tc.fill)
		if got := len(c.sent(publish(most), heard)); got <= longest-len(tc.fill) || got > longest {
			t.Errorf("%s: the longest notification has %d bytes", name, got)
		}
		c.expectError(publish(most+1), "too_large")
		c.expectError(publish(20_000), "too_large")
		c.sent(publish(1), heard)
		c.expectQuiet()
	}
}

// sent publishes, and returns what PostgreSQL is sent. It must come back, too.
func (c *v1Client) sent(members string, heard *hearer) (notification string) {
	c.t.Helper()
	text, id := c.request(members)
	c.send(text)
	notification = heard.receive()
	for i := range 2 {
		text := c.receive()
		var f v1Frame
		check(c.t, json.Unmarshal([]byte(text), &f))
		switch {
		case string(f.ID) == id && f.Op == "ok":
		case f.Op == "message" && strings.HasSuffix(text, `"payload":`+notification+`}`):
		default:
			c.t.Fatalf("frame %d is %.300s", i, text)
		}
	}
	return notification
}

// More than PGWS_MAX_MESSAGE_BYTES ends the connection.
func TestV1MaxMessageBytes(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_MAX_MESSAGE_BYTES": "1000"})
	ping := func(length int) string {
		const empty = `{"id":1,"op":"ping","x":""}`
		return strings.Replace(empty, `""`, `"`+strings.Repeat("x", length-len(empty))+`"`, 1)
	}
	for name, data := range map[string][]byte{
		"a frame":   frame(fin|opText, ping(1001)),
		"fragments": join(frame(opText, ping(1001)[:600]), frame(fin|opContinuation, ping(1001)[600:])),
		"a promise": frame(fin|opText, ping(1001))[:8],
	} {
		c, _ := s.speak(t, "/", token(anybody))
		c.send(ping(1000))
		if got := c.receive(); got != `{"id":1,"op":"ok"}` {
			t.Errorf("%s: got %s", name, got)
		}
		c.raw(data)
		if reason := c.expectClose(ws.StatusMessageTooBig); !strings.Contains(reason, "1000") {
			t.Errorf("%s: the reason is %q", name, reason)
		}
	}
}

// So does more than 256 KiB, which no request needs.
func TestV1LongestFrame(t *testing.T) {
	t.Parallel()
	const longest = 256 << 10
	s := start(t, nil)
	ping := func(length int) string { return `{"id":1,"op":"ping"` + strings.Repeat(" ", length-20) + `}` }
	for name, data := range map[string][]byte{
		"a promise":  frame(fin|opText, ping(longest+1))[:14],
		"compressed": frame(fin|rsv1|opText, deflated(ping(longest+1))),
	} {
		c := s.compressingV1(t, "/"+token(anybody))
		c.send(ping(longest))
		if got := c.receive(); got != `{"id":1,"op":"ok"}` {
			t.Errorf("%s: got %s", name, got)
		}
		c.raw(data)
		c.expectClose(ws.StatusMessageTooBig)
	}
}

// What is over the rate is answered so and not sent; later messages are sent again.
func TestV1Rate(t *testing.T) {
	t.Parallel()
	const rate, count = 5, 100
	s := start(t, env{"PGWS_MESSAGE_RATE": fmt.Sprint(rate)})
	heard := s.listen(t)
	c, _ := s.speak(t, "/", token(anybody))
	other, _ := s.speak(t, "/", token(anybody))
	var texts []string
	for i := range count {
		text, _ := c.request(publishing("a", fmt.Sprint(i+1)))
		texts = append(texts, text)
	}
	c.send(texts...)
	taken, refused := []string{}, 0
	for range count {
		switch f := c.hear(); {
		case f.Op == "ok":
			taken = append(taken, string(f.ID))
		case f.Code == "rate_limited" && f.Message != "" && !f.Uncertain:
			refused++
		default:
			t.Fatalf("got %+v", f)
		}
	}
	if len(taken) < rate || refused == 0 {
		t.Errorf("%d were taken, and %d refused", len(taken), refused)
	}
	other.expectOK(publishing("a", "by another connection"))
	programtest.Eventually(t, "messages are taken again", func() bool { return c.ask(publishing("a", "later")).Op == "ok" })
	got := []string{}
	for {
		text := parseMessage(t, heard.receive()).Payload
		if text == "by another connection" {
			break
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(taken, got); diff != "" {
		t.Errorf("PostgreSQL was sent (-taken +got):\n%s", diff)
	}
	if text := parseMessage(t, heard.receive()).Payload; text != "later" {
		t.Errorf("PostgreSQL was sent %q", text)
	}
}
