package bench

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestParseFrame(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 1, 125, 126, 1000, 7999, maxFrameBytes - 1, maxFrameBytes} {
		payload := bytes.Repeat([]byte("x"), length)
		data := ws.MustCompileFrame(ws.NewTextFrame(payload))
		for _, cut := range []int{0, 1, 2, 3, len(data) - 1} {
			if cut >= len(data) {
				continue
			}
			if _, _, n, err := parseFrame(data[:cut]); n != 0 || err != nil {
				t.Errorf("%d of %d bytes: n %d, error %v", cut, len(data), n, err)
			}
		}
		op, got, n, err := parseFrame(append(data, "the next frame"...))
		if err != nil || op != ws.OpText || n != len(data) || !bytes.Equal(got, payload) {
			t.Errorf("length %d: opcode %d, payload of %d, n %d of %d, error %v", length, op, len(got), n, len(data), err)
		}
	}
}

func TestParseFrameFaults(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		data []byte
		want error
	}{
		"masked":                  {[]byte{0x81, 0x80}, errMasked},
		"reserved bit":            {[]byte{0xC1, 0x00}, errReserved},
		"first fragment":          {[]byte{0x01, 0x01}, errFragmented},
		"last fragment":           {[]byte{0x80, 0x01}, errFragmented},
		"too long":                {[]byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 1}, errFrameSize},
		"longer than there is":    {[]byte{0x81, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, errFrameSize},
		"a ping that is too long": {[]byte{0x89, 126}, errControl},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, n, err := parseFrame(c.data); !errors.Is(err, c.want) || n != 0 {
				t.Errorf("n %d, error %v, want %v", n, err, c.want)
			}
		})
	}
}

func TestAppendFrame(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 126)
	data := appendFrame(appendFrame(appendFrame(nil, ws.OpText, []byte("hello")), ws.OpPong, nil), ws.OpText, []byte(long))
	reader := bytes.NewReader(data)
	for _, want := range []struct {
		op      ws.OpCode
		payload string
	}{{ws.OpText, "hello"}, {ws.OpPong, ""}, {ws.OpText, long}} {
		f, err := ws.ReadFrame(reader)
		if err != nil {
			t.Fatal(err)
		}
		if !f.Header.Masked || !f.Header.Fin {
			t.Errorf("header %+v", f.Header)
		}
		if f = ws.UnmaskFrame(f); f.Header.OpCode != want.op || string(f.Payload) != want.payload {
			t.Errorf("got opcode %d, %q, want %d, %q", f.Header.OpCode, f.Payload, want.op, want.payload)
		}
	}
	if reader.Len() > 0 {
		t.Errorf("%d bytes too many", reader.Len())
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add(ws.MustCompileFrame(ws.NewTextFrame([]byte("hello"))))
	f.Add(ws.MustCompileFrame(ws.NewPingFrame(nil)))
	f.Add(ws.MustCompileFrame(ws.NewTextFrame(make([]byte, 200))))
	f.Add([]byte{0x81, 127, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, payload, n, err := parseFrame(data)
		if n > len(data) || n > 0 && len(payload) > n-2 || err != nil && n != 0 {
			t.Errorf("n %d of %d bytes, payload of %d, error %v", n, len(data), len(payload), err)
		}
		want, readErr := ws.ReadFrame(bytes.NewReader(data))
		if n > 0 && (readErr != nil || !bytes.Equal(want.Payload, payload)) {
			t.Errorf("payload %x, another parser reads %x, error %v", payload, want.Payload, readErr)
		}
	})
}
