package contract_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// frame writes a frame by hand: its first byte, and its payload with a mask.
func frame(first byte, payload string) []byte {
	mask := [4]byte{0x37, 0xFA, 0x21, 0x3D}
	data := []byte{first}
	switch n := len(payload); {
	case n < 126:
		data = append(data, 0x80|byte(n))
	case n <= 0xFFFF:
		data = binary.BigEndian.AppendUint16(append(data, 0x80|126), uint16(n))
	default:
		data = binary.BigEndian.AppendUint64(append(data, 0x80|127), uint64(n))
	}
	data = append(data, mask[:]...)
	for i := range len(payload) {
		data = append(data, payload[i]^mask[i%4])
	}
	return data
}

// First bytes of frames.
const (
	fin          = 0x80
	continuation = 0x0
	text         = 0x1
	binaryText   = 0x2
	closing      = 0x8
	ping         = 0x9
	pong         = 0xA
)

// closeWith is a close frame with a code and a reason.
func closeWith(code int, reason string) []byte {
	return frame(fin|closing, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// What RFC 6455 forbids ends the connection with the code that it asks for, whatever the client may do.
func TestForbiddenFrames(t *testing.T) { //nolint:tparallel // The subtests have nothing to wait for.
	t.Parallel()
	const protocol, notUTF8, tooBig = ws.StatusProtocolError, ws.StatusInvalidFramePayloadData, ws.StatusMessageTooBig
	type forbidden struct {
		data []byte
		code ws.StatusCode
	}
	cases := map[string]forbidden{
		"unmasked text":                      {[]byte{fin | text, 2, 'h', 'i'}, protocol},
		"unmasked empty text":                {[]byte{fin | text, 0}, protocol},
		"unmasked ping":                      {[]byte{fin | ping, 0}, protocol},
		"unmasked close":                     {[]byte{fin | closing, 0}, protocol},
		"first reserved bit":                 {frame(fin|0x40|text, "hi"), protocol},
		"second reserved bit":                {frame(fin|0x20|text, "hi"), protocol},
		"third reserved bit":                 {frame(fin|0x10|text, "hi"), protocol},
		"a reserved bit in a ping":           {frame(fin|0x40|ping, ""), protocol},
		"a reserved bit in a continuation":   {join(frame(text, "h"), frame(fin|0x40|continuation, "i")), protocol},
		"a ping in fragments":                {frame(ping, "hi"), protocol},
		"a close in fragments":               {frame(closing, ""), protocol},
		"a ping of 126 bytes":                {frame(fin|ping, strings.Repeat("x", 126)), protocol},
		"a pong of 126 bytes":                {frame(fin|pong, strings.Repeat("x", 126)), protocol},
		"a close of 126 bytes":               {closeWith(1000, strings.Repeat("x", 124)), protocol},
		"a continuation of nothing":          {frame(fin|continuation, "hi"), protocol},
		"a continuation without end":         {frame(continuation, "hi"), protocol},
		"a continuation after the end":       {join(frame(text, "a whole"), frame(fin|continuation, " message"), frame(fin|continuation, "!")), protocol},
		"a text among fragments":             {join(frame(text, "h"), frame(fin|text, "i")), protocol},
		"another beginning among fragments":  {join(frame(text, "h"), frame(binaryText, "i")), protocol},
		"a length not in its shortest form":  {[]byte{fin | text, 0x80 | 126, 0, 2, 0, 0, 0, 0, 'h', 'i'}, protocol},
		"a long length not in its shortest":  {[]byte{fin | text, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 'h', 'i'}, protocol},
		"a length below zero":                {[]byte{fin | text, 0x80 | 127, 0xFF, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 'h', 'i'}, protocol},
		"a close of one byte":                {frame(fin|closing, "\x03"), protocol},
		"a close whose reason is not UTF-8":  {closeWith(1000, "\xFF"), notUTF8},
		"a binary frame that is not UTF-8":   {frame(fin|binaryText, "\xFF\x00"), notUTF8},
		"not UTF-8 among fragments":          {join(frame(text, "h"), frame(continuation, "\xFF"), frame(fin|continuation, "i")), notUTF8},
		"a character cut by the last":        {join(frame(text, "h"), frame(fin|continuation, "\xE6\x97")), notUTF8},
		"a message over the limit":           {frame(fin|text, strings.Repeat("x", 1<<20+1)), tooBig},
		"the promise of one":                 {frame(fin|text, strings.Repeat("x", 1<<20+1))[:14], tooBig},
		"the promise of a gigantic one":      {[]byte{fin | text, 0x80 | 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, tooBig},
		"fragments over the limit":           {join(frame(text, strings.Repeat("x", 1<<19)), frame(continuation, strings.Repeat("x", 1<<19)), frame(fin|continuation, "x")), tooBig},
		"a good one, then an unmasked frame": {join(frame(fin|pong, ""), []byte{fin | text, 0}), protocol},
	}
	for _, op := range []byte{0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF} {
		cases[fmt.Sprintf("opcode %#x", op)] = forbidden{frame(fin|op, ""), protocol}
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases[fmt.Sprintf("close code %d", code)] = forbidden{closeWith(code, "why"), protocol}
	}
	for name, bad := range map[string]string{
		"a lone continuation byte": "\x80", "a cut character": "ä\xC3", "an overlong slash": "\xC0\xAF",
		"an overlong nul": "\xE0\x80\x80", "a surrogate": "\xED\xA0\x80", "beyond Unicode": "\xF4\x90\x80\x80",
		"five bytes": "\xF8\x88\x80\x80\x80", "Latin-1": "gr\xFC\xDFe",
	} {
		cases["text with "+name] = forbidden{frame(fin|text, bad), notUTF8}
	}
	s := start(t, nil)
	heard := s.listen(t)
	// All are sent before any answer is awaited: the server takes its time to end a connection that went wrong.
	clients := map[string]*client{}
	for name, tc := range cases {
		for _, mode := range []string{"r", "w"} {
			c := s.dial(t, "/"+mode+"/"+token(`{"mode":"`+mode+`"}`))
			c.raw(tc.data)
			clients[name+", "+mode] = c
		}
	}
	for name, c := range clients {
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.expectClose(cases[name[:strings.LastIndex(name, ",")]].code)
		})
	}
	s.dial(t, "/chat/"+token(anybody)).send("the last message")
	for m := ""; m != "the last message"; {
		if m = parseMessage(t, heard.receive()).Payload; m != "the last message" && m != "a whole message" {
			t.Errorf("%q was sent on", m)
		}
	}
}

// What RFC 6455 allows is understood.
func TestAllowedFrames(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	long := strings.Repeat("x", 7000)
	for name, tc := range map[string]struct {
		data    []byte
		answers []string // pongs' payloads after "pong ", else messages
	}{
		"a text":                         {frame(fin|text, "hi"), []string{"hi"}},
		"a binary frame":                 {frame(fin|binaryText, "hi"), []string{"hi"}},
		"16 bits of length":              {frame(fin|text, long), []string{long}},
		"fragments":                      {join(frame(text, "one "), frame(continuation, "two "), frame(fin|continuation, "three")), []string{"one two three"}},
		"binary fragments":               {join(frame(binaryText, "one "), frame(fin|continuation, "two")), []string{"one two"}},
		"empty fragments":                {join(frame(text, ""), frame(continuation, ""), frame(continuation, "hi"), frame(fin|continuation, "")), []string{"hi"}},
		"a character in pieces":          {join(frame(text, "日\xE6"), frame(continuation, "\x9C"), frame(fin|continuation, "\xAC本")), []string{"日本本"}},
		"a ping":                         {frame(fin|ping, "hello"), []string{"pong hello"}},
		"an empty ping":                  {frame(fin|ping, ""), []string{"pong "}},
		"a ping of 125 bytes":            {frame(fin|ping, long[:125]), []string{"pong " + long[:125]}},
		"a ping of any bytes":            {frame(fin|ping, "\xFF\x00"), []string{"pong \xFF\x00"}},
		"pings":                          {join(frame(fin|ping, "1"), frame(fin|ping, "2")), []string{"pong 1", "pong 2"}},
		"pongs that nobody asked for":    {join(frame(fin|pong, ""), frame(fin|pong, "hello"), frame(fin|text, "hi")), []string{"hi"}},
		"a ping among fragments":         {join(frame(text, "one "), frame(fin|ping, "now"), frame(continuation, "two "), frame(fin|pong, ""), frame(fin|continuation, "three")), []string{"pong now", "one two three"}},
		"many in one write":              {join(frame(fin|text, "1"), frame(fin|text, "2"), frame(fin|text, "3")), []string{"1", "2", "3"}},
		"one whose payload looks framed": {frame(fin|text, "\x01\x02GET / HTTP/1.1\r\n\r\n"), []string{"\x01\x02GET / HTTP/1.1\r\n\r\n"}},
	} {
		for way, write := range map[string]func(*client, []byte){
			"at once":      (*client).raw,
			"byte by byte": (*client).rawBytes,
		} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				c := s.dial(t, "/"+element(name+way)+"/"+token(anybody))
				write(c, tc.data)
				for _, want := range tc.answers {
					f := c.next()
					got := "pong " + string(f.Payload)
					if f.Header.OpCode == ws.OpText {
						got = parseMessage(t, string(f.Payload)).Payload
					}
					if got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
				c.expectPong()
			})
		}
	}
}

