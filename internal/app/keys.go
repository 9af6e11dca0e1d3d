package app

import (
	"fmt"

	"pgws/internal/auth"
	"pgws/internal/config"
)

// ParseKeys reads the keys that the settings name, and the rules for their tokens.
func ParseKeys(c *config.Config) (*auth.Keys, error) {
	secret, err := decodeSecret(c, c.Secret)
	if err != nil {
		return nil, fmt.Errorf("PGWS_JWT_SECRET: %w", err)
	}
	keys, err := auth.ParseKeys(secret)
	if err != nil {
		return nil, fmt.Errorf("PGWS_JWT_SECRET: %w", err)
	}
	if err := addFallback(keys, c); err != nil {
		return nil, fmt.Errorf("PGWS_JWT_SECRET_FALLBACK: %w", err)
	}
	keys.Rules = auth.Rules{
		RequireChannels: c.RequireChannels,
		Patterns:        c.ChannelPatterns,
		Audience:        c.Audience,
		Issuer:          c.Issuer,
		Leeway:          c.Leeway,
		DefaultMode:     c.DefaultMode,
		MetaChannel:     c.MetaChannel,
	}
	if keys.ModePath, err = auth.ParsePath(c.ClaimMode); err != nil {
		return nil, fmt.Errorf("PGWS_CLAIM_MODE: %w", err)
	}
	if keys.ChannelsPath, err = auth.ParsePath(c.ClaimChannels); err != nil {
		return nil, fmt.Errorf("PGWS_CLAIM_CHANNELS: %w", err)
	}
	return keys, nil
}

func addFallback(keys *auth.Keys, c *config.Config) error {
	if c.SecretFallback == "" {
		return nil
	}
	secret, err := decodeSecret(c, c.SecretFallback)
	if err != nil {
		return err
	}
	return keys.AddFallback(secret)
}

func decodeSecret(c *config.Config, secret string) (string, error) {
	if c.SecretBase64 {
		return auth.DecodeBase64(secret)
	}
	return secret, nil
}
