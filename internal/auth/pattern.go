package auth

import "strings"

// The segments of a pattern are separated by colons. A segment "*" is any one that
// is not empty; "**" as the last is all that is left, which must not be nothing.
// Any other is itself.

// isPattern reports whether a name has such a segment.
func isPattern(name string) bool {
	for {
		segment, rest, more := strings.Cut(name, ":")
		if segment == "*" || segment == "**" && !more {
			return true
		}
		if !more {
			return false
		}
		name = rest
	}
}

// matches reports whether a pattern allows a channel. Segments are compared one by
// one: a channel is read once.
func matches(pattern, channel string) bool {
	for pattern != "**" {
		want, wanted, moreWanted := strings.Cut(pattern, ":")
		got, left, moreLeft := strings.Cut(channel, ":")
		if want != got && want != "*" || want == "*" && got == "" || moreWanted != moreLeft {
			return false
		}
		if !moreLeft {
			return true
		}
		pattern, channel = wanted, left
	}
	return channel != ""
}
