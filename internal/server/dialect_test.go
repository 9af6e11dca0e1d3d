package server

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"pgws/internal/deflate"
	"pgws/internal/hub"
)

// An event is one as the HTML Standard's parser makes it (section 9.2.6).
type event struct{ name, data, id string }

// parseEvents returns the events of a stream, and what it says of reconnecting.
func parseEvents(stream string) (found []event, retry string) {
	var e event
	id, lines := "", 0
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(stream, "\ufeff"))
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && lines > 0:
			e.id = id
			found = append(found, e)
			fallthrough
		case line == "":
			e, lines = event{}, 0
		case field == "data" && lines > 0:
			e.data += "\n" + value
			lines++
		case field == "data":
			e.data, lines = value, 1
		case field == "event":
			e.name = value
		case field == "id":
			id = value
		case field == "retry":
			retry = value
		}
	}
	return found, retry
}

func publicationOf(payload string) hub.Publication {
	return hub.Publication{Channel: "a", Position: hub.ParsePosition("abcdefgh-7"), Payload: payload}
}

// TestFormats has what each dialect makes of a publication and a gap, to the byte.
func TestFormats(t *testing.T) {
	t.Parallel()
	d := newDialects(0)
	tests := map[string]struct {
		format       *hub.Format
		payload, gap string
		want         string
	}{
		"classic":     {d.classic.format, `{"x":1}`, "", "\x81\x07" + `{"x":1}`},
		"pgws.v1":     {d.v1.format, `{"x":1}`, "\x81\x32" + `{"op":"gap","channel":"a","position":"abcdefgh-7"}`, "\x81\x48" + `{"op":"message","channel":"a","position":"abcdefgh-7","payload":{"x":1}}`},
		"events":      {d.events.format, `{"x":1}`, "id: abcdefgh-7\nevent: gap\ndata: {\"op\":\"gap\",\"channel\":\"a\",\"position\":\"abcdefgh-7\"}\n\n", "id: abcdefgh-7\ndata: {\"x\":1}\n\n"},
		"empty":       {d.events.format, "", "id: abcdefgh-7\nevent: gap\ndata: {\"op\":\"gap\",\"channel\":\"a\",\"position\":\"abcdefgh-7\"}\n\n", "id: abcdefgh-7\ndata: \n\n"},
		"lines":       {d.events.format, " a\nb\r\nc\rd\n", "id: abcdefgh-7\nevent: gap\ndata: {\"op\":\"gap\",\"channel\":\"a\",\"position\":\"abcdefgh-7\"}\n\n", "id: abcdefgh-7\ndata:  a\ndata: b\ndata: c\ndata: d\ndata: \n\n"},
		"events, v1":  {d.eventsV1.format, `{"x":1}`, "id: abcdefgh-7\ndata: {\"op\":\"gap\",\"channel\":\"a\",\"position\":\"abcdefgh-7\"}\n\n", "id: abcdefgh-7\ndata: {\"op\":\"message\",\"channel\":\"a\",\"position\":\"abcdefgh-7\",\"payload\":{\"x\":1}}\n\n"},
		"JSON, lines": {d.eventsV1.format, "[1,\n2]", "id: abcdefgh-7\ndata: {\"op\":\"gap\",\"channel\":\"a\",\"position\":\"abcdefgh-7\"}\n\n", "id: abcdefgh-7\ndata: {\"op\":\"message\",\"channel\":\"a\",\"position\":\"abcdefgh-7\",\"payload\":[1,\ndata: 2]}\n\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := []byte("before")
			if got := test.format.Publication(before, publicationOf(test.payload)); string(got) != "before"+test.want {
				t.Errorf("got  %q\nwant before and %q", got, test.want)
			}
			if (test.format.Gap == nil) != (test.gap == "") {
				t.Fatal("whether a gap is told")
			}
			if test.gap != "" {
				if got := test.format.Gap(before, publicationOf("")); string(got) != "before"+test.gap {
					t.Errorf("got  %q\nwant before and %q", got, test.gap)
				}
			}
		})
	}
}

// TestLastFrames has the end of each dialect.
func TestLastFrames(t *testing.T) {
	t.Parallel()
	d := newDialects(0)
	for name, test := range map[string]struct {
		dialect *dialect
		want    string
	}{
		"classic":    {&d.classic, "\x88\x06\x0b\xb9why?"},
		"pgws.v1":    {&d.v1, "\x88\x06\x0b\xb9why?"},
		"events":     {&d.events, "event: close\ndata: {\"code\":3001,\"reason\":\"why?\"}\n\n"},
		"events, v1": {&d.eventsV1, "data: {\"op\":\"close\",\"code\":3001,\"reason\":\"why?\"}\n\n"},
	} {
		if got := string(test.dialect.end(3001, "why?")); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestAppendFramed(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		text := strings.Repeat("x", length)
		want := appendText([]byte("before"), text)
		got := appendFramed([]byte("before"), finalText, func(dst []byte) []byte { return append(dst, text...) })
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: they differ", length)
		}
		f, err := ws.ReadFrame(bytes.NewReader(got[len("before"):]))
		if err != nil || !f.Header.Fin || f.Header.OpCode != ws.OpText || f.Header.Masked || string(f.Payload) != text {
			t.Errorf("%d bytes: got %+v, %v", length, f.Header, err)
		}
	}
}

