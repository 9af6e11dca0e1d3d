package contract_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// An event is one of an event stream, as a browser's EventSource gives it to a page.
type event struct {
	name string // empty: a message
	data string
	id   string // the last one that came, with this event or before
}

// A stream is the far end of an event stream: it reads as the HTML Standard says, section 9.2.6. Its methods fail the test.
type stream struct {
	*answer
	lines  *bufio.Reader
	afterR bool // the last line has ended with \r: a \n belongs to it
	id     string
	retry  string
	ready  event
}

// events opens an event stream, which must be granted, and reads its beginning.
func (s *server) events(t *testing.T, r request) *stream {
	t.Helper()
	return beginStream(s.ask(t, r.with("Accept", "text/event-stream")))
}

func beginStream(a *answer) *stream {
	a.t.Helper()
	if a.status != 200 || a.header.Get("Content-Type") != "text/event-stream" {
		a.t.Fatalf("an event stream is answered %d %v: %s", a.status, a.header, a.text())
	}
	st := &stream{answer: a, lines: bufio.NewReader(a.body)}
	st.ready = st.next()
	if st.retry != "2000" {
		a.t.Errorf("the stream begins with retry %q", st.retry)
	}
	return st
}

// next returns the next event.
func (st *stream) next() event {
	st.t.Helper()
	e, err := st.read()
	if err != nil {
		st.t.Fatalf("read an event: %v", err)
	}
	return e
}

func (st *stream) read() (event, error) {
	if err := st.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return event{}, err
	}
	var e event
	var data strings.Builder
	for {
		line, err := st.line()
		if err != nil {
			return e, err
		}
		if line == "" {
			if data.Len() == 0 {
				e.name = ""
				continue
			}
			e.data, e.id = strings.TrimSuffix(data.String(), "\n"), st.id
			return e, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.name = value
		case "data":
			data.WriteString(value + "\n")
		case "id":
			st.id = value
		case "retry":
			st.retry = value
		case "": // a comment
		default:
			return e, errors.New("the stream has the line " + line)
		}
	}
}

// line returns the next line, however it ends.
func (st *stream) line() (string, error) {
	var line []byte
	for {
		b, err := st.lines.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		afterR := st.afterR
		st.afterR = b == '\r'
		switch {
		case b == '\n' && afterR:
		case b == '\r' || b == '\n':
			return string(line), nil
		default:
			line = append(line, b)
		}
	}
}

// expect wants messages to come next, to the byte, with a new id each.
func (st *stream) expect(want ...string) {
	st.t.Helper()
	for i, text := range want {
		before := st.id
		e := st.next()
		if diff := cmp.Diff(text, e.data); diff != "" || e.name != "" {
			st.t.Fatalf("message %d, an event %q (-want +got):\n%s", i, e.name, diff)
		}
		if e.id == "" || e.id == before {
			st.t.Errorf("message %d has the id %q, after %q", i, e.id, before)
		}
	}
}

// expectEvent wants an event by name with the data of JSON.
func (st *stream) expectEvent(name, data string) {
	st.t.Helper()
	e := st.next()
	if e.name != name {
		st.t.Fatalf("got the event %q %s, want %q", e.name, e.data, name)
	}
	sameJSON(st.t, data, e.data)
}

// expectGaps wants a gap of each channel to come next, in any order.
func (st *stream) expectGaps(name string, channels ...string) {
	st.t.Helper()
	var got []string
	for range channels {
		e := st.next()
		if e.name != name || e.id == "" {
			st.t.Fatalf("got the event %q %s at %q, want a gap", e.name, e.data, e.id)
		}
		var f v1Frame
		check(st.t, json.Unmarshal([]byte(e.data), &f))
		sameJSON(st.t, fmt.Sprintf(`{"op":"gap","channel":%q,"position":%q}`, f.Channel, e.id), e.data)
		got = append(got, f.Channel)
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(slices.Values(channels)), got); diff != "" {
		st.t.Fatalf("gaps (-want +got):\n%s", diff)
	}
}

// expectEnd wants the stream to end in order, and nothing more to come.
func (st *stream) expectEnd() {
	st.t.Helper()
	if e, err := st.read(); !errors.Is(err, io.EOF) {
		st.t.Fatalf("the stream goes on with %+v, %v", e, err)
	}
	st.answer.expectEnd()
}

// opened returns what the ready event tells.
func (st *stream) opened() (f v1Frame) {
	st.t.Helper()
	if err := json.Unmarshal([]byte(st.ready.data), &f); err != nil || f.Op != "ready" || f.Position == "" {
		st.t.Fatalf("the stream begins with %+v: %v", st.ready, err)
	}
	return f
}

// sameJSON wants two documents to say the same.
func sameJSON(t *testing.T, want, got string) {
	t.Helper()
	var wanted, had any
	check(t, json.Unmarshal([]byte(want), &wanted))
	if err := json.Unmarshal([]byte(got), &had); err != nil {
		t.Fatalf("%q is no JSON: %v", got, err)
	}
	if diff := cmp.Diff(wanted, had); diff != "" {
		t.Fatalf("JSON (-want +got):\n%s", diff)
	}
}
