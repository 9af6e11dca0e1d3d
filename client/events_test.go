package client

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func readEvents(text string, r func(io.Reader) io.Reader) []string {
	events := newEventReader(r(strings.NewReader(text)), func() {})
	var all []string
	for {
		data, err := events.next()
		if err != nil {
			return all
		}
		all = append(all, string(data))
	}
}

func TestEventReader(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"comments and fields": {"retry: 2000\n\n:\n\nid: 1\nevent: x\ndata: one\n\n", []string{"one"}},
		"several lines":       {"data: one\ndata:two\ndata:\n\n", []string{"one\ntwo\n"}},
		"line ends":           {"data: one\r\n\r\ndata: two\r\n\r\n", []string{"one", "two"}},
		"one space is cut":    {"data:  one \n\n", []string{" one "}},
		"empty":               {"data:\ndata:\n\n", []string{"\n"}},
		"no end":              {"data: one\n\ndata: two\n", []string{"one"}},
		"nothing":             {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, readEvents(tc.text, iotest.OneByteReader)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzEvents compares what is read at once with what is read byte by byte, and decodes it.
func FuzzEvents(f *testing.F) {
	f.Add("id: x-1\ndata: {\"op\":\"message\",\"channel\":\"a\",\"position\":\"x-1\",\"payload\":{}}\n\n")
	f.Add("data: {\"op\":\"close\",\"code\":3001,\"reason\":\"JWT expired\"}\n\n")
	f.Add("data: {\"op\":\"unsubscribed\",\"channels\":[\"a\"],\"code\":\"forbidden\"}\n\n:\n\ndata: x\r\ndata\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		whole := readEvents(text, func(r io.Reader) io.Reader { return r })
		if diff := cmp.Diff(whole, readEvents(text, iotest.OneByteReader)); diff != "" {
			t.Errorf("byte by byte:\n%s", diff)
		}
		for _, data := range whole {
			frame, err := decode([]byte(data))
			if err != nil {
				continue
			}
			if frame.failure() == nil || frame.closing() == nil {
				t.Errorf("no error is made of %s", data)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var wait backoff
	for i, seconds := range []float64{0.5, 1, 2, 4, 8, 16, 30, 30} {
		want := time.Duration(seconds * float64(time.Second))
		if got := wait.next(); got < want/2 || got > want {
			t.Errorf("%d: got %v, want from %v to %v", i, got, want/2, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*Error{
		"forbidden":            {Code: Forbidden},
		"forbidden: not yours": {Code: Forbidden, Message: "not yours"},
		"unavailable: lost: EOF (the message may have been sent)": {Code: Unavailable, Message: "lost", Uncertain: true, cause: io.EOF},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if errors.Is(e, io.EOF) != (e.cause != nil) {
			t.Errorf("%q hides its cause, or has one", want)
		}
	}
}
