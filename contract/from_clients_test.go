package contract_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// What PostgreSQL is sent, and what clients receive, is this to the byte. Keys of the token come in their order of names.
func TestMessageBytes(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	c := s.dial(t, "/chat/"+token(`{"mode":"rw"}`))
	before := time.Now()
	c.send(`<hello> & "you"\`)
	text := heard.receive()
	after := time.Now()
	c.expect(text)

	pattern := `^{"event":"WebsocketMessage","channel":"chat","payload":` + regexp.QuoteMeta(`"<hello> & \"you\"\\"`) +
		`,"claims":{"mode":"rw","message_delivered_at":([0-9]+\.[0-9]+)}}$`
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("got %s\nwant %s", text, pattern)
	}
	seconds, err := strconv.ParseFloat(match[1], 64)
	check(t, err)
	const microsecond = 1e-6 // Clocks are read in parts of it.
	if low, high := unixSeconds(before)-microsecond, unixSeconds(after)+microsecond; seconds < low || seconds > high {
		t.Errorf("delivered at %s, not between %.6f and %.6f", match[1], low, high)
	}
}

func unixSeconds(moment time.Time) float64 { return float64(moment.UnixMicro()) / 1e6 }

func TestPayloads(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial(t, "/chat/"+token(anybody))
	var ascii strings.Builder
	for b := range 128 {
		ascii.WriteByte(byte(b))
	}
	for name, text := range map[string]string{
		"empty":               "",
		"all of ASCII":        ascii.String(),
		"JSON":                `{"a":[1,"two",null]}`,
		"quotes, backslashes": `"'\" \\ \u0041 \n`,
		"HTML":                `<script>alert("&amp;")</script>`,
		"beyond ASCII":        "äöü ß 日本語 \u00a0\u2028\u2029\ufeff\ufffd\uffff",
		"beyond 16 bits":      "🎈👩‍👩‍👧‍👦\U0010ffff",
		"SQL":                 `'); drop table students; --`,
	} {
		t.Log(name)
		c.send(text)
		if diff := cmp.Diff(text, c.receiveMessage().Payload); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		c.write(ws.NewBinaryFrame([]byte(text)))
		if diff := cmp.Diff(text, c.receiveMessage().Payload); diff != "" {
			t.Errorf("%s, in a binary frame (-want +got):\n%s", name, diff)
		}
	}
}

