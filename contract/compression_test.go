package contract_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// rsv1 marks a message as compressed, on its first frame (RFC 7692, section 6).
const rsv1 = 0x40

// chromiumsOffer is what browsers ask for.
const chromiumsOffer = "permessage-deflate; client_max_window_bits"

// flushed is the end of what a compressor has flushed. It is not sent.
const flushed = "\x00\x00\xff\xff"

// deflated compresses a message.
func deflated(text string) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	must(err)
	_, err = io.WriteString(w, text)
	must(err)
	must(w.Flush())
	return strings.TrimSuffix(b.String(), flushed)
}

// inflated undoes it, with no memory of what came before.
func inflated(t *testing.T, data []byte) string {
	t.Helper()
	const end = "\x01\x00\x00\xff\xff" // an empty last block
	text, err := io.ReadAll(flate.NewReader(strings.NewReader(string(data) + flushed + end)))
	check(t, err)
	return string(text)
}

// offering opens a websocket that offers an extension, and returns the server's answer to that.
func (s *server) offering(t *testing.T, path, subprotocol string, offers ...string) (c *client, accepted string) {
	t.Helper()
	header := http.Header{"Sec-WebSocket-Extensions": offers}
	if subprotocol != "" {
		header["Sec-WebSocket-Protocol"] = []string{subprotocol}
	}
	c, answer := s.shakeHands(t, path, header)
	values := answer.Values("Sec-WebSocket-Extensions")
	if len(values) > 1 {
		t.Errorf("accepted are %q", values)
	}
	return c, strings.Join(values, ", ")
}

// compressing opens a websocket of the classic protocol that has agreed on compression.
func (s *server) compressing(t *testing.T, path string) *client {
	t.Helper()
	c, accepted := s.offering(t, path, "", chromiumsOffer)
	if accepted == "" {
		t.Fatal("compression is not agreed to")
	}
	return c
}

// compressingV1 is the same for pgws.v1. It has received the frame ready.
func (s *server) compressingV1(t *testing.T, path string) *client {
	t.Helper()
	c, accepted := s.offering(t, path, "pgws.v1", chromiumsOffer)
	if accepted == "" {
		t.Fatal("compression is not agreed to")
	}
	if text, _ := c.receivePacked(); !strings.HasPrefix(text, `{"op":"ready"`) {
		t.Fatalf("got %s", text)
	}
	return c
}

// receivePacked returns the next message, and whether it came compressed.
func (c *client) receivePacked() (text string, packed bool) {
	c.t.Helper()
	check(c.t, c.conn.SetReadDeadline(time.Now().Add(patience)))
	f, err := ws.ReadFrame(c.in)
	check(c.t, err)
	if err := ws.CheckHeader(f.Header, ws.StateClientSide|ws.StateExtended); err != nil {
		c.t.Fatalf("the server's frame %+v: %v", f.Header, err)
	}
	if f.Header.OpCode != ws.OpText || !f.Header.Fin || f.Header.Rsv&^ws.Rsv(true, false, false) != 0 {
		c.t.Fatalf("got the frame %+v %.100q, want a text", f.Header, f.Payload)
	}
	if f.Header.Rsv1() {
		return inflated(c.t, f.Payload), true
	}
	return string(f.Payload), false
}

