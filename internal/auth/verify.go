package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
)

var (
	errMalformed = errors.New("not a JWT")
	errCritical  = errors.New("the token's header asks for extensions")
	errNoKey     = errors.New("no key fits the token's algorithm and kid")
	errSignature = errors.New("the token's signature is wrong")
)

// A header is the part of a JOSE header that matters here (RFC 7515, section
// 4). Keys that a token brings itself (jwk, jku, x5c, x5u) do not.
type header struct {
	algorithm string
	keyID     string
}

// verify checks a token's signature and returns its payload.
func (k *Keys) verify(ctx context.Context, token string) ([]byte, error) {
	h, err := parseHeader(token)
	if err != nil {
		return nil, err
	}
	set := k.set.Load()
	payload, err := verifyWith(*set, h, token)
	if err == nil || k.remote == nil || isNamed(*set, h.keyID) {
		return payload, err
	}
	// The key may be newer than the set, which was fetched some time ago.
	if newer := k.refetch(ctx); newer != set {
		return verifyWith(*newer, h, token)
	}
	return nil, err
}

// parseHeader checks a token's form, so that each token can be written in one
// way only, and reads its header.
func parseHeader(token string) (header, error) {
	var h header
	segments := strings.SplitN(token, ".", 4)
	if len(segments) != 3 || strings.ContainsAny(token, "\r\n") { // The decoder skips line ends.
		return h, errMalformed
	}
	var decoded [3][]byte
	for i, segment := range segments {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(segment); err != nil {
			return h, errMalformed
		}
	}
	members, ok := parseObject(decoded[0])
	if !ok {
		return h, errMalformed
	}
	for _, name := range []string{"crit", "b64"} {
		if _, ok := members[name]; ok {
			return h, errCritical
		}
	}
	for name, target := range map[string]*string{"alg": &h.algorithm, "kid": &h.keyID} {
		if value, ok := members[name]; ok && json.Unmarshal(value, target) != nil {
			return h, errMalformed
		}
	}
	return h, nil
}

// parseObject reads a JSON object. Names are compared exactly, which
// json.Unmarshal into a struct would not do; of equal ones the last counts (RFC
// 7515, section 4; RFC 7519, section 4).
func parseObject(document []byte) (members map[string]json.RawMessage, ok bool) {
	if !utf8.Valid(document) || json.Unmarshal(document, &members) != nil {
		return nil, false
	}
	return members, members != nil
}

// verifyWith returns the token's payload if one of the keys has signed it.
func verifyWith(set []key, h header, token string) ([]byte, error) {
	err := errNoKey
	for _, candidate := range candidates(set, h.keyID) {
		if !slices.Contains(candidate.algorithms, h.algorithm) {
			continue
		}
		algorithm, ok := jwa.LookupSignatureAlgorithm(h.algorithm)
		if !ok {
			continue
		}
		payload, verifyErr := jws.VerifyCompactFast(candidate.verify, []byte(token), algorithm)
		if verifyErr == nil {
			return payload, nil
		}
		err = errSignature
	}
	return nil, err
}

// candidates returns the keys called id; failing that those without a name,
// and all of them for a token that names none.
func candidates(set []key, id string) []key {
	if id == "" {
		return set
	}
	var named, nameless []key
	for _, k := range set {
		switch k.id {
		case id:
			named = append(named, k)
		case "":
			nameless = append(nameless, k)
		}
	}
	if named != nil {
		return named
	}
	return nameless
}

// isNamed reports whether a set has a key called id.
func isNamed(set []key, id string) bool {
	return id != "" && slices.ContainsFunc(set, func(k key) bool { return k.id == id })
}

// Sign makes a token of claims, a JSON object, with the first key that can sign.
func (k *Keys) Sign(claims []byte) (string, error) {
	for _, candidate := range *k.set.Load() {
		algorithm, ok := jwa.LookupSignatureAlgorithm(candidate.algorithms[0])
		if !ok || candidate.sign == nil {
			continue
		}
		headers := jws.NewHeaders()
		if err := headers.Set("typ", "JWT"); err != nil {
			return "", errors.New("auth: sign: cannot set the header")
		}
		token, err := jws.Sign(claims, jws.WithKey(algorithm, candidate.sign, jws.WithProtectedHeaders(headers)))
		if err == nil {
			return string(token), nil
		}
	}
	return "", errors.New("auth: sign: none of the keys can sign (public keys only verify)")
}
