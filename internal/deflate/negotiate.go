package deflate

import (
	"iter"
	"strings"
)

// The answers to an offer. No window outlives a message, whether or not the client
// offers that: section 7.1.1 lets the server ask for it.
const (
	extension      = "permessage-deflate"
	accepted       = extension + "; server_no_context_takeover; client_no_context_takeover"
	acceptedWindow = accepted + "; server_max_window_bits=15"
)

// Negotiate takes the values of Sec-WebSocket-Extensions, each a list of offers, and
// answers the first offer of permessage-deflate that we can keep to: response is the
// value of that header in the response. It is not ok when there is no such offer.
//
// Declined are offers with a parameter that is unknown, doubled or malformed, and
// those that ask for a smaller window than 32 KiB: our compressor has no other.
func Negotiate(values []string) (response string, ok bool) {
	for _, value := range values {
		for offer := range split(value, ',') {
			if response, ok = answer(offer); ok {
				return response, true
			}
		}
	}
	return "", false
}

// answer is the response to one offer, a name and its parameters.
func answer(offer string) (response string, ok bool) {
	seen := make(map[string]bool, 4)
	for part := range split(offer, ';') {
		if response == "" {
			if part != extension {
				return "", false
			}
			response = accepted
			continue
		}
		key, value, valued := strings.Cut(part, "=")
		key, value = trim(key), unquote(trim(value))
		switch {
		case seen[key]:
			return "", false
		case (key == "server_no_context_takeover" || key == "client_no_context_takeover") && !valued:
		case key == "client_max_window_bits" && (!valued || isWindow(value)):
		case key == "server_max_window_bits" && value == "15":
			response = acceptedWindow // Whoever does not repeat it has not agreed (section 7.1.2.1).
		default:
			return "", false
		}
		seen[key] = true
	}
	return response, true
}

// isWindow tells whether value is the size of a window: 8 to 15, without leading zeros.
func isWindow(value string) bool {
	switch value {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}

// split gives the parts of s between separators, without the space around them. A
// separator in a quoted string is none; one that does not end goes to the end of s.
func split(s string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(s); i++ {
			switch c := s[i]; {
			case c == '"':
				quoted = !quoted
			case c == '\\' && quoted:
				i++ // What it escapes has no meaning.
			case c == separator && !quoted:
				if !yield(trim(s[start:i])) {
					return
				}
				start = i + 1
			}
		}
		yield(trim(s[start:]))
	}
}

// unquote is what stands in a quoted string. Escapes are left: no value that we take
// has any.
func unquote(value string) string {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}

func trim(s string) string { return strings.Trim(s, " \t") }
