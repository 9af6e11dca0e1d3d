// Package auth says who may do what: it verifies tokens against the configured
// keys and turns their claims into a Grant.
//
// It knows nothing of HTTP requests. All of its types may be used from any
// goroutine. A token or a key never stands in an error of this package.
package auth

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

// Keys are what tokens are verified with, and the rules for what these grant.
type Keys struct {
	// Rules are set before use.
	Rules

	// sources are the secret and its fallback, if there is one. A token is good if
	// either would take it alone.
	sources []*source
}

// A source is a secret: keys that stand in the configuration, or the address of a
// set that Run keeps fresh.
type source struct {
	set    atomic.Pointer[keySet]
	remote *remote // nil for keys that stand in the configuration
}

// A key and the algorithms it is bound to: a token's own "alg" only chooses
// among these.
type key struct {
	id         string // "kid", may be empty
	algorithms []string
	verify     any     // as crypto/… types, []byte for HMAC
	sign       jwk.Key // nil for keys of a remote set
}

// The faults of a document. The parser's own errors quote it, keys and all.
var (
	errNoSet  = errors.New("neither a valid JWK nor a JWK set (RSA keys need 2048 bits or more)")
	errNoKeys = errors.New("the JWK set has no key for signatures")
)

// parseSet reads the operator's own JWK or JWK set. Keys that are not for
// signatures are left out; any other that cannot be used is an error.
func parseSet(document []byte) ([]key, error) {
	parsed, err := jwk.Parse(document)
	if err != nil {
		return nil, errNoSet
	}
	var set []key
	for i := range parsed.Len() {
		k, _ := parsed.Key(i)
		if !forSignatures(k) {
			continue
		}
		made, err := newKey(k)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		set = append(set, made)
	}
	if len(set) == 0 {
		return nil, errNoKeys
	}
	return set, nil
}

// parsePublicSet reads a JWK set that anybody can read. It leaves out HMAC keys,
// with which anybody could sign, and whatever it does not understand (RFC 7517,
// section 5): a new kind of key beside the old ones must not lock everyone out.
func parsePublicSet(document []byte) ([]key, error) {
	parsed, err := jwk.Parse(document, jwk.WithIgnoreParseError(true))
	if err != nil {
		parsed, err = jwk.Parse(document) // The option does not know a JWK alone.
	}
	if err != nil {
		return nil, errNoSet
	}
	var set []key
	for i := range parsed.Len() {
		k, _ := parsed.Key(i)
		if !forSignatures(k) || k.KeyType() == jwa.OctetSeq() {
			continue
		}
		if made, err := newKey(k); err == nil {
			made.sign = nil
			set = append(set, made)
		}
	}
	if len(set) == 0 {
		return nil, errNoKeys
	}
	return set, nil
}

// forSignatures reports whether a key's "use" allows signatures.
func forSignatures(k jwk.Key) bool {
	use, ok := k.KeyUsage()
	return !ok || use == "sig"
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
// curve and length (RFC 7518, section 3; RFC 8037, section 3.1; RFC 9864).
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
	switch curveOf(k) {
	case "P-256":
		return []string{"ES256"}, nil
	case "P-384":
		return []string{"ES384"}, nil
	case "P-521":
		return []string{"ES512"}, nil
	case "Ed25519":
		return []string{"EdDSA", "Ed25519"}, nil
	}
	return nil, fmt.Errorf("key type %q cannot verify tokens", k.KeyType())
}

// curveOf returns a key's "crv", empty for a key that has none.
func curveOf(k jwk.Key) string {
	curved, ok := k.(interface {
		Crv() (jwa.EllipticCurveAlgorithm, bool)
	})
	if !ok {
		return ""
	}
	curve, _ := curved.Crv()
	return curve.String()
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
