package server

import (
	"net/http"
	"slices"
	"strings"

	"pgws/internal/protocol"
)

// credentials are where a request may carry a token beside its path, and the
// subprotocol that a websocket is to have.
type credentials struct {
	subprotocol string // protocol.V1, protocol.Classic or, with none offered, empty
	token       string // or empty
}

var (
	errTwoBearers  = badRequest("ambiguous", "two tokens among the subprotocols")
	errBearerAlone = badRequest("bearer_alone", "offer pgws.v1 or pgws.classic beside the token among the subprotocols")
)

// credentials reads them. A bearer among the subprotocols is not repeated in any
// answer.
func (s *Server) credentials(r *http.Request) (c credentials, err error) {
	bearer, bears := "", false
	for _, offered := range listed(r, "Sec-WebSocket-Protocol") {
		token, isBearer := strings.CutPrefix(offered, protocol.BearerPrefix)
		switch {
		case isBearer && bears:
			return c, errTwoBearers
		case isBearer:
			bearer, bears = token, true
		case offered == protocol.V1, offered == protocol.Classic && c.subprotocol == "":
			c.subprotocol = offered
		}
	}
	if bears && c.subprotocol == "" {
		return c, errBearerAlone
	}
	c.token = authorization(r)
	if c.token == "" {
		c.token = bearer
	}
	if c.token == "" {
		c.token = s.cookie(r)
	}
	return c, nil
}

// authorization returns the token of the header Authorization (RFC 6750, section
// 2.1). Another scheme than Bearer is for somebody else.
func authorization(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// cookie returns the token of the cookie. A browser sends cookies for whichever page
// asks, and without an Origin where the page may not read the answer: then it tells
// by Sec-Fetch-Site whether the page is another site's.
func (s *Server) cookie(r *http.Request) string {
	if s.TokenCookie == "" {
		return ""
	}
	if r.Header.Get("Origin") == "" && slices.Contains([]string{"cross-site", "same-site"}, r.Header.Get("Sec-Fetch-Site")) {
		return ""
	}
	cookie, err := r.Cookie(s.TokenCookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// listed returns the members of a header that is a list (RFC 9110, section 5.6.1).
func listed(r *http.Request, name string) []string {
	if len(r.Header.Values(name)) == 0 {
		return nil
	}
	members := strings.Split(strings.Join(r.Header.Values(name), ","), ",")
	for i := range members {
		members[i] = strings.TrimSpace(members[i])
	}
	return members
}
