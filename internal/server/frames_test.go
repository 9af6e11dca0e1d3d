package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"pgws/internal/auth"
)

// masked builds one frame as a client sends it.
func masked(fin bool, op ws.OpCode, payload string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, fin, []byte(payload)), [4]byte{1, 2, 3, 4}))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestFrames sends bytes and tells what becomes of them: the messages that are
// taken and the code of the close.
func TestFrames(t *testing.T) {
	t.Parallel()
	bye := masked(true, ws.OpClose, "\x03\xe8")
	big := strings.Repeat("x", 2000)
	tests := map[string]struct {
		send     []byte
		messages []string
		code     ws.StatusCode
	}{
		"close":                      {send: bye, code: 1000},
		"close without code":         {send: masked(true, ws.OpClose, ""), code: 1005},
		"close of an application":    {send: masked(true, ws.OpClose, "\x0f\xa0bye"), code: 4000},
		"close code cut short":       {send: masked(true, ws.OpClose, "\x03"), code: 1002},
		"close code 999":             {send: masked(true, ws.OpClose, "\x03\xe7"), code: 1002},
		"close code 1005":            {send: masked(true, ws.OpClose, "\x03\xed"), code: 1002},
		"close code 1006":            {send: masked(true, ws.OpClose, "\x03\xee"), code: 1002},
		"close code 2999":            {send: masked(true, ws.OpClose, "\x0b\xb7"), code: 1002},
		"close code 5000":            {send: masked(true, ws.OpClose, "\x13\x88"), code: 1002},
		"close reason not UTF-8":     {send: masked(true, ws.OpClose, "\x03\xe8\xff"), code: 1007},
		"text":                       {send: join(masked(true, ws.OpText, "hi"), bye), messages: []string{"hi"}, code: 1000},
		"empty text":                 {send: join(masked(true, ws.OpText, ""), bye), messages: []string{""}, code: 1000},
		"binary":                     {send: join(masked(true, ws.OpBinary, "hi"), bye), messages: []string{"hi"}, code: 1000},
		"fragments":                  {send: join(masked(false, ws.OpText, "a"), masked(false, 0, ""), masked(true, 0, "b"), bye), messages: []string{"ab"}, code: 1000},
		"control between fragments":  {send: join(masked(false, ws.OpText, "a"), masked(true, ws.OpPing, "p"), masked(true, 0, "b"), bye), messages: []string{"ab"}, code: 1000},
		"character across fragments": {send: join(masked(false, ws.OpText, "\xc3"), masked(true, 0, "\xbc"), bye), messages: []string{"ü"}, code: 1000},
		"large":                      {send: join(masked(true, ws.OpText, big), bye), messages: []string{big}, code: 1000},
		"at the limit":               {send: join(masked(false, ws.OpText, big), masked(true, 0, strings.Repeat("y", 4000)), bye), messages: []string{big + strings.Repeat("y", 4000)}, code: 1000},
		"over the limit":             {send: masked(true, ws.OpText, strings.Repeat("x", 6001)), code: 1009},
		"fragments over the limit":   {send: join(masked(false, ws.OpText, big), masked(true, 0, strings.Repeat("y", 4001))), code: 1009},
		"a length of 2^63-1":         {send: []byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, code: 1009},
		"a length of 2^63":           {send: []byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, code: 1002},
		"length 125 in 16 bits":      {send: []byte{0x81, 0xfe, 0, 125, 1, 2, 3, 4}, code: 1002},
		"length 65535 in 64 bits":    {send: []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4}, code: 1002},
		"not masked":                 {send: ws.MustCompileFrame(ws.NewTextFrame([]byte("hi"))), code: 1002},
		"reserved bit 1":             {send: append([]byte{0xc1}, masked(true, ws.OpText, "hi")[1:]...), code: 1002},
		"reserved bit 2":             {send: append([]byte{0xa1}, masked(true, ws.OpText, "hi")[1:]...), code: 1002},
		"reserved bit 3":             {send: append([]byte{0x91}, masked(true, ws.OpText, "hi")[1:]...), code: 1002},
		"reserved opcode 3":          {send: masked(true, 3, "hi"), code: 1002},
		"reserved control opcode 11": {send: masked(true, 11, "hi"), code: 1002},
		"continuation of nothing":    {send: masked(true, 0, "hi"), code: 1002},
		"text between fragments":     {send: join(masked(false, ws.OpText, "a"), masked(true, ws.OpText, "b")), code: 1002},
		"control frame in fragments": {send: masked(false, ws.OpPing, ""), code: 1002},
		"control frame too long":     {send: masked(true, ws.OpPing, strings.Repeat("x", 126)), code: 1002},
		"text not UTF-8":             {send: masked(true, ws.OpText, "a\xff"), code: 1007},
		"binary not UTF-8":           {send: masked(true, ws.OpBinary, "a\xff"), code: 1007},
		"character cut short":        {send: masked(true, ws.OpText, "\xc3"), code: 1007},
		"surrogate":                  {send: masked(true, ws.OpText, "\xed\xa0\x80"), code: 1007},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { o.MaxMessageBytes = 6000 }).serve(t)
			p := r.dial(t, "/c/"+r.token(t, map[string]any{"mode": "w"}))
			if _, err := p.Write(test.send); err != nil {
				t.Fatal(err)
			}
			p.expectClose(t, test.code)
			p.expectEnd(t) // without waiting for the client
			report(t, p.Close())
			if code := r.awaitClosed(t); code != int(test.code) {
				t.Errorf("counted %d, want %d", code, test.code)
			}
			close(r.messages)
			var messages []string
			for m := range r.messages {
				messages = append(messages, string(m.Text))
			}
			if diff := cmp.Diff(test.messages, messages); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// chunks is a connection that reads given bytes in given pieces.
