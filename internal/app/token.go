package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"pgws/internal/auth"
	"pgws/internal/config"
)

// TokenOptions say what a token shall hold.
type TokenOptions struct {
	Mode     string
	Channels []string
	// TTL is how long it is valid; 0: for ever.
	TTL time.Duration
	// Claims are further ones, name=value; a value is JSON or else a string.
	Claims []string
}

// Token mints a token with the configured secret, and its claims where the settings
// say that they are. It needs no database.
func Token(lookup config.Lookup, o TokenOptions) (string, error) {
	settings, err := config.Read(func(name string) (string, bool) {
		switch name {
		case "PGWS_JWT_SECRET", "PGWS_JWT_SECRET_BASE64",
			"PGWS_JWT_AUDIENCE", "PGWS_JWT_ISSUER", "PGWS_CLAIM_MODE", "PGWS_CLAIM_CHANNELS":
			return lookup(name)
		case "PGWS_DB_URI":
			return "-", true // not used
		}
		return "", false
	})
	if err != nil {
		return "", err
	}
	keys, err := ParseKeys(settings)
	if err != nil {
		return "", err
	}
	claims, err := o.claims(&keys.Rules, time.Now())
	if err != nil {
		return "", err
	}
	token, err := keys.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("PGWS_JWT_SECRET only verifies: tokens come from who has the private key: %w", err)
	}
	return token, nil
}

func (o *TokenOptions) claims(rules *auth.Rules, now time.Time) ([]byte, error) {
	claims := rules.Claims(o.Mode, o.Channels)
	if o.TTL < 0 {
		return nil, errors.New("the time to live must not be negative")
	}
	if o.TTL > 0 {
		claims["exp"] = now.Add(o.TTL).Unix()
	}
	for _, claim := range o.Claims {
		name, value, ok := strings.Cut(claim, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("claim %q is not of the form name=value", claim)
		}
		if json.Valid([]byte(value)) {
			claims[name] = json.RawMessage(value)
		} else {
			claims[name] = value
		}
	}
	encoded, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("encode the claims: %w", err)
	}
	return encoded, nil
}
