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

// First bytes of frames: the bit of the last fragment, and the opcodes.
const (
	fin            = 0x80
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// closeWith is a close frame with a code and a reason.
func closeWith(code int, reason string) []byte {
	return frame(fin|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// What RFC 6455 forbids ends the connection with the code that it asks for, also that of a client that only receives.
func TestForbiddenFrames(t *testing.T) { //nolint:tparallel // The subtests have nothing to wait for.
	t.Parallel()
	const protocol, notUTF8, tooBig = ws.StatusProtocolError, ws.StatusInvalidFramePayloadData, ws.StatusMessageTooBig
	type forbidden struct {
		data []byte
		code ws.StatusCode
	}
	cases := map[string]forbidden{
		"unmasked text":                      {[]byte{fin | opText, 2, 'h', 'i'}, protocol},
		"unmasked empty text":                {[]byte{fin | opText, 0}, protocol},
		"unmasked ping":                      {[]byte{fin | opPing, 0}, protocol},
		"unmasked close":                     {[]byte{fin | opClose, 0}, protocol},
		"first reserved bit":                 {frame(fin|0x40|opText, "hi"), protocol},
		"second reserved bit":                {frame(fin|0x20|opText, "hi"), protocol},
		"third reserved bit":                 {frame(fin|0x10|opText, "hi"), protocol},
		"a reserved bit in a ping":           {frame(fin|0x40|opPing, ""), protocol},
		"a reserved bit in a continuation":   {join(frame(opText, "h"), frame(fin|0x40|opContinuation, "i")), protocol},
		"a ping in fragments":                {frame(opPing, "hi"), protocol},
		"a close in fragments":               {frame(opClose, ""), protocol},
		"a ping of 126 bytes":                {frame(fin|opPing, strings.Repeat("x", 126)), protocol},
		"a pong of 126 bytes":                {frame(fin|opPong, strings.Repeat("x", 126)), protocol},
		"a close of 126 bytes":               {closeWith(1000, strings.Repeat("x", 124)), protocol},
		"a continuation of nothing":          {frame(fin|opContinuation, "hi"), protocol},
		"a continuation without end":         {frame(opContinuation, "hi"), protocol},
		"a continuation after the end":       {join(frame(opText, "a whole"), frame(fin|opContinuation, " message"), frame(fin|opContinuation, "!")), protocol},
		"a text among fragments":             {join(frame(opText, "h"), frame(fin|opText, "i")), protocol},
		"another beginning among fragments":  {join(frame(opText, "h"), frame(opBinary, "i")), protocol},
		"a length not in its shortest form":  {[]byte{fin | opText, 0x80 | 126, 0, 2, 0, 0, 0, 0, 'h', 'i'}, protocol},
		"a long length not in its shortest":  {[]byte{fin | opText, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 'h', 'i'}, protocol},
		"a length below zero":                {[]byte{fin | opText, 0x80 | 127, 0xFF, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 'h', 'i'}, protocol},
		"a close of one byte":                {frame(fin|opClose, "\x03"), protocol},
		"a close whose reason is not UTF-8":  {closeWith(1000, "\xFF"), notUTF8},
		"a binary frame that is not UTF-8":   {frame(fin|opBinary, "\xFF\x00"), notUTF8},
		"not UTF-8 among fragments":          {join(frame(opText, "h"), frame(opContinuation, "\xFF"), frame(fin|opContinuation, "i")), notUTF8},
		"a character cut by the last":        {join(frame(opText, "h"), frame(fin|opContinuation, "\xE6\x97")), notUTF8},
		"a message over the limit":           {frame(fin|opText, strings.Repeat("x", 1<<20+1)), tooBig},
		"the promise of one":                 {frame(fin|opText, strings.Repeat("x", 1<<20+1))[:14], tooBig},
		"the promise of a gigantic one":      {[]byte{fin | opText, 0x80 | 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, tooBig},
		"fragments over the limit":           {join(frame(opText, strings.Repeat("x", 1<<19)), frame(opContinuation, strings.Repeat("x", 1<<19)), frame(fin|opContinuation, "x")), tooBig},
		"a good one, then an unmasked frame": {join(frame(fin|opPong, ""), []byte{fin | opText, 0}), protocol},
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
		cases["text with "+name] = forbidden{frame(fin|opText, bad), notUTF8}
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
			bare, mode := name[:strings.LastIndex(name, ",")], name[strings.LastIndex(name, " ")+1:]
			code := cases[bare].code
			if code == notUTF8 && mode == "r" && !strings.HasPrefix(bare, "a close") {
				c.expectPong() // What it says is ignored, whatever it is.
				return
			}
			c.expectClose(code)
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
		"a text":                         {frame(fin|opText, "hi"), []string{"hi"}},
		"a binary frame":                 {frame(fin|opBinary, "hi"), []string{"hi"}},
		"16 bits of length":              {frame(fin|opText, long), []string{long}},
		"fragments":                      {join(frame(opText, "one "), frame(opContinuation, "two "), frame(fin|opContinuation, "three")), []string{"one two three"}},
		"binary fragments":               {join(frame(opBinary, "one "), frame(fin|opContinuation, "two")), []string{"one two"}},
		"empty fragments":                {join(frame(opText, ""), frame(opContinuation, ""), frame(opContinuation, "hi"), frame(fin|opContinuation, "")), []string{"hi"}},
		"a character in pieces":          {join(frame(opText, "日\xE6"), frame(opContinuation, "\x9C"), frame(fin|opContinuation, "\xAC本")), []string{"日本本"}},
		"a ping":                         {frame(fin|opPing, "hello"), []string{"pong hello"}},
		"an empty ping":                  {frame(fin|opPing, ""), []string{"pong "}},
		"a ping of 125 bytes":            {frame(fin|opPing, long[:125]), []string{"pong " + long[:125]}},
		"a ping of any bytes":            {frame(fin|opPing, "\xFF\x00"), []string{"pong \xFF\x00"}},
		"pings":                          {join(frame(fin|opPing, "1"), frame(fin|opPing, "2")), []string{"pong 1", "pong 2"}},
		"pongs that nobody asked for":    {join(frame(fin|opPong, ""), frame(fin|opPong, "hello"), frame(fin|opText, "hi")), []string{"hi"}},
		"a ping among fragments":         {join(frame(opText, "one "), frame(fin|opPing, "now"), frame(opContinuation, "two "), frame(fin|opPong, ""), frame(fin|opContinuation, "three")), []string{"pong now", "one two three"}},
		"many in one write":              {join(frame(fin|opText, "1"), frame(fin|opText, "2"), frame(fin|opText, "3")), []string{"1", "2", "3"}},
		"one whose payload looks framed": {frame(fin|opText, "\x01\x02GET / HTTP/1.1\r\n\r\n"), []string{"\x01\x02GET / HTTP/1.1\r\n\r\n"}},
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
				c.raw(join(closeWith(code, "I go"), frame(fin|opText, "not read"), []byte("nor this")))
				c.expectClose(ws.StatusCode(code))
			})
		}
		t.Run(mode+" without a code", func(t *testing.T) {
			t.Parallel()
			c := s.dial(t, "/chat/"+token(`{"mode":"`+mode+`"}`))
			c.raw(frame(fin|opClose, ""))
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
