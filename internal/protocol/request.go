package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxID bounds the text of a request's id, in bytes.
const maxID = 64

// A Request is a frame from a client. It shares no memory with the frame.
type Request struct {
	// ID is a JSON string or number, as the client wrote it. A frame that cannot be
	// read has it if it could be found.
	ID json.RawMessage
	Op string

	Token    string
	Channels []string
	Since    string
	Channel  *string
	Payload  string // any JSON value, as the client wrote it; empty: none
	Echo     *bool
}

var (
	// ErrNotUTF8 is the error of a frame that no websocket may carry as text.
	ErrNotUTF8 = errors.New("the frame is not UTF-8")
	// ErrTooManyChannels is the error of more names than channels may be open.
	ErrTooManyChannels = fmt.Errorf("more than %d channels", MaxChannels)
	errNoObject        = errors.New("the frame is not a JSON object")
	errID              = fmt.Errorf("the id must be a string or a number of up to %d bytes", maxID)
)

// ParseRequest reads a frame. The errors are for the client. Members are known by
// their exact names; of equal ones the last counts, and null is as good as none, but
// for an id and a payload.
func ParseRequest(frame []byte) (*Request, error) {
	r := new(Request)
	if !utf8.Valid(frame) {
		return r, ErrNotUTF8
	}
	if !json.Valid(frame) { // gjson's own check would nest as deep as any frame does
		return r, errNoObject
	}
	object := gjson.ParseBytes(frame)
	if !object.IsObject() {
		return r, errNoObject
	}
	var m members
	object.ForEach(func(key, value gjson.Result) bool {
		if known := m.named(key.Str); known != nil {
			*known = value.Raw
		}
		return true
	})
	return r, m.decode(r)
}

// members are those that mean something: their JSON, empty for one that is absent.
type members struct{ id, op, token, channels, since, channel, payload, echo string }

func (m *members) named(name string) *string {
	switch name {
	case "id":
		return &m.id
	case "op":
		return &m.op
	case "token":
		return &m.token
	case "channels":
		return &m.channels
	case "since":
		return &m.since
	case "channel":
		return &m.channel
	case "payload":
		return &m.payload
	case "echo":
		return &m.echo
	}
	return nil
}

// decode sets what it can, and returns the first fault.
func (m *members) decode(r *Request) error {
	var d decoder
	r.ID = d.id(m.id)
	r.Op = d.text("op", m.op)
	r.Token = d.text("token", m.token)
	r.Channels = d.texts("channels", m.channels)
	r.Since = d.text("since", m.since)
	if !absent(m.channel) {
		channel := d.text("channel", m.channel)
		r.Channel = &channel
	}
	r.Payload = m.payload
	if !absent(m.echo) {
		echo := m.echo == "true"
		if !echo && m.echo != "false" {
			d.fail(wrongType("echo"))
		}
		r.Echo = &echo
	}
	return d.err
}

func absent(value string) bool { return value == "" || value == "null" }

// A decoder keeps the first error.
type decoder struct{ err error }

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func wrongType(name string) error { return fmt.Errorf("the member %s has the wrong type", name) }

func (d *decoder) id(value string) json.RawMessage {
	if value == "" {
		return nil
	}
	length, isID := len(value), value[0] == '-' || value[0] >= '0' && value[0] <= '9'
	if value[0] == '"' {
		length, isID = length-len(`""`), true
	}
	if !isID || length > maxID {
		d.err = errID
		return nil
	}
	return json.RawMessage(value)
}

func (d *decoder) text(name, value string) string {
	if absent(value) {
		return ""
	}
	text, ok := textOf(value)
	if !ok {
		d.fail(wrongType(name))
	}
	return text
}

func (d *decoder) texts(name, value string) (texts []string) {
	if absent(value) {
		return nil
	}
	if value[0] != '[' {
		d.fail(wrongType(name))
		return nil
	}
	gjson.Parse(value).ForEach(func(_, element gjson.Result) bool {
		if len(texts) == MaxChannels {
			d.fail(ErrTooManyChannels)
			return false
		}
		text, ok := textOf(element.Raw)
		if !ok {
			d.fail(wrongType(name))
		}
		texts = append(texts, text)
		return ok
	})
	return texts
}

// textOf decodes a JSON string into memory of its own: a channel's name must not keep
// a whole frame alive. It reports false for any other value.
func textOf(value string) (text string, ok bool) {
	if value[0] != '"' {
		return "", false
	}
	if !strings.Contains(value, `\`) {
		return strings.Clone(value[1 : len(value)-1]), true
	}
	// gjson swallows what follows half a surrogate pair.
	err := json.Unmarshal([]byte(value), &text)
	return text, err == nil
}

// Text returns the payload of a publish: the text of a JSON string, else the
// compact JSON of any other value.
func (r *Request) Text() (text []byte, isJSON bool, err error) {
	if r.Payload == "" {
		return nil, false, errors.New("publish needs a payload")
	}
	if s, ok := textOf(r.Payload); ok {
		return []byte(s), false, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(r.Payload)); err != nil {
		return nil, false, errors.New("the payload is not valid")
	}
	return compact.Bytes(), true, nil
}