type chunks struct {
	net.Conn
	rest []byte
	size func() int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size())], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// bareConn is a connection that can be read from and nothing else.
func bareConn(limit int) *conn {
	c := &conn{server: &Server{Options: Options{MaxMessageBytes: limit}, keeper: newKeeper()}, dialect: new(dialect)}
	c.grant.Store(new(auth.Grant))
	return c
}

// read returns all that frames makes of some bytes, and how it ends.
func readFrames(data []byte, early int, size func() int) (got []string, end string) {
	c := bareConn(1000)
	c.net = &chunks{rest: bytes.Clone(data[early:]), size: size}
	c.frames.init(c, bytes.Clone(data[:early]))
	for {
		op, payload, err := c.frames.next()
		if err != nil {
			if wrong, ok := errors.AsType[*closeError](err); ok {
				return got, wrong.Error()
			}
			return got, "end"
		}
		got = append(got, string([]byte{byte(op)})+string(payload))
	}
}

// FuzzFrames checks that it does not matter in which pieces frames arrive.
func FuzzFrames(f *testing.F) {
	f.Add(join(masked(false, ws.OpText, "a"), masked(true, ws.OpPing, "p"), masked(true, 0, "b")), uint16(3), uint8(2))
	f.Add(masked(true, ws.OpText, strings.Repeat("x", 900)), uint16(0), uint8(7))
	f.Add([]byte{0x81, 0xfe, 0, 125, 1, 2, 3, 4}, uint16(1), uint8(1))
	f.Add(bytes.Repeat(masked(true, ws.OpText, strings.Repeat("y", 200)), 30), uint16(5000), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, early uint16, step uint8) {
		whole, wholeEnd := readFrames(data, 0, func() int { return 1 << 20 })
		parts, partsEnd := readFrames(data, min(int(early), len(data)), func() int { return int(step) + 1 })
		if diff := cmp.Diff(whole, parts); diff != "" {
			t.Error(diff)
		}
		if wholeEnd != partsEnd {
			t.Errorf("ends with %q in one piece and with %q in pieces", wholeEnd, partsEnd)
		}
	})
}

func TestCloseFrameFits(t *testing.T) {
	t.Parallel()
	frame := closeFrame(ws.StatusInternalServerError, strings.Repeat("ä", 100))
	f, err := ws.ReadFrame(bytes.NewReader(frame))
	if err != nil {
		t.Fatal(err)
	}
	code, reason := ws.ParseCloseFrameData(f.Payload)
	if err := ws.CheckCloseFrameData(code, reason); err != nil || len(f.Payload) > 125 {
		t.Errorf("%d bytes: %v", len(f.Payload), err)
	}
}
