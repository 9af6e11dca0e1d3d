package auth

import (
	"slices"
	"strings"
	"time"
)

// Rules say what the claims of a well-signed token mean. The zero value is for
// tokens as postgres-websockets takes them.
type Rules struct {
	// RequireChannels is the strict mode: a token that names no channels opens
	// none. Else it opens any.
	RequireChannels bool
	// Patterns takes names of channels for patterns where they look like some.
	Patterns bool
	// Audience and Issuer are what a token must have as aud and iss; an empty one
	// is not looked at.
	Audience, Issuer string
	// Leeway is how much longer, and how much earlier, a token is good.
	Leeway time.Duration
	// ModePath and ChannelsPath lead to the claims that hold the mode, and the
	// channels (one name or a list). Empty: mode; channel and channels.
	ModePath, ChannelsPath Path
	// DefaultMode is that of a token without one; empty: it is refused.
	DefaultMode string
	// MetaChannel is not granted by any pattern, only by its name.
	MetaChannel string
}

// Claims returns the claims that a token needs for a mode and channels, none for
// any.
func (r *Rules) Claims(mode string, channels []string) map[string]any {
	claims := make(map[string]any)
	if r.Issuer != "" {
		claims["iss"] = r.Issuer
	}
	if r.Audience != "" {
		claims["aud"] = r.Audience
	}
	if r.ModePath.isZero() {
		claims["mode"] = mode
	} else {
		r.ModePath.put(claims, mode)
	}
	switch {
	case len(channels) == 0:
	case !r.ChannelsPath.isZero():
		r.ChannelsPath.put(claims, channels)
	case len(channels) == 1:
		claims["channel"] = channels[0]
	default:
		claims["channels"] = channels
	}
	return claims
}

// grant returns what claims grant now.
func (r *Rules) grant(c *claims, now time.Time) (*Grant, error) {
	expires := timeOf(c.expires).Add(r.Leeway)
	switch {
	case !now.Before(expires):
		return nil, ErrExpired
	case now.Before(timeOf(c.notBefore).Add(-r.Leeway)):
		return nil, ErrNotYetValid
	case r.Issuer != "" && c.issuer != r.Issuer:
		return nil, ErrWrongIssuer
	case r.Audience != "" && !slices.Contains(c.audience, r.Audience):
		return nil, ErrWrongAudience
	}
	g := &Grant{Echo: c.echo, Claims: c.all}
	if c.expires < maxSeconds {
		g.Expires = expires
	}
	mode := c.mode
	if !c.hasMode {
		if mode = r.DefaultMode; mode == "" {
			return nil, ErrMissingMode
		}
	}
	switch mode {
	case "r":
		g.Receive = true
	case "w":
		g.Send = true
	case "rw":
		g.Receive, g.Send = true, true
	default:
		return nil, ErrUnknownMode
	}
	g.Channels, g.others = r.allowed(c.channels)
	return g, nil
}

// allowed splits the names in a token into those of channels and what else they
// allow. They are copied: the document that they are parts of must not live as long
// as a session does.
func (r *Rules) allowed(names []string) ([]string, *others) {
	if len(names) == 0 {
		if r.RequireChannels {
			return nil, nil
		}
		return nil, anyChannel
	}
	exact := make([]string, 0, len(names))
	var patterns []string
	for _, name := range names {
		switch {
		case r.Patterns && isPattern(name):
			patterns = append(patterns, strings.Clone(name))
		case !slices.Contains(exact, name):
			exact = append(exact, strings.Clone(name))
		}
	}
	if patterns == nil {
		return exact, nil
	}
	return exact, &others{patterns: patterns, except: r.MetaChannel}
}
