package app_test

import (
	"strings"
	"testing"
	"time"

	"pgws/internal/app"
	"pgws/internal/config"
)

// A token that is minted with settings is good for a server with the same.
func TestTokenFitsSettings(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[string]string{
		"none":                {},
		"audience and issuer": {"PGWS_JWT_AUDIENCE": "us", "PGWS_JWT_ISSUER": "them"},
		"claims elsewhere":    {"PGWS_CLAIM_MODE": "$.app_metadata.pgws.mode", "PGWS_CLAIM_CHANNELS": `$.app_metadata["https://x/pgws"]`},
		"a fallback":          {"PGWS_JWT_SECRET_FALLBACK": "another secret of thirty-two bytes or more"},
		"a list by its name":  {"PGWS_CLAIM_CHANNELS": "$.rooms", "PGWS_REQUIRE_CHANNELS": "True", "PGWS_CHANNEL_PATTERNS": "True"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lookup := func(name string) (string, bool) {
				switch name {
				case "PGWS_DB_URI":
					return "host=x", true
				case "PGWS_JWT_SECRET":
					return secret, true
				}
				value, ok := settings[name]
				return value, ok
			}
			c, err := config.Read(lookup)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := app.ParseKeys(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, channels := range [][]string{{"a"}, {"a", "b"}} {
				token, err := app.Token(lookup, app.TokenOptions{Mode: "w", Channels: channels, TTL: time.Hour, Claims: []string{"sub=ann"}})
				if err != nil {
					t.Fatal(err)
				}
				grant, err := keys.Authorize(t.Context(), token)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Join(grant.Channels, ",") != strings.Join(channels, ",") || grant.Receive || !grant.Send || grant.Expires.IsZero() {
					t.Errorf("granted %+v, want to send to %q", grant, channels)
				}
			}
		})
	}
}

func TestParseKeysNames(t *testing.T) {
	t.Parallel()
	for variable, c := range map[string]config.Config{
		"PGWS_JWT_SECRET":          {Secret: "short"},
		"PGWS_JWT_SECRET_FALLBACK": {Secret: secret, SecretFallback: "short"},
		"PGWS_CLAIM_MODE":          {Secret: secret, ClaimMode: "mode"},
		"PGWS_CLAIM_CHANNELS":      {Secret: secret, ClaimChannels: "$"},
	} {
		if _, err := app.ParseKeys(&c); err == nil || !strings.HasPrefix(err.Error(), variable+": ") {
			t.Errorf("%s: got %v", variable, err)
		}
	}
}
