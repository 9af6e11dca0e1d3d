package hub

import (
	"context"
	"errors"
	"unicode/utf8"
)

var (
	// ErrTooLarge refuses a message whose notification PostgreSQL would not take.
	ErrTooLarge = errors.New("message too large for a notification of PostgreSQL (7999 bytes with its claims)")
	// ErrUnavailable refuses a prompt message that would have to wait: PostgreSQL
	// is away, the queue to it is full, or the server stops. Nothing of it is sent;
	// it may be published again later.
	ErrUnavailable = errors.New("PostgreSQL is away or cannot keep up")
	// ErrRefused tells that PostgreSQL finds fault with the text of a message that
	// was accepted. To publish it again is of no use.
	ErrRefused = errors.New("PostgreSQL refuses the message")
)

// Publisher takes messages on their way to where the source hears them.
type Publisher interface {
	// Publish accepts a message, or waits until it can, or ctx is done. What it
	// has accepted it does not drop: it is published at least once, and one
	// sender's messages in the order they were accepted. ErrTooLarge means that
	// nothing of the message was accepted, and so does ErrUnavailable, which only
	// a message with Prompt set meets.
	Publish(ctx context.Context, m Message) error
}

// Message is what a client says.
type Message struct {
	// Event is WebsocketMessage or ConnectionOpen.
	Event string
	// Channels are those it is for: each gets a publication of its own.
	Channels []string
	// Text is the payload: a string, or with JSON set a JSON value.
	Text []byte
	// JSON says that Text is a valid JSON value in UTF-8, which is published as it
	// is instead of as a string.
	JSON bool
	// Claims are those of the sender's token: a JSON object
	// without a member called message_delivered_at.
	Claims string
	// Sender keeps the order among messages of one session; nil has none.
	Sender *Session
	// Mute keeps the publication from Sender.
	Mute bool
	// Prompt refuses the message with ErrUnavailable where another one would be
	// kept until PostgreSQL is back, or where ctx is done before there is room.
	Prompt bool
	// Done, if set, is called once about an accepted message. Without an error, when
	// PostgreSQL has committed its publications to all channels; stamp is then the last
	// one's message_delivered_at in microseconds since 1970. With one that wraps
	// ErrRefused, when PostgreSQL finds fault with its text. It is called from a
	// goroutine of the publisher, must not wait, and may never be called when the
	// server ends first.
	Done func(stamp int64, err error)
}

// Stamp is the place that AppendJSON keeps for the time of delivery, and its
// form: seconds since 1970 with microseconds.
const Stamp = "0000000000.000000"

// StampEnd is how far before the end of the JSON the stamp ends.
const StampEnd = len("}}")

// AppendJSON appends the message for one of its channels, as clients see it:
//
//	{"event":…,"channel":…,"payload":…,"claims":{…,"message_delivered_at":…}}
//
// With ascii set, everything beyond ASCII is escaped.
func (m *Message) AppendJSON(dst []byte, channel string, ascii bool) []byte {
	dst = append(dst, `{"event":`...)
	dst = appendString(dst, m.Event, ascii)
	dst = append(dst, `,"channel":`...)
	dst = appendString(dst, channel, ascii)
	dst = append(dst, `,"payload":`...)
	if m.JSON {
		dst = appendText(dst, m.Text, ascii)
	} else {
		dst = appendString(dst, m.Text, ascii)
	}
	dst = append(dst, `,"claims":`...)
	claims := m.Claims[:len(m.Claims)-len("}")]
	if ascii {
		dst = appendASCII(dst, claims)
	} else {
		dst = append(dst, claims...)
	}
	if len(claims) > len("{") {
		dst = append(dst, ',')
	}
	dst = append(dst, `"message_delivered_at":`...)
	dst = append(dst, Stamp...)
	return append(dst, "}}"...)
}

const hex = "0123456789abcdef"

// appendString appends text as a JSON string (RFC 8259, section 7).
func appendString[T string | []byte](dst []byte, text T, ascii bool) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = appendText(dst, text[start:i], ascii)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
		}
	}
	dst = appendText(dst, text[start:], ascii)
	return append(dst, '"')
}

func appendText[T string | []byte](dst []byte, text T, ascii bool) []byte {
	if ascii {
		return appendASCII(dst, string(text))
	}
	return append(dst, text...)
}

// appendASCII appends the inside of JSON with \u escapes for all beyond ASCII,
// which can stand only in its strings.
func appendASCII(dst []byte, text string) []byte {
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf:
			dst = append(dst, byte(r))
		case r > 0xFFFF:
			r -= 0x10000
			dst = appendEscape(dst, 0xD800+r>>10)
			dst = appendEscape(dst, 0xDC00+r&0x3FF)
		default:
			dst = appendEscape(dst, r)
		}
	}
	return dst
}

func appendEscape(dst []byte, unit rune) []byte {
	return append(dst, '\\', 'u', hex[unit>>12&0xF], hex[unit>>8&0xF], hex[unit>>4&0xF], hex[unit&0xF])
}
