package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// A question is a frame to the server.
type question struct {
	ID       uint64          `json:"id"`
	Op       string          `json:"op"`
	Token    string          `json:"token,omitempty"`
	Channels []string        `json:"channels,omitempty"`
	Since    string          `json:"since,omitempty"`
	Channel  string          `json:"channel,omitempty"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	Echo     *bool           `json:"echo,omitempty"`
}

// A frame is one from the server. Its members depend on Op.
type frame struct {
	ID       uint64   `json:"id"`
	Op       string   `json:"op"`
	Channel  string   `json:"channel"`
	Channels []string `json:"channels"`
	Position string   `json:"position"`
	// Payload is a notification's.
	Payload json.RawMessage `json:"payload"`
	// Resumed is missing in the answer to a subscribe without since.
	Resumed *bool `json:"resumed"`
	// Expires is when the token ends; 0 where that is not told.
	Expires            int64       `json:"expires"`
	MessageDeliveredAt json.Number `json:"message_delivered_at"`

	Code      json.RawMessage `json:"code"` // a string, but a number for protocol.OpClose
	Message   string          `json:"message"`
	Uncertain bool            `json:"uncertain"`
	Reason    string          `json:"reason"`
}

// failure is the frame as an error, for protocol.OpError and protocol.OpUnsubscribed.
func (f *frame) failure() *Error {
	e := &Error{Code: Internal, Message: f.Message, Uncertain: f.Uncertain}
	if err := json.Unmarshal(f.Code, &e.Code); err != nil {
		e.cause = fmt.Errorf("the answer's code: %w", err)
	}
	return e
}

// closing is the frame as an error, for protocol.OpClose.
func (f *frame) closing() error {
	c := &closing{reason: f.Reason}
	if err := json.Unmarshal(f.Code, &c.code); err != nil {
		return fmt.Errorf("the close's code: %w", err)
	}
	return c
}

func decode(text []byte) (frame, error) {
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		return frame{}, fmt.Errorf("the server's frame: %w", err)
	}
	return f, nil
}

// encode is json.Marshal without HTML's escapes, which would stand in a notification.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// mostPayload is what a notification of PostgreSQL holds; its claims take some of that. What is longer may also
// be longer than any message that the server reads, which would end the connection.
const mostPayload = 7999

// encodePayload makes the payload of a publish.
func encodePayload(payload any) (json.RawMessage, error) {
	text, isText := payload.(string)
	if isText && !utf8.ValidString(text) {
		return nil, &Error{Code: BadRequest, Message: "the payload is not UTF-8"}
	}
	encoded, err := encode(payload)
	if err != nil {
		return nil, &Error{Code: BadRequest, Message: "the payload is no JSON", cause: err}
	}
	size := len(encoded)
	if isText {
		size = len(text)
	}
	if size > mostPayload {
		return nil, &Error{Code: TooLarge, Message: fmt.Sprintf("%d bytes; a notification of PostgreSQL holds %d", size, mostPayload)}
	}
	return encoded, nil
}
