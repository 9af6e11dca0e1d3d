package server

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"pgws/internal/deflate"
)

const askPacked = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

// pack compresses a text.
func pack(t testing.TB, text string) string {
	t.Helper()
	packed, ok := new(deflate.Compressor).Append(nil, text)
	if !ok {
		t.Fatal("does not get shorter")
	}
	return string(packed)
}

// withRsv1 marks a frame as compressed.
func withRsv1(frame []byte) []byte {
	marked := slices.Clone(frame)
	marked[0] |= 0x40
	return marked
}

// TestPackedFrames has clients that have agreed on compression get compressed what others
// get as it is.
func TestPackedFrames(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.CompressMinBytes = 100 }).serveAll(t)
	path := "/a/" + r.token(t, map[string]any{"mode": "r"})
	long := `"` + strings.Repeat("again and ", 100) + `"`
	for name, test := range map[string]struct {
		headers string
		packed  bool
		before  string // of a payload in its frame
	}{
		"classic":         {askUpgrade, false, ""},
		"classic, packed": {askUpgrade + askPacked, true, ""},
		"v1":              {askV1, false, `{"op":"message","channel":"a","position":"P","payload":`},
		"v1, packed":      {askV1 + askPacked, true, `{"op":"message","channel":"a","position":"P","payload":`},
		"an odd offer":    {askUpgrade + "Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n", false, ""},
	} {
		p := r.connect(t)
		response := p.ask(t, upgradeRequest(path, test.headers))
		want := ""
		if test.packed {
			want = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		}
		if got := response.Header.Get("Sec-WebSocket-Extensions"); response.StatusCode != http.StatusSwitchingProtocols || got != want {
			t.Errorf("%s: agreed on %q", name, got)
		}
		if test.before != "" {
			if f := p.next(t); f.Header.Rsv != 0 || !bytes.Contains(f.Payload, []byte("ready")) {
				t.Errorf("%s: got %+v", name, f.Header)
			}
		}
		r.publish("a", long)
		r.publish("a", `"x"`)
		for i, payload := range []string{long, `"x"`} {
			f := p.next(t)
			text := f.Payload
			if packed := test.packed && i == 0; f.Header.Rsv1() != packed || f.Header.OpCode != ws.OpText {
				t.Errorf("%s: frame %d is %+v", name, i, f.Header)
			} else if packed {
				var err error
				if text, err = deflate.Inflate(nil, f.Payload, 1<<20); err != nil || len(f.Payload) > len(long)/5 {
					t.Errorf("%s: %d bytes: %v", name, len(f.Payload), err)
				}
			}
			got := position.ReplaceAllString(string(text), "P")
			if got = strings.TrimSuffix(strings.TrimPrefix(got, test.before), "}"); got != payload {
				t.Errorf("%s: got %q", name, got)
			}
		}
		p.send(t, ws.NewPingFrame([]byte(strings.Repeat("x", 120))))
		if f := p.next(t); f.Header.OpCode != ws.OpPong || f.Header.Rsv != 0 {
			t.Errorf("%s: got %+v", name, f.Header)
		}
	}
}