// rawBytes sends each byte in a write of its own.
func (c *client) rawBytes(data []byte) {
	c.t.Helper()
	for i := range data {
		c.raw(data[i : i+1])
	}
}

// A client's close is answered with its code, and what comes after it is not read. So it is for a client that only
// receives, which the original leaves without pong and answer.
func TestClosesOfClients(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, mode := range []string{"r", "w", "rw"} {
		for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
			t.Run(fmt.Sprint(mode, " ", code), func(t *testing.T) {
				t.Parallel()
				c := s.dial(t, "/chat/"+token(`{"mode":"`+mode+`"}`))
				c.expectPong()
				c.raw(join(closeWith(code, "I go"), frame(fin|text, "not read"), []byte("nor this")))
				c.expectClose(ws.StatusCode(code))
			})
		}
		t.Run(mode+" without a code", func(t *testing.T) {
			t.Parallel()
			c := s.dial(t, "/chat/"+token(`{"mode":"`+mode+`"}`))
			c.raw(frame(fin|closing, ""))
			c.expectClose(ws.StatusNoStatusRcvd)
		})
		t.Run(mode+" half", func(t *testing.T) {
			t.Parallel()
			c := s.dial(t, "/chat/"+token(`{"mode":"`+mode+`"}`))
			check(t, c.conn.(*net.TCPConn).CloseWrite())
			c.expectEnd()
		})
		t.Run(mode+" without a word", func(t *testing.T) {
			t.Parallel()
			c := s.dial(t, "/chat/"+token(`{"mode":"`+mode+`"}`))
			check(t, c.conn.Close())
		})
	}
}

// The limit of a message is a setting. What it lets through and PostgreSQL cannot carry is refused all the same.
func TestMaxMessageBytes(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_MAX_MESSAGE_BYTES": "100"})
	c := s.dial(t, "/chat/"+token(anybody))
	c.send(strings.Repeat("x", 100))
	if got := len(c.receiveMessage().Payload); got != 100 {
		t.Errorf("got %d bytes", got)
	}
	c.send(strings.Repeat("x", 101))
	if reason := c.expectClose(ws.StatusMessageTooBig); !strings.Contains(reason, "100") {
		t.Errorf("the reason is %q", reason)
	}
}
