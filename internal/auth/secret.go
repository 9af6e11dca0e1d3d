package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// minSecretBytes is the least an HS256 key may have (RFC 7518, section 3.2).
const minSecretBytes = 32

// ParseKeys reads a secret as PGWS_JWT_SECRET holds it: one JWK or a JWK set in
// JSON, the https address of a JWK set, or else the text of an HS256 key. A remote
// set is empty until Load has fetched it.
func ParseKeys(secret string) (*Keys, error) {
	s, err := parseSource(secret)
	if err != nil {
		return nil, err
	}
	return &Keys{sources: []*source{s}}, nil
}

// AddFallback adds a second secret, in any form that ParseKeys reads. Its tokens are
// good too; it signs none. It is called before use.
func (k *Keys) AddFallback(secret string) error {
	s, err := parseSource(secret)
	if err != nil {
		return err
	}
	k.sources = append(k.sources, s)
	return nil
}

func parseSource(secret string) (*source, error) {
	remote, err := parseRemote(strings.TrimSpace(secret))
	if err != nil {
		return nil, err
	}
	var set []key
	switch {
	case remote != nil:
	case isObject(secret):
		set, err = parseSet([]byte(secret))
	default:
		set, err = textKey(secret)
	}
	if err != nil {
		return nil, err
	}
	s := &source{remote: remote}
	s.set.Store(&keySet{keys: set})
	return s, nil
}

// DecodeBase64 decodes a secret in base64 or base64url, padded with "=", with
// "." in its place, or not at all. Spaces and line ends are skipped.
func DecodeBase64(secret string) (string, error) {
	standard := strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "", " ", "").Replace(secret)
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(standard, "=."))
	if err != nil {
		return "", errors.New("not base64") // The decoder's own error tells about the input.
	}
	return string(decoded), nil
}

func isObject(secret string) bool {
	return strings.HasPrefix(strings.TrimSpace(secret), "{") && json.Valid([]byte(secret))
}

func textKey(secret string) ([]key, error) {
	if err := mistaken(secret); err != nil {
		return nil, err
	}
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("a text secret needs %d bytes or more (HS256), this one has %d", minSecretBytes, len(secret))
	}
	sign, err := jwk.Import([]byte(secret))
	if err != nil {
		return nil, errors.New("the secret cannot be used as an HMAC key")
	}
	return []key{{algorithms: []string{"HS256"}, verify: []byte(secret), sign: sign}}, nil
}

// mistaken refuses texts that were meant as another kind of key, broken JSON or
// stray quotes around it for example. Most of these are public, and whoever
// knows an HMAC key can sign with it.
func mistaken(secret string) error {
	switch {
	case strings.Contains(secret, `"kty`):
		return errors.New("it looks like a JWK but is not a JSON object")
	case strings.Contains(secret, "-----BEGIN "):
		return errors.New("keys in PEM are not read, write it as a JWK")
	case strings.Contains(strings.ToLower(secret), "https://"):
		return errors.New("it looks like the address of a JWK set but does not begin with https://")
	}
	return nil
}
