package auth

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
)

// A Grant is what a token allows on one connection.
type Grant struct {
	// Channels are those to open, in the order of the claims, none twice.
	Channels []string
	// Receive and Send are the two halves of the claim mode.
	Receive, Send bool
	// Expires is when the grant ends; zero means never.
	Expires time.Time
	// Claims are all of the token's claims: a JSON object, compact, without
	// message_delivered_at, which is the server's.
	Claims string
}

// A Refusal is why a token opens nothing. Its text is meant for the client.
type Refusal struct {
	// Forbidden tells a good token that does not allow what was asked from a bad one.
	Forbidden bool
	// Reason is a short word for counting.
	Reason string
	text   string
}

// Error returns the text.
func (r *Refusal) Error() string { return r.text }

// The refusals with a text of their own; others begin with "Error: ".
var (
	ErrMissingToken = &Refusal{Reason: "missing_token", text: "Error: no token"}
	ErrExpired      = &Refusal{Reason: "expired", text: "Token expired"}
	ErrMissingMode  = &Refusal{Forbidden: true, Reason: "missing_mode", text: "Missing mode"}
	ErrUnknownMode  = &Refusal{Forbidden: true, Reason: "unknown_mode", text: "Error: mode must be r, w or rw"}
	ErrNoChannels   = &Refusal{Forbidden: true, Reason: "no_channels", text: "No allowed channels"}
	ErrNotYetValid  = &Refusal{Reason: "not_yet_valid", text: "Error: token not valid yet"}
)

func refuse(reason string, err error) *Refusal {
	return &Refusal{Reason: reason, text: "Error: " + err.Error()}
}

// maxSeconds is the last second of the year 9999: what expires later never does.
const maxSeconds = 253402300799

// Authorize verifies a token and returns what it grants on channel, or on all
// of its own channels when channel is empty. Any error is a *Refusal. With a
// remote set it may wait for Run to fetch that, ten seconds at most.
func (k *Keys) Authorize(ctx context.Context, token, channel string) (*Grant, error) {
	if token == "" {
		return nil, ErrMissingToken
	}
	payload, err := k.verify(ctx, token)
	if err != nil {
		return nil, refuse("bad_token", err)
	}
	claims, err := parseClaims(payload)
	if err != nil {
		return nil, refuse("bad_claims", err)
	}
	return claims.grant(channel, k.RequireChannels, time.Now())
}

// claims are those that mean something here, and all of them as JSON.
type claims struct {
	expires   *float64
	notBefore *float64
	mode      *string
	channel   *string
	channels  []string
	all       string
}

func parseClaims(payload []byte) (*claims, error) {
	members, ok := parseObject(payload)
	if !ok {
		return nil, errors.New("the token's claims are not a JSON object")
	}
	var c claims
	var err error
	if c.expires, err = members.number("exp"); err != nil {
		return nil, err
	}
	if c.notBefore, err = members.number("nbf"); err != nil {
		return nil, err
	}
	if c.mode, err = members.text("mode"); err != nil {
		return nil, err
	}
	if c.channel, err = members.text("channel"); err != nil {
		return nil, err
	}
	if c.channels, err = members.texts("channels"); err != nil {
		return nil, err
	}
	c.all = members.without("message_delivered_at")
	return &c, nil
}

func (c *claims) grant(channel string, strict bool, now time.Time) (*Grant, error) {
	if c.expires != nil && !now.Before(timeOf(*c.expires)) {
		return nil, ErrExpired
	}
	if c.notBefore != nil && now.Before(timeOf(*c.notBefore)) {
		return nil, ErrNotYetValid
	}
	g := &Grant{Claims: c.all}
	if c.expires != nil && *c.expires < maxSeconds {
		g.Expires = timeOf(*c.expires)
	}
	if c.mode == nil {
		return nil, ErrMissingMode
	}
	switch *c.mode {
	case "r":
		g.Receive = true
	case "w":
		g.Send = true
	case "rw":
		g.Receive, g.Send = true, true
	default:
		return nil, ErrUnknownMode
	}
	g.Channels = c.open(channel, strict)
	if len(g.Channels) == 0 {
		return nil, ErrNoChannels
	}
	return g, nil
}

// open returns the channels to open: all that the claims allow, or just the
// requested one if they allow it, or name none at all and the mode is not strict.
func (c *claims) open(requested string, strict bool) []string {
	allowed := make([]string, 0, 1+len(c.channels))
	if c.channel != nil {
		allowed = append(allowed, *c.channel)
	}
	for _, name := range c.channels {
		if !slices.Contains(allowed, name) {
			allowed = append(allowed, name)
		}
	}
	if requested == "" {
		for i := range allowed { // Copies: the claims must not live twice, as long as the session does.
			allowed[i] = strings.Clone(allowed[i])
		}
		return allowed
	}
	if len(allowed) == 0 && !strict || slices.Contains(allowed, requested) {
		return []string{requested}
	}
	return nil
}

// timeOf turns a NumericDate (RFC 7519, section 2) into a time; dates beyond the
// years that a time can show are clamped.
func timeOf(seconds float64) time.Time {
	seconds = min(max(seconds, -maxSeconds), maxSeconds)
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9))
}