// Compression is agreed on when the client offers it in a way that the server can keep to, and the setting is not 0.
func TestCompressionNegotiated(t *testing.T) {
	t.Parallel()
	s, never := start(t, nil), start(t, env{"PGWS_COMPRESS_MIN_BYTES": "0"})
	const both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for name, tc := range map[string]struct {
		offers []string
		want   string
	}{
		"none":                  {nil, ""},
		"bare":                  {[]string{"permessage-deflate"}, both},
		"browsers'":             {[]string{chromiumsOffer}, both},
		"all":                   {[]string{`permessage-deflate; client_max_window_bits="10"; client_no_context_takeover;server_no_context_takeover`}, both},
		"the second one":        {[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, both},
		"on a second line":      {[]string{"x-other; a=b", "permessage-deflate"}, both},
		"a smaller window":      {[]string{"permessage-deflate; server_max_window_bits=10"}, ""},
		"an unknown parameter":  {[]string{"permessage-deflate; colour=red"}, ""},
		"another extension":     {[]string{"permessage-bzip2", "deflate-stream"}, ""},
		"a parameter in a name": {[]string{"x-permessage-deflate"}, ""},
	} {
		for protocol, subprotocol := range map[string]string{"classic": "", "v1": "pgws.v1"} {
			if _, got := s.offering(t, "/a/"+token(anybody), subprotocol, tc.offers...); got != tc.want {
				t.Errorf("%s, %s: accepted is %q, want %q", name, protocol, got, tc.want)
			}
			if _, got := never.offering(t, "/a/"+token(anybody), subprotocol, tc.offers...); got != "" {
				t.Errorf("%s, %s: accepted is %q where nothing is compressed", name, protocol, got)
			}
		}
	}
}

// Long messages come compressed to those who have agreed to that, short ones do not, and all see the same.
func TestMessagesCompressed(t *testing.T) {
	t.Parallel()
	const least = 500
	s := start(t, env{"PGWS_COMPRESS_MIN_BYTES": fmt.Sprint(least)})
	granted := token(`{"mode":"r"}`)
	packed, packedV1 := s.compressing(t, "/a/"+granted), s.compressingV1(t, "/a/"+granted)
	plain := s.dial(t, "/a/"+granted)
	plainV1, _ := s.speak(t, "/a", granted)
	message := func(length int) string {
		const empty = `{"channel":"a","x":""}`
		return strings.Replace(empty, `""`, `"`+strings.Repeat("hello ", 2000)[:length-len(empty)]+`"`, 1)
	}
	for _, tc := range []struct {
		text               string
		classic, ofV1, any bool
	}{
		{text: message(100)}, {text: message(least - 200)}, {text: message(least - 1), ofV1: true},
		{text: message(least), classic: true, ofV1: true}, {text: message(7000), classic: true, ofV1: true}, {text: message(7000), classic: true, ofV1: true},
		{text: `{"channel":"a","x":"` + strings.Repeat("日本🎈", 300) + `"}`, classic: true, ofV1: true},
		{text: `{"channel":"a","x":"` + base64URL(keys().rsa.N.Bytes()) + base64URL(keys().other.N.Bytes()) + `"}`, any: true},
		{text: message(200)},
	} {
		s.notify(t, tc.text)
		plain.expect(tc.text)
		want := plainV1.receive()
		for _, got := range []struct {
			name       string
			c          *client
			want       string
			compressed bool
		}{{"classic", packed, tc.text, tc.classic}, {"v1", packedV1, want, tc.ofV1}} {
			text, compressed := got.c.receivePacked()
			if diff := cmp.Diff(got.want, text); diff != "" {
				t.Errorf("%s (-want +got):\n%s", got.name, diff)
			}
			if compressed != got.compressed && !tc.any {
				t.Errorf("%s of %d bytes: compressed: %v", got.name, len(tc.text), compressed)
			}
		}
	}
}

// What a client compresses is understood, whole or in fragments, beside what it does not.
func TestCompressedByClients(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	long := strings.Repeat("日本 hello ", 300)
	ping := `{"id":1,"op":"ping","x":"` + long + `"}`
	cut := func(first byte, text string, between ...[]byte) []byte {
		data := deflated(text)
		half := (len(data) + 1) / 2
		return join(frame(first, data[:1]), join(between...), frame(opContinuation, data[1:half]), frame(opContinuation, ""), frame(fin|opContinuation, data[half:]))
	}
	stored := func(text string) string { // without compression, in a last block (RFC 7692, section 7.2.3.4)
		n := len(text)
		return "\x01" + string([]byte{byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}) + text + "\x00"
	}
	for name, write := range map[string]func(text string) []byte{
		"whole":                  func(text string) []byte { return frame(fin|rsv1|opText, deflated(text)) },
		"binary":                 func(text string) []byte { return frame(fin|rsv1|opBinary, deflated(text)) },
		"in fragments":           func(text string) []byte { return cut(rsv1|opText, text) },
		"a pong among fragments": func(text string) []byte { return cut(rsv1|opText, text, frame(fin|opPong, "")) },
		"not compressed":         func(text string) []byte { return frame(fin|opText, text) },
		"stored":                 func(text string) []byte { return frame(fin|rsv1|opText, stored(text)) },
		"an empty block before":  func(text string) []byte { return frame(fin|rsv1|opText, deflated("")+flushed+deflated(text)) },
	} {
		c := s.compressing(t, "/"+element(name)+"/"+token(anybody))
		v1 := s.compressingV1(t, "/"+token(`{"mode":"rw","channel":"x"}`))
		for _, text := range []string{"hello", long, ""} {
			c.raw(write(text))
			got, _ := c.receivePacked()
			if m := parseMessage(t, got); m.Payload != text {
				t.Errorf("%s: got %.50q, want %.50q", name, m.Payload, text)
			}
			if name == "binary" {
				continue // pgws.v1 is spoken in texts.
			}
			v1.raw(write(ping))
			if got, _ := v1.receivePacked(); got != `{"id":1,"op":"ok"}` {
				t.Errorf("%s: answered %s", name, got)
			}
		}
	}
}

// What RFC 7692 forbids, or what would grow beyond all limits, ends the connection.
func TestForbiddenCompression(t *testing.T) {
	t.Parallel()
	s, never := start(t, nil), start(t, env{"PGWS_COMPRESS_MIN_BYTES": "0"})
	bomb := deflated(strings.Repeat("\x00", 8<<20))
	bombs := strings.Repeat(deflated(strings.Repeat(" ", 1<<20))+flushed, 500)
	hello := deflated("hello")
	const protocol, wrong, tooBig = ws.StatusProtocolError, ws.StatusInvalidFramePayloadData, ws.StatusMessageTooBig
	for name, tc := range map[string]struct {
		data []byte
		code ws.StatusCode
	}{
		"a bomb":                     {frame(fin|rsv1|opText, bomb), tooBig},
		"a bomb in fragments":        {join(frame(rsv1|opText, bomb[:100]), frame(fin|opContinuation, bomb[100:])), tooBig},
		"a bomb of several":          {frame(fin|rsv1|opText, bombs), tooBig},
		"one byte too many":          {frame(fin|rsv1|opText, deflated(strings.Repeat("x", 1<<20+1))), tooBig},
		"garbage":                    {frame(fin|rsv1|opText, "hello, world"), wrong},
		"an unknown block":           {frame(fin|rsv1|opText, "\x07"), wrong},
		"garbage after a message":    {frame(fin|rsv1|opText, hello+flushed+"\x07"), wrong},
		"half a message":             {frame(fin|rsv1|opText, deflated(strings.Repeat("hello ", 1000))[:10]), wrong},
		"a distance too far":         {frame(fin|rsv1|opText, deflated("hello hello hello hello")[6:]), wrong},
		"not UTF-8":                  {frame(fin|rsv1|opText, deflated("\xFF")), wrong},
		"RSV1 on a ping":             {frame(fin|rsv1|opPing, hello), protocol},
		"RSV1 on a pong":             {frame(fin|rsv1|opPong, ""), protocol},
		"RSV1 on a close":            {frame(fin|rsv1|opClose, ""), protocol},
		"RSV1 on a continuation":     {join(frame(rsv1|opText, hello[:2]), frame(fin|rsv1|opContinuation, hello[2:])), protocol},
		"RSV1 on a continuation too": {join(frame(opText, "h"), frame(fin|rsv1|opContinuation, "i")), protocol},
		"RSV2":                       {frame(fin|rsv1|0x20|opText, hello), protocol},
		"RSV3":                       {frame(fin|0x10|opText, "hello"), protocol},
	} {
		t.Log(name)
		for _, c := range []*client{s.compressing(t, "/a/"+token(anybody)), s.compressingV1(t, "/"+token(`{"mode":"rw","channel":"b"}`))} {
			c.raw(tc.data)
			c.expectClose(tc.code)
		}
		if tc.code == protocol {
			c, _ := s.offering(t, "/a/"+token(anybody), "")
			c.raw(tc.data)
			c.expectClose(protocol)
		}
	}

	t.Log("Who has not agreed to compression, or was not agreed with, may not compress.")
	without, _ := s.offering(t, "/a/"+token(anybody), "")
	declined, _ := never.offering(t, "/a/"+token(anybody), "", chromiumsOffer)
	for _, c := range []*client{without, declined} {
		c.raw(frame(fin|rsv1|opText, hello))
		c.expectClose(protocol)
	}

	t.Log("The limit of a first message is that of its text.")
	c, _ := s.offering(t, "/a", "pgws.v1", chromiumsOffer)
	c.raw(frame(fin|rsv1|opText, deflated(`{"id":1,"op":"auth","token":"`+strings.Repeat("x", 17<<10)+`"}`)))
	c.expectClose(tooBig)

	t.Log("A message of the greatest length is none too much.")
	v1 := s.compressingV1(t, "/"+token(`{"mode":"rw","channel":"b"}`))
	const empty = `{"id":1,"op":"ping","x":""}`
	v1.raw(frame(fin|rsv1|opText, deflated(strings.Replace(empty, `""`, `"`+strings.Repeat("x", 128<<10-len(empty))+`"`, 1))))
	if got, _ := v1.receivePacked(); got != `{"id":1,"op":"ok"}` {
		t.Errorf("got %s", got)
	}
}