// TestUnpacking sends compressed messages and tells what becomes of them.
func TestUnpacking(t *testing.T) {
	t.Parallel()
	bye := masked(true, ws.OpClose, "\x03\xe8")
	text := strings.Repeat("again and ", 50)
	packed := pack(t, text)
	bomb := pack(t, strings.Repeat("x", 100_000))
	first, last := packed[:5], packed[5:]
	tests := map[string]struct {
		send    []byte
		message string
		code    ws.StatusCode
	}{
		"one frame":                {join(withRsv1(masked(true, ws.OpText, packed)), bye), text, 1000},
		"binary":                   {join(withRsv1(masked(true, ws.OpBinary, packed)), bye), text, 1000},
		"not compressed":           {join(masked(true, ws.OpText, text), bye), text, 1000},
		"fragments":                {join(withRsv1(masked(false, ws.OpText, first)), masked(true, ws.OpPing, ""), masked(true, 0, last), bye), text, 1000},
		"an empty one at the end":  {join(withRsv1(masked(false, ws.OpText, packed)), masked(true, 0, ""), bye), text, 1000},
		"nothing in it":            {join(withRsv1(masked(true, ws.OpText, "\x00")), bye), "", 1000},
		"marked in the second":     {join(withRsv1(masked(false, ws.OpText, first)), withRsv1(masked(true, 0, last))), "", 1002},
		"marked in the second one": {join(masked(false, ws.OpText, first), withRsv1(masked(true, 0, last))), "", 1002},
		"a marked ping":            {withRsv1(masked(true, ws.OpPing, "")), "", 1002},
		"a marked close":           {withRsv1(bye), "", 1002},
		"no data":                  {withRsv1(masked(true, ws.OpText, "\xff\xff\xff")), "", 1007},
		"cut short":                {withRsv1(masked(true, ws.OpText, packed[:len(packed)-3])), "", 1007},
		"not UTF-8":                {withRsv1(masked(true, ws.OpText, pack(t, strings.Repeat("\xff", 50)))), "", 1007},
		"a character cut short":    {withRsv1(masked(true, ws.OpText, pack(t, text+"\xc3"))), "", 1007},
		"more than may be":         {withRsv1(masked(true, ws.OpText, bomb)), "", 1009},
		"in fragments":             {join(withRsv1(masked(false, ws.OpText, bomb[:5])), masked(true, 0, bomb[5:])), "", 1009},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { o.MaxMessageBytes, o.CompressMinBytes = 6000, 1 }).serveAll(t)
			p := r.upgrade(t, "/c/"+r.token(t, map[string]any{"mode": "w"}), askUpgrade+askPacked)
			if _, err := p.Write(test.send); err != nil {
				t.Fatal(err)
			}
			p.expectClose(t, test.code)
			p.expectEnd(t)
			if test.code != 1000 {
				if n := len(r.messages); n > 0 {
					t.Errorf("%d messages", n)
				}
				return
			}
			if m := <-r.messages; string(m.Text) != test.message {
				t.Errorf("got %q", m.Text)
			}
		})
	}
}

// TestUnpackingForV1 has UTF-8 looked at behind the compression there, too.
func TestUnpackingForV1(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.CompressMinBytes = 1 }).serveAll(t)
	p := r.upgrade(t, "/"+r.token(t, map[string]any{"mode": "r"}), askV1+askPacked)
	if f := p.next(t); f.Header.OpCode != ws.OpText {
		t.Fatalf("got %+v", f.Header)
	}
	for _, text := range []string{`{"id":1,"op":"ping","x":"` + strings.Repeat("x", 100) + `"}`, `{"id":1,"op":"ping","x":"` + strings.Repeat("\xff", 100) + `"}`} {
		if _, err := p.Write(withRsv1(masked(true, ws.OpText, pack(t, text)))); err != nil {
			t.Fatal(err)
		}
	}
	p.expect(t, `{"id":1,"op":"ok"}`)
	p.expectClose(t, ws.StatusInvalidFramePayloadData)
	p.expectEnd(t)
}

// TestReceiversPackedMessages has a client that may not send send what cannot be unpacked:
// nobody tries.
func TestReceiversPackedMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.CompressMinBytes = 1 }).serveAll(t)
	p := r.upgrade(t, "/c/"+r.token(t, map[string]any{"mode": "r"}), askUpgrade+askPacked)
	_, err := p.Write(join(withRsv1(masked(true, ws.OpText, "\xff\xff\xff")), masked(true, ws.OpPing, "")))
	report(t, err)
	if f := p.next(t); f.Header.OpCode != ws.OpPong {
		t.Errorf("got %v", f.Header.OpCode)
	}
}
