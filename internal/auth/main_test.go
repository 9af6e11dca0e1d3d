package auth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pgws/internal/auth"
)

// secret is the text key of tests that need no other.
const secret = "q7vK-0fPw3-uJmZ-8sLd-x2Rn-b6Yt-e9Hc-g1Va"

// goodClaims grant everything.
const goodClaims = `{"mode":"rw"}`

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parseKeys(t testing.TB, secret string) *auth.Keys {
	t.Helper()
	keys, err := auth.ParseKeys(secret)
	if err != nil {
		t.Fatalf("parse the keys: %v", err)
	}
	return keys
}

// authorize opens a channel, or for an empty one all that the token names, as an
// address does.
func authorize(ctx context.Context, keys *auth.Keys, token, channel string) (*auth.Grant, error) {
	grant, err := keys.Authorize(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := grant.Narrow(channel); err != nil {
		return nil, err
	}
	return grant, nil
}

// encode is base64url without padding, as in tokens.
func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// hmacToken signs header and payload with HMAC-SHA256, whatever the header says
// and however wrong both are.
func hmacToken(header, payload, secret string) string {
	input := encode(header) + "." + encode(payload)
	return input + "." + encode(hmacOf(input, secret))
}

func hmacOf(input, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(input))
	return string(mac.Sum(nil))
}

// tokenOf signs claims with the tests' text key.
func tokenOf(claims string) string { return hmacToken(`{"alg":"HS256","typ":"JWT"}`, claims, secret) }

// refusalOf returns err as a refusal; anything else is a fault.
func refusalOf(t testing.TB, err error) *auth.Refusal {
	t.Helper()
	var refusal *auth.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("error %v (%T) is no refusal", err, err)
	}
	return refusal
}

// refused fails the test unless keys refuse a token as bad, with this text.
func refused(t *testing.T, keys *auth.Keys, token, text string) {
	t.Helper()
	grant, err := authorize(t.Context(), keys, token, "chat")
	if err == nil {
		t.Fatalf("granted %+v", grant)
	}
	refusal := refusalOf(t, err)
	if refusal.Error() != text || refusal.Forbidden || refusal.Reason != "bad_token" {
		t.Errorf("refused with %q (reason %s, forbidden %t), want %q (bad_token)",
			refusal.Error(), refusal.Reason, refusal.Forbidden, text)
	}
}

// granted fails the test unless keys grant a token.
func granted(t *testing.T, keys *auth.Keys, token string) {
	t.Helper()
	if _, err := authorize(t.Context(), keys, token, "chat"); err != nil {
		t.Errorf("refused: %v", err)
	}
}

// reveals reports whether text has a part of secret in it, long enough to be no
// coincidence.
func reveals(text, secret string) bool {
	const part = 12
	for i := range len(secret) - part + 1 {
		if strings.Contains(text, secret[i:i+part]) {
			return true
		}
	}
	return false
}

// The texts of bad tokens.
const (
	malformed = "Error: not a JWT"
	critical  = "Error: the token's header asks for extensions"
	noKey     = "Error: no key fits the token's algorithm and kid"
	forged    = "Error: the token's signature is wrong"
)
