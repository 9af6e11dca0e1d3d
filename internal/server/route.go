package server

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"pgws/internal/auth"
)

// The patterns by which requests are logged: a path holds a token.
const (
	patternBoth   = "/{channel}/{token}"
	patternSingle = "/{channel or token}"
	patternNone   = "/"
)

var (
	errBadEscape = errors.New("bad percent-encoding in the path")
	errPathText  = errors.New("the path is not UTF-8")
)

// elements are what counts of a path: the first two, decoded.
// Further ones are ignored.
type elements struct {
	pattern string
	first   string
	second  string // empty when there is only one, as in /TOKEN and /TOKEN/
}

// readPath reads a path. Its elements are percent-decoded one by one, so that a "/"
// in a channel is written as %2F.
func readPath(u *url.URL) (p elements, err error) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	second, _, _ := strings.Cut(rest, "/")
	switch {
	case second != "":
		p.pattern = patternBoth
	case first != "":
		p.pattern = patternSingle
	default:
		p.pattern = patternNone
	}
	if p.first, err = url.PathUnescape(first); err != nil {
		return p, errBadEscape
	}
	if p.second, err = url.PathUnescape(second); err != nil {
		return p, errBadEscape
	}
	if !utf8.ValidString(p.first) { // Nothing could come for such a channel.
		return p, errPathText
	}
	return p, nil
}

// A call is what a request asks for.
type call struct {
	pattern string
	channel string // that the address names, or empty; a part of the path
	token   string // or empty
}

// The refusals of addresses.
var (
	errTokenInPath = &refusal{
		status: http.StatusUnauthorized, reason: "token_in_path", text: "Error: a token in the path is not accepted here",
	}
	errTwoElements = badRequest("bad_path", "more than one path element (a / in a channel is written %2F)")
	errAmbiguous   = badRequest("ambiguous", "two tokens, one in the path and one elsewhere")
)

// route tells channel and token of an address apart. Elsewhere is the token that the
// request carries in another place, or empty; late says that one may come as the
// first message.
func (s *Server) route(p elements, elsewhere string, late bool) (call, error) {
	c := call{pattern: p.pattern, token: elsewhere}
	switch {
	case p.second != "" && !s.NoTokenInPath:
		c.channel, c.token = p.first, p.second
	case p.second != "" && auth.LooksLikeToken(p.second):
		return c, errTokenInPath
	case p.second != "":
		return c, errTwoElements
	case p.first == "":
	case !auth.LooksLikeToken(p.first):
		if elsewhere == "" && !late && !s.NoTokenInPath {
			c.token = p.first // which is no token either, and will be said so
		} else {
			c.channel = p.first
		}
	case s.NoTokenInPath:
		return c, errTokenInPath
	case elsewhere != "":
		return c, errAmbiguous
	default:
		c.token = p.first
	}
	return c, nil
}