// TestPackedFormats has each text compressed when it is long enough and gets shorter.
func TestPackedFormats(t *testing.T) {
	t.Parallel()
	const least = 100
	d := newDialects(least)
	noise := make([]byte, 3000) // Nothing shortens it.
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dialect *dialect
		payload string
		packed  bool
	}{
		"classic, short":     {&d.classic, strings.Repeat("x", least-1), false},
		"classic, long":      {&d.classic, strings.Repeat("x", least), true},
		"classic, noise":     {&d.classic, string(noise), false},
		"classic, very long": {&d.classic, strings.Repeat("x", 1<<20), true},
		"v1, short":          {&d.v1, "x", false},
		"v1, by its frame":   {&d.v1, strings.Repeat("x", least-1), true},
		"v1, long":           {&d.v1, `{"x":"` + strings.Repeat("x", 9000) + `"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := publicationOf(test.payload)
			plain, err := ws.ReadFrame(bytes.NewReader(test.dialect.format.Publication(nil, p)))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // from the pool, the second time
				frame := test.dialect.packed.Publication([]byte("before"), p)
				f, err := ws.ReadFrame(bytes.NewReader(frame[len("before"):]))
				if err != nil || f.Header.Rsv1() != test.packed || !f.Header.Fin || f.Header.OpCode != ws.OpText {
					t.Fatalf("got %+v, %v", f.Header, err)
				}
				text := f.Payload
				if test.packed {
					if text, err = deflate.Inflate(nil, f.Payload, len(plain.Payload)); err != nil {
						t.Fatal(err)
					}
					if len(f.Payload) >= len(plain.Payload) {
						t.Errorf("%d bytes instead of %d", len(f.Payload), len(plain.Payload))
					}
				}
				if !bytes.Equal(text, plain.Payload) {
					t.Error("it is another text")
				}
			}
		})
	}
	if d.events.packed != nil || d.eventsV1.packed != nil || newDialects(0).v1.packed != nil {
		t.Error("compressed where nobody has agreed to it")
	}
}

// FuzzEvents checks that a client reads from an event stream what was notified, with the
// ends of lines made equal.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{"", "x", "\n", "\r\n\r", " a\n: b\nid: 7\r\n\ndata: x", "event: close\n\n", "\ufeff", "\x00\u2028\u0085", `{"a":"\r\n"}`, "retry: 1"} {
		f.Add(seed)
	}
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	f.Fuzz(func(t *testing.T, payload string) {
		if !utf8.ValidString(payload) { // The hub lets nothing else in.
			return
		}
		p := publicationOf(payload)
		stream := appendFrameEvent(appendEvent([]byte(retry), p), p)
		found, again := parseEvents(string(append(stream, ":\n\n"...)))
		if again != "2000" || len(found) != 2 {
			t.Fatalf("%q: found %q", stream, found)
		}
		if diff := cmp.Diff(event{data: ends.Replace(payload), id: "abcdefgh-7"}, found[0], cmp.AllowUnexported(event{})); diff != "" {
			t.Error(diff)
		}
		var frame struct {
			Payload json.RawMessage
		}
		if err := json.Unmarshal([]byte(found[1].data), &frame); err != nil || found[1].id != "abcdefgh-7" || found[1].name != "" {
			t.Fatalf("%+v: %v", found[1], err)
		}
		var text string
		if !json.Valid([]byte(payload)) && (json.Unmarshal(frame.Payload, &text) != nil || text != payload) {
			t.Errorf("payload %s", frame.Payload)
		}
	})
}

// TestDialects sees that each kind of connection has the ping that it needs.
func TestDialects(t *testing.T) {
	t.Parallel()
	d := newDialects(1)
	got := fmt.Sprintf("%q %v, %q %v, %q %v, %q %v", d.classic.ping, d.classic.pingEvery, d.v1.ping, d.v1.pingEvery,
		d.events.ping, d.events.pingEvery, d.eventsV1.ping, d.eventsV1.pingEvery)
	if want := `"\x89\x00" 30s, "\x89\x00" 30s, ":\n\n" 15s, ":\n\n" 15s`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
