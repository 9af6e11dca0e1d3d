package auth

import (
	"context"
	"slices"
	"strings"
	"time"
)

// A Grant is what a token allows. Sessions keep theirs, so that it holds no more
// than they need.
type Grant struct {
	// Channels are those that the token names, in its order, none twice; after
	// Narrow, those to open.
	Channels []string
	// Receive and Send are the two halves of the mode.
	Receive, Send bool
	// Echo is whether the holder hears its own messages.
	Echo bool
	// Expires is when the grant ends; zero means never.
	Expires time.Time
	// Claims are all of the token's claims: a JSON object, compact, without
	// message_delivered_at, which is the server's.
	Claims string

	others *others // allowed beside Channels; nil: none are
}

// others are channels that a token does not name.
type others struct {
	patterns []string // none: any channel
	except   string   // what no pattern allows
}

// anyChannel is what a token without names allows.
var anyChannel = new(others)

// Authorize verifies a token and returns what it grants. Any error is a *Refusal.
// It
// may wait for Run to fetch a remote set, ten seconds at most.
func (k *Keys) Authorize(ctx context.Context, token string) (*Grant, error) {
	if token == "" {
		return nil, ErrMissingToken
	}
	payload, err := k.verify(ctx, token)
	if err != nil {
		return nil, refuse("bad_token", err)
	}
	var c claims
	if err := c.read(&k.Rules, payload); err != nil {
		return nil, refuse("bad_claims", err)
	}
	return k.grant(&c, time.Now())
}

// Allows reports whether a channel may be opened.
func (g *Grant) Allows(channel string) bool {
	return slices.Contains(g.Channels, channel) || g.others != nil && g.others.allow(channel)
}

func (o *others) allow(channel string) bool {
	if len(o.patterns) == 0 {
		return true
	}
	return channel != o.except &&
		slices.ContainsFunc(o.patterns, func(pattern string) bool { return matches(pattern, channel) })
}

// Narrow limits a grant to what an address opens: a channel, or for an empty one
// all that the token names. The error is ErrNoChannels when that is nothing, and
// the grant as it was.
func (g *Grant) Narrow(channel string) error {
	named := slices.Index(g.Channels, channel)
	switch {
	case channel == "":
		if len(g.Channels) == 0 {
			return ErrNoChannels
		}
	case named >= 0:
		g.Channels = []string{g.Channels[named]}
	case g.Allows(channel):
		g.Channels = []string{strings.Clone(channel)} // It is part of an address.
	default:
		return ErrNoChannels
	}
	g.others = nil
	return nil
}
