package bench

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A kind tells messages that make ready from those that are measured.
type kind byte

const (
	hello    kind = 'h'
	measured kind = 'm'
)

// A message is what travels. Its text has a fixed width.
type message struct {
	kind   kind
	sender int
	number int
}

// How many digits the numbers of a text have.
const (
	senderDigits = 6
	numberDigits = 9
	textBytes    = 1 + senderDigits + numberDigits
)

func (m message) appendText(dst []byte) []byte {
	dst = append(dst, byte(m.kind))
	dst = appendDigits(dst, m.sender, senderDigits)
	return appendDigits(dst, m.number, numberDigits)
}

func appendDigits(dst []byte, n, width int) []byte {
	for range width {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; n > 0; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}

var errText = errors.New("not a message of this measurement")

func parseText[T string | []byte](text T) (message, error) {
	if len(text) < textBytes {
		return message{}, errText
	}
	sender, okSender := digits(text[1:], senderDigits)
	number, okNumber := digits(text[1+senderDigits:], numberDigits)
	m := message{kind: kind(text[0]), sender: sender, number: number}
	if !okSender || !okNumber || m.kind != hello && m.kind != measured {
		return message{}, errText
	}
	return m, nil
}

func digits[T string | []byte](text T, width int) (n int, ok bool) {
	for i := range width {
		digit := text[i] - '0'
		if digit > 9 {
			return 0, false
		}
		n = 10*n + int(digit)
	}
	return n, true
}

// prefix is how a notification for a channel begins, up to the message's text. The channel needs no escapes.
func prefix(channel string) string { return `{"channel":"` + channel + `","payload":"` }

// payload is the message as a notification for a channel, filled up to a length in bytes.
func (m message) payload(channel string, length int) string {
	text := m.appendText([]byte(prefix(channel)))
	fill := max(length-len(text)-len(`"}`), 0)
	return string(text) + strings.Repeat(".", fill) + `"}`
}

// parsePayload reads a notification that payload has made for a channel.
func parsePayload(payload []byte, channel string) (message, error) {
	text, ok := bytes.CutPrefix(payload, []byte(prefix(channel)))
	m, err := parseText(text)
	if err != nil || !ok {
		return m, fmt.Errorf("%w: %s", errText, excerpt(payload))
	}
	return m, nil
}

// parseRelayed reads what a server has made of a client's message on a channel. Its members may stand in any order. What
// else may be heard is not ours: others may use the database, and a message of ours that is missed shows in the ledger.
// Rest is what follows the message's text.
func parseRelayed(notification, channel, rest string) (m message, ok bool) {
	_, text, _ := strings.Cut(notification, `"payload":"`)
	m, err := parseText(text)
	return m, err == nil && strings.HasPrefix(text[textBytes:], rest) && strings.Contains(notification, channel)
}

// excerpt quotes the beginning of something unexpected.
func excerpt[T string | []byte](text T) string {
	const most = 120
	return strconv.Quote(string(text[:min(len(text), most)]))
}
