package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
)

var (
	errMalformed = errors.New("not a JWT")
	errCritical  = errors.New("the token's header asks for extensions")
	errNoKey     = errors.New("no key fits the token's algorithm and kid")
	errSignature = errors.New("the token's signature is wrong")
)

// header is the part of a JOSE header that matters here (RFC 7515, section 4).
type header struct {
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid"`
	Critical  json.RawMessage `json:"crit"`
}

// verify checks a token's signature and returns its payload.
func (k *Keys) verify(ctx context.Context, token string) ([]byte, error) {
	h, err := parseHeader(token)
	if err != nil {
		return nil, err
	}
	set := k.set.Load()
	payload, err := verifyWith(*set, h, token)
	if errors.Is(err, errNoKey) && k.remote != nil {
		if newer := k.refetch(ctx, set); newer != set {
			return verifyWith(*newer, h, token)
		}
	}
	return payload, err
}

func parseHeader(token string) (header, error) {
	var h header
	encoded, rest, ok := strings.Cut(token, ".")
	if !ok || strings.Count(rest, ".") != 1 {
		return h, errMalformed
	}
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return h, errMalformed
	}
	if err := json.Unmarshal(decoded, &h); err != nil {
		return h, errMalformed
	}
	if h.Critical != nil {
		return h, errCritical
	}
	return h, nil
}

func verifyWith(set []key, h header, token string) ([]byte, error) {
	err := errNoKey
	for _, k := range candidates(set, h.KeyID) {
		if !slices.Contains(k.algorithms, h.Algorithm) {
			continue
		}
		algorithm, ok := jwa.LookupSignatureAlgorithm(h.Algorithm)
		if !ok {
			continue
		}
		payload, verifyErr := jws.VerifyCompactFast(k.verify, []byte(token), algorithm)
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
