package auth

import (
	"crypto/sha256"
	"math"
	"net/http"
	"time"
)

// MaxVerified is how many tokens are remembered.
const MaxVerified = maxVerified

// SetTransport puts another transport under a remote set, for its tests.
func (k *Keys) SetTransport(transport http.RoundTripper) {
	k.sources[0].remote.client.Transport = transport
}

// SetFallbackTransport does so for the fallback.
func (k *Keys) SetFallbackTransport(transport http.RoundTripper) {
	k.sources[1].remote.client.Transport = transport
}

// Remember takes a token for verified.
func (k *Keys) Remember(token string) { k.sources[0].set.Load().remember(sha256.Sum256([]byte(token))) }

// Remembered returns how many tokens are remembered.
func (k *Keys) Remembered() int { return len(k.sources[0].set.Load().verified) }

// RememberInFallback takes a token for verified by the fallback.
func (k *Keys) RememberInFallback(token string) {
	k.sources[1].set.Load().remember(sha256.Sum256([]byte(token)))
}

// RememberedByFallback returns how many the fallback remembers.
func (k *Keys) RememberedByFallback() int { return len(k.sources[1].set.Load().verified) }

// Forget forgets them all.
func (k *Keys) Forget() { k.sources[0].set.Store(&keySet{keys: k.sources[0].set.Load().keys}) }

// Claims are claims that another parser has read.
type Claims struct {
	Expires, NotBefore *float64
	Mode, Channel      *string
	Channels           []string
	Echo               *bool
	All                string
}

// Grant is what Authorize makes of claims.
func (c *Claims) Grant() (*Grant, error) {
	parsed := claims{expires: math.Inf(1), notBefore: math.Inf(-1), echo: true, all: c.All}
	if c.Expires != nil {
		parsed.expires = *c.Expires
	}
	if c.NotBefore != nil {
		parsed.notBefore = *c.NotBefore
	}
	if c.Mode != nil {
		parsed.mode, parsed.hasMode = *c.Mode, true
	}
	if c.Channel != nil {
		parsed.channels = []string{*c.Channel}
	}
	if c.Echo != nil {
		parsed.echo = *c.Echo
	}
	parsed.channels = append(parsed.channels, c.Channels...)
	return new(Rules).grant(&parsed, time.Now())
}

// Matches tells whether a name is a pattern, and whether it allows a channel.
func Matches(pattern, channel string) (isOne, allows bool) {
	return isPattern(pattern), matches(pattern, channel)
}

// Names are the names in a path.
func (p Path) Names() []string { return p.names }
