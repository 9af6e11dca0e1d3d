package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxID bounds the id of a request, in bytes.
const maxID = 64

// A Request is a frame from a client.
type Request struct {
	// ID is a JSON string or number, as the client wrote it. A frame that cannot be
	// read has it if it could be found.
	ID json.RawMessage `json:"id"`
	Op string          `json:"op"`

	Token    string          `json:"token"`
	Channels []string        `json:"channels"`
	Since    string          `json:"since"`
	Channel  *string         `json:"channel"`
	Payload  json.RawMessage `json:"payload"`
	Echo     *bool           `json:"echo"`
}

// ParseRequest reads a frame. The errors are for the client.
func ParseRequest(frame []byte) (*Request, error) {
	r := new(Request)
	if !utf8.Valid(frame) {
		return r, errors.New("the frame is not UTF-8")
	}
	if err := json.Unmarshal(frame, r); err != nil {
		if !validID(r.ID) {
			r.ID = nil
		}
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return r, fmt.Errorf("the member %s has the wrong type", wrong.Field)
		}
		return r, errors.New("the frame is not a JSON object")
	}
	if r.ID != nil && !validID(r.ID) {
		r.ID = nil
		return r, fmt.Errorf("the id must be a string or a number of up to %d bytes", maxID)
	}
	return r, nil
}

func validID(id json.RawMessage) bool {
	return len(id) > 0 && len(id) <= maxID && (id[0] == '"' || id[0] == '-' || id[0] >= '0' && id[0] <= '9')
}

// Text returns the payload of a publish: the text of a JSON string, else the
// compact JSON of any other value.
func (r *Request) Text() (text []byte, isJSON bool, err error) {
	if len(r.Payload) == 0 {
		return nil, false, errors.New("publish needs a payload")
	}
	if r.Payload[0] == '"' {
		var s string
		if err := json.Unmarshal(r.Payload, &s); err != nil {
			return nil, false, errors.New("the payload is not valid")
		}
		return []byte(s), false, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, r.Payload); err != nil {
		return nil, false, errors.New("the payload is not valid")
	}
	return compact.Bytes(), true, nil
}
