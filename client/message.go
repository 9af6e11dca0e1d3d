package client

import (
	"bytes"
	"encoding/json"
)

// A Message is what was notified for a channel, or a gap in that.
type Message struct {
	Channel string
	// Position is where the message stands, or where to go on after a gap. A later SubscribeSince can begin after it,
	// as long as the server runs and still has what has come since.
	Position string
	// Payload is the notification's payload if that is JSON, and a JSON string of it if it is not.
	Payload json.RawMessage
	// Gap tells that messages of the channel may have been missed here. There is no payload then.
	Gap bool
}

// A Sent is the message of a client, as the server notifies it.
type Sent struct {
	// Payload is what was published: a JSON string for a text.
	Payload json.RawMessage
	// Claims are those of the sender's token, which the server has verified, and message_delivered_at.
	Claims json.RawMessage
}

// Sent returns what a client has sent. It reports false for a notification of another make. Whoever may NOTIFY in the
// database can make one that looks like a client's.
func (m *Message) Sent() (Sent, bool) {
	var notification struct {
		Event   string
		Payload json.RawMessage
		Claims  json.RawMessage
	}
	if err := json.Unmarshal(m.Payload, &notification); err != nil || notification.Event != "WebsocketMessage" {
		return Sent{}, false
	}
	return Sent{Payload: notification.Payload, Claims: notification.Claims}, true
}

// Text returns what a client has sent, else the notification's payload: texts as they are, and other values as JSON.
func (m *Message) Text() string {
	value := m.Payload
	if sent, ok := m.Sent(); ok {
		value = sent.Payload
	}
	if !bytes.HasPrefix(value, []byte(`"`)) {
		return string(value)
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return string(value)
	}
	return text
}
