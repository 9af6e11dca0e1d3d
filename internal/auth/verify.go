package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"
)

var (
	errNoKey     = errors.New("no key fits the token's algorithm and kid")
	errSignature = errors.New("the token's signature is wrong")
)

// verify checks a token's signature and returns its payload.
func (k *Keys) verify(ctx context.Context, text string) ([]byte, error) {
	t, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	set := k.set.Load()
	err = set.verify(t)
	if err != nil && k.remote != nil && !set.has(t.keyID) {
		// The key may be newer than the set, which was fetched some time ago.
		if newer := k.refetch(ctx); newer != set {
			err = newer.verify(t)
		}
	}
	if err != nil {
		return nil, err
	}
	return t.payload, nil
}

// verifySignature checks that one of the keys has signed the token: one of those
// with the name that the token gives, failing that of those without a name, and
// any for a token that gives none.
func (s *keySet) verifySignature(t *token) error {
	name := t.keyID
	if !s.has(name) {
		name = ""
	}
	err := errNoKey
	for i := range s.keys {
		candidate := &s.keys[i]
		if t.keyID != "" && candidate.id != name || !slices.Contains(candidate.algorithms, t.algorithm) {
			continue
		}
		if !t.ambiguous && jwsbb.Verify(candidate.verify, t.algorithm, t.signed, t.signature) == nil {
			return nil
		}
		err = errSignature
	}
	return err
}

// has reports whether a key is called id.
func (s *keySet) has(id string) bool {
	return id != "" && slices.ContainsFunc(s.keys, func(k key) bool { return k.id == id })
}

// Secret returns the first key for HS256, nil if there is none: who measures a
// server signs with it.
func (k *Keys) Secret() []byte {
	for _, candidate := range k.set.Load().keys {
		if secret, ok := candidate.verify.([]byte); ok && slices.Contains(candidate.algorithms, "HS256") {
			return secret
		}
	}
	return nil
}

// Sign makes a token of claims, a JSON object, with the first key that can sign.
func (k *Keys) Sign(claims []byte) (string, error) {
	for _, candidate := range k.set.Load().keys {
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
