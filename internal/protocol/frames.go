package protocol

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// AppendMessage appends the frame of a publication. Payload is valid UTF-8: JSON
// stands in the frame as it is, anything else as a string.
func AppendMessage(dst []byte, channel string, position []byte, payload string) []byte {
	dst = append(dst, `{"op":"message","channel":`...)
	dst = gjson.AppendJSONString(dst, channel)
	dst = append(dst, `,"position":"`...)
	dst = append(dst, position...)
	dst = append(dst, `","payload":`...)
	if gjson.Valid(payload) {
		dst = append(dst, payload...)
	} else {
		dst = gjson.AppendJSONString(dst, payload)
	}
	return append(dst, '}')
}

// AppendGap appends the frame of a gap in a channel, which ends at a position.
func AppendGap(dst []byte, channel string, position []byte) []byte {
	dst = append(dst, `{"op":"gap","channel":`...)
	dst = gjson.AppendJSONString(dst, channel)
	dst = append(dst, `,"position":"`...)
	dst = append(dst, position...)
	return append(dst, `"}`...)
}

// An Answer is any other frame of the server. Members that are not set are left out.
type Answer struct {
	ID json.RawMessage `json:"-"` // as the client wrote it: encoding/json would escape some of it
	Op string          `json:"op,omitempty"`

	// Of errors, and of what ends on the server's side.
	Code      Code   `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`
	Uncertain bool   `json:"uncertain,omitempty"`

	// Of the ready frame, and what answers auth and subscribe.
	Mode     string    `json:"mode,omitempty"`
	Expires  int64     `json:"expires,omitempty"` // seconds since 1970
	Channels *[]string `json:"channels,omitempty"`
	Position string    `json:"position,omitempty"`
	Resumed  *bool     `json:"resumed,omitempty"`

	// Of a receipt.
	DeliveredAt Stamp `json:"message_delivered_at,omitempty"`

	// Of the expiring frame: seconds.
	In int `json:"in,omitempty"`
}

// A Close is the last frame of an event stream.
type Close struct {
	Op     string `json:"op,omitempty"`
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// JSON returns an Answer or a Close as a frame.
func JSON[Frame *Answer | *Close](frame Frame) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // A name would get six times as long.
	if err := encoder.Encode(frame); err != nil {
		panic("protocol: a frame is no JSON: " + err.Error()) // Nothing in them can fail.
	}
	document := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if a, ok := any(frame).(*Answer); ok && a.ID != nil { // which has an op, too
		return slices.Concat([]byte(`{"id":`), a.ID, []byte(`,`), document[len(`{`):])
	}
	return document
}

// A Stamp is a time in microseconds since 1970. In JSON it is in seconds.
type Stamp int64

// MarshalJSON writes seconds with six digits after the point, as they stand in the
// claims of a message.
func (s Stamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(s)/1e6, 'f', 6, 64), nil
}