// Claims of any type come through as they are; message_delivered_at alone is the server's.
func TestClaims(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for name, claims := range map[string]string{
		"null":                    `{"mode":"rw","nothing":null}`,
		"booleans":                `{"mode":"rw","yes":true,"no":false}`,
		"nested":                  `{"mode":"rw","a":{"b":{"c":[{"d":[[],{}]}]},"n":null}}`,
		"big and small numbers":   `{"mode":"rw","n":[12345678901234567890123,-0.1,1e300,1.5E-7,9007199254740993,1.10]}`,
		"beyond ASCII":            `{"mode":"rw","größe":"日本語 🎈","escaped":"\u00e4\ud83c\udf88"}`,
		"HTML":                    `{"mode":"rw","<b>&":"<script>&'\"</script>"}`,
		"control characters":      `{"mode":"rw","text":"a\u0000\n\t\u001f\"\\\/"}`,
		"empty":                   `{"mode":"rw","":"","list":[],"object":{}}`,
		"those with a meaning":    `{"mode":"rw","channel":"chat","channels":["chat","talk"],"exp":4000000000,"nbf":1.5,"iat":1,"iss":"us","aud":["a"],"sub":"ann"}`,
		"delivered at a number":   `{"mode":"rw","message_delivered_at":1}`,
		"delivered at a string":   `{"mode":"rw","message_delivered_at":"yesterday","z":1}`,
		"whitespace":              "{ \"mode\" : \"rw\" ,\n\t\"a\" : [ 1 , 2 ] }",
		"payload and event":       `{"mode":"rw","payload":"mine","event":"mine"}`,
		"names that look escaped": `{"mode":"rw","a\u0062":"b","a.b":"c","a\\b":"d"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := element(name)
			if strings.Contains(claims, `"channel"`) {
				channel = "chat"
			}
			c := s.dial(t, "/"+channel+"/"+token(claims))
			c.send("hello")
			text := c.receive()
			got := parseMessage(t, text).Claims
			stamp, _ := got["message_delivered_at"].(json.Number)
			if seconds, err := stamp.Float64(); err != nil || seconds < 1.7e9 || !strings.Contains(stamp.String(), ".") {
				t.Errorf("delivered at %v", got["message_delivered_at"])
			}
			if n := strings.Count(text, `"message_delivered_at"`); n != 1 {
				t.Errorf("%d times delivered: %s", n, text)
			}
			delete(got, "message_delivered_at")
			want := parseMessage(t, `{"claims":`+claims+`}`).Claims
			delete(want, "message_delivered_at")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

// element makes a path element of a test's name.
func element(name string) string { return strings.ReplaceAll(name, " ", "-") }

// A message of a connection with several channels is one NOTIFY for each.
func TestMessageForSeveralChannels(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	c := s.dial(t, "/"+token(`{"mode":"rw","channel":"a","channels":["b","a","c"]}`))
	b := s.dial(t, "/b/"+token(`{"mode":"r"}`))
	c.send("to all", "again")
	var channels []string
	for range 6 {
		m := parseMessage(t, heard.receive())
		channels = append(channels, m.Channel+" "+m.Payload)
	}
	want := []string{"a to all", "b to all", "c to all", "a again", "b again", "c again"}
	if diff := cmp.Diff(want, channels); diff != "" {
		t.Errorf("notifications (-want +got):\n%s", diff)
	}
	for _, text := range want {
		if m := c.receiveMessage(); m.Channel+" "+m.Payload != text {
			t.Errorf("got %s %s, want %s", m.Channel, m.Payload, text)
		}
	}
	if got := payloads(b.receiveMessage(), b.receiveMessage()); got != "to all,again" {
		t.Errorf("b receives %q", got)
	}
	b.expectPong()
}

// PostgreSQL folds equal notifications of one transaction; equal messages arrive all the same, each with its own time,
// whether one client has sent them or two with one token.
func TestEqualMessages(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	one, two := s.dial(t, "/chat/"+token(`{"mode":"w"}`)), s.dial(t, "/chat/"+token(`{"mode":"w"}`))
	watcher := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	const count = 500
	texts := make([]string, count)
	for i := range texts {
		texts[i] = "the same"
	}
	one.send(texts...)
	two.send(texts...)
	times := map[json.Number]bool{}
	for range 2 * count {
		m := watcher.receiveMessage()
		at := m.Claims["message_delivered_at"].(json.Number)
		if m.Payload != "the same" || times[at] {
			t.Fatalf("got %q at %s, again: %v", m.Payload, at, times[at])
		}
		times[at] = true
	}
	watcher.expectPong()
}

// A payload of 7999 bytes passes, one of 8000 closes its sender with a reason, and nothing else is lost.
func TestLongestPayload(t *testing.T) {
	t.Parallel()
	const longest = 7999
	s := start(t, nil)
	for name, tc := range map[string]struct{ fill, claims string }{
		"ASCII":           {"x", ``},
		"two bytes":       {"ä", ``},
		"four bytes":      {"🎈", ``},
		"escaped":         {`"`, ``},
		"control":         {"\x01", ``},
		"HTML":            {"<", ``},
		"beside a claim":  {"x", `,"long":"` + strings.Repeat("y", 5000) + `"`},
		"several at once": {"x", `,"channels":["short","a channel with a longer name"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "/" + element(name) + "/" + token(`{"mode":"rw"`+tc.claims+`}`)
			if strings.Contains(tc.claims, "channels") {
				path = "/" + token(`{"mode":"rw"`+tc.claims+`}`)
			}
			channels := 1 + strings.Count(tc.claims, `","`)
			c := s.dial(t, path)
			c.send("")
			empty := 0 // bytes of an empty payload, the longest channel's
			for range channels {
				empty = max(empty, len(c.receive()))
			}
			// Fill what is left, with single bytes at the end.
			each := len(mustJSON(tc.fill)) - len(`""`)
			fits := strings.Repeat(tc.fill, (longest-empty)/each) + strings.Repeat("x", (longest-empty)%each)
			c.send(fits)
			received := 0
			for range channels {
				text := c.receive()
				received = max(received, len(text))
				if got := parseMessage(t, text).Payload; got != fits {
					t.Errorf("got %d bytes of payload, want %d", len(got), len(fits))
				}
			}
			if received != longest {
				t.Fatalf("the longest notification has %d bytes", received)
			}
			other := s.dial(t, path)
			c.send("before")
			for range channels {
				if got := c.receiveMessage().Payload; got != "before" {
					t.Errorf("got %q, want what was sent before", got)
				}
			}
			c.send(fits+"x", "after")
			if reason := c.expectClose(ws.StatusMessageTooBig); reason == "" {
				t.Error("closed without a reason")
			}
			other.send("of another")
			for _, want := range []string{"before", "of another"} {
				for range channels {
					if got := other.receiveMessage().Payload; got != want {
						t.Errorf("another receives %d bytes %.20q, want %q", len(got), got, want)
					}
				}
			}
		})
	}
}

// mustJSON writes a string as pgws does: HTML characters stand for themselves.
func mustJSON(text string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	must(encoder.Encode(text))
	return strings.TrimSpace(b.String())
}

// Many messages of one sender stay in order.
func TestSendersOrder(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial(t, "/chat/"+token(anybody))
	watcher := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	const count = 10_000
	sent := make(chan error, 1)
	go func() {
		var data []byte
		for i := range count {
			data = append(data, masked(textFrame(fmt.Sprint(i)))...)
		}
		_, err := c.conn.Write(data)
		sent <- err
	}()
	for i := range count {
		for _, receiver := range []*client{c, watcher} {
			if got := receiver.receiveMessage().Payload; got != fmt.Sprint(i) {
				t.Fatalf("got %s, want %d", got, i)
			}
		}
	}
	check(t, <-sent)
	c.expectPong()
	watcher.expectPong()
}

// A token without any claim, which a default mode allows, sends messages as any other.
func TestTokenWithoutClaims(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_DEFAULT_MODE": "rw"})
	for _, claims := range []string{`{}`, `{"message_delivered_at":1}`} {
		c := s.dial(t, "/chat/"+token(claims))
		c.send("hello")
		if m := c.receiveMessage(); m.Payload != "hello" || len(m.Claims) != 1 {
			t.Errorf("%s: got %+v", claims, m)
		}
	}
}
