package server

import (
	"errors"
	"net/url"
	"strings"
)

// The patterns by which requests are logged: a path holds a token.
const (
	patternBoth  = "/{channel}/{token}"
	patternToken = "/{token}"
	patternNone  = "/"
)

var errBadEscape = errors.New("bad percent-encoding in the path")

// route reads /CHANNEL/TOKEN or /TOKEN. Further path elements are ignored, and
// so is the query. The channel is percent-decoded, so that a "/" in it is
// written as %2F.
func route(u *url.URL) (channel, token, pattern string, err error) {
	path := strings.TrimPrefix(u.EscapedPath(), "/")
	first, rest, _ := strings.Cut(path, "/")
	second, _, _ := strings.Cut(rest, "/")
	pattern = patternBoth
	if second == "" {
		first, second = "", first
		pattern = patternToken
	}
	if second == "" {
		return "", "", patternNone, nil
	}
	if channel, err = url.PathUnescape(first); err != nil {
		return "", "", pattern, errBadEscape
	}
	if token, err = url.PathUnescape(second); err != nil {
		return "", "", pattern, errBadEscape
	}
	// A copy: the whole path must not live as long as the session.
	return strings.Clone(channel), token, pattern, nil
}
