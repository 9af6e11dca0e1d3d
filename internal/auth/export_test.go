package auth

import (
	"crypto/sha256"
	"net/http"
	"time"
)

// MaxVerified is how many tokens are remembered.
const MaxVerified = maxVerified

// SetTransport puts another transport under a remote set, for its tests.
func (k *Keys) SetTransport(transport http.RoundTripper) { k.remote.client.Transport = transport }

// Remember takes a token for verified.
func (k *Keys) Remember(token string) { k.set.Load().remember(sha256.Sum256([]byte(token))) }

// Remembered returns how many tokens are remembered.
func (k *Keys) Remembered() int { return len(k.set.Load().verified) }

// Forget forgets them all.
func (k *Keys) Forget() { k.set.Store(&keySet{keys: k.set.Load().keys}) }

// Claims are claims that another parser has read.
type Claims struct {
	Expires, NotBefore *float64
	Mode, Channel      *string
	Channels           []string
	All                string
}

// Grant is what Authorize makes of claims.
func (c *Claims) Grant(channel string) (*Grant, error) {
	parsed := claims{c.Expires, c.NotBefore, c.Mode, c.Channel, c.Channels, c.All}
	return parsed.grant(channel, false, time.Now())
}
