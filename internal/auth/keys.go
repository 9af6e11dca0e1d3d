// Package auth says who may do what: it verifies tokens against the configured
// keys and turns their claims into a Grant.
//
// It knows nothing of HTTP. All of its types may be used from any goroutine. A
// token or a key never stands in an error of this package.
package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

// minSecretBytes is the least an HS256 key may have (RFC 7518, section 3.2).
const minSecretBytes = 32

// Keys are what tokens are verified with.
type Keys struct {
	set    atomic.Pointer[[]key]
	remote *remote // nil for keys that stand in the configuration
}

// A key and the algorithms it is bound to: a token's own "alg" only chooses
// among these.
type key struct {
	id         string // "kid", may be empty
	algorithms []string
	verify     any // as crypto/… types, []byte for HMAC
	sign       jwk.Key
}

// ParseKeys reads a secret as PGWS_JWT_SECRET holds it: one JWK or a JWK set in
// JSON, the https address of a JWK set, or else the text of an HS256 key. A remote
// set is empty until Load has fetched it.
func ParseKeys(secret string) (*Keys, error) {
	remote, err := parseRemote(secret)
	if err != nil {
		return nil, err
	}
	var set []key
	switch {
	case remote != nil:
	case isObject(secret):
		set, err = parseSet([]byte(secret))
	default:
		set, err = textKey([]byte(secret))
	}
	if err != nil {
		return nil, err
	}
	keys := &Keys{remote: remote}
	keys.set.Store(&set)
	return keys, nil
}

// DecodeBase64 decodes a secret in base64 or base64url, padded with "=", with
// "." in its place, or not at all.
func DecodeBase64(secret string) (string, error) {
	standard := strings.NewReplacer("-", "+", "_", "/", ".", "", "=", "", "\n", "", "\r", "", " ", "").Replace(secret)
	decoded, err := base64.RawStdEncoding.DecodeString(standard)
	if err != nil {
		return "", errors.New("not base64") // the decoder's own error quotes the input
	}
	return string(decoded), nil
}

func isObject(secret string) bool {
	return strings.HasPrefix(strings.TrimSpace(secret), "{") && json.Valid([]byte(secret))
}

func textKey(secret []byte) ([]key, error) {
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("a text secret needs %d bytes or more (HS256), this one has %d", minSecretBytes, len(secret))
	}
	sign, err := jwk.Import(secret)
	if err != nil {
		return nil, errors.New("the secret cannot be used as an HMAC key")
	}
	return []key{{algorithms: []string{"HS256"}, verify: secret, sign: sign}}, nil
}

// parseSet reads a JWK or a JWK set. Keys that are not for signatures are left
// out.
func parseSet(document []byte) ([]key, error) {
	parsed, err := jwk.Parse(document)
	if err != nil {
		return nil, errors.New("neither a valid JWK nor a JWK set")
	}
	var set []key
	for i := range parsed.Len() {
		k, _ := parsed.Key(i)
		if use, ok := k.KeyUsage(); ok && use != "sig" {
			continue
		}
		made, err := newKey(k)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		set = append(set, made)
	}
	if len(set) == 0 {
		return nil, errors.New("the JWK set has no key for signatures")
	}
	return set, nil
}

func newKey(k jwk.Key) (key, error) {
	algorithms, err := algorithmsOf(k)
	if err != nil {
		return key{}, err
	}
	if algorithm, ok := k.Algorithm(); ok {
		if !slices.Contains(algorithms, algorithm.String()) {
			return key{}, fmt.Errorf("algorithm %q does not fit the key", algorithm)
		}
		algorithms = []string{algorithm.String()}
	}
	public, err := jwk.PublicKeyOf(k)
	if err != nil {
		return key{}, errors.New("no public key can be made of it")
	}
	made := key{algorithms: algorithms, sign: k}
	made.id, _ = k.KeyID()
	if err := jwk.Export(public, &made.verify); err != nil {
		return key{}, errors.New("not a usable key")
	}
	return made, nil
}

// algorithmsOf returns the signature algorithms that fit a key by its type,
// curve and length (RFC 7518, section 3; RFC 8037, section 3.1).
func algorithmsOf(k jwk.Key) ([]string, error) {
	switch k.KeyType() {
	case jwa.OctetSeq():
		var secret []byte
		if err := jwk.Export(k, &secret); err != nil {
			return nil, errors.New("not a usable key")
		}
		return hmacAlgorithms(len(secret))
	case jwa.RSA():
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	}
	var curve string
	if curved, ok := k.(interface {
		Crv() (jwa.EllipticCurveAlgorithm, bool)
	}); ok {
		if c, ok := curved.Crv(); ok {
			curve = c.String()
		}
	}
	switch curve {
	case "P-256":
		return []string{"ES256"}, nil
	case "P-384":
		return []string{"ES384"}, nil
	case "P-521":
		return []string{"ES512"}, nil
	case "Ed25519":
		return []string{"EdDSA"}, nil
	}
	return nil, fmt.Errorf("key type %q cannot verify tokens", k.KeyType())
}

func hmacAlgorithms(length int) ([]string, error) {
	switch {
	case length >= 64:
		return []string{"HS256", "HS384", "HS512"}, nil
	case length >= 48:
		return []string{"HS256", "HS384"}, nil
	case length >= minSecretBytes:
		return []string{"HS256"}, nil
	}
	return nil, fmt.Errorf("an HMAC key needs %d bytes or more, this one has %d", minSecretBytes, length)
}
