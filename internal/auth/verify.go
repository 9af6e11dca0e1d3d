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

// An attempt is a set that a token was held against, and how that went.
type attempt struct {
	set *keySet
	err error
}

// verify checks a token's signature and returns its payload.
func (k *Keys) verify(ctx context.Context, text string) ([]byte, error) {
	t, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	attempts := make([]attempt, 0, 2)
	for _, s := range k.sources {
		set := s.set.Load()
		if set.remembers(t) {
			return t.payload, nil
		}
		attempts = append(attempts, attempt{set: set})
	}
	for i := range attempts {
		if attempts[i].err = attempts[i].set.verify(t); attempts[i].err == nil {
			return t.payload, nil
		}
	}
	for i, s := range k.sources {
		if s.remote == nil || attempts[i].set.has(t.keyID) {
			continue
		}
		// The key may be newer than the set, which was fetched some time ago.
		if newer := s.refetch(ctx); newer != attempts[i].set {
			if attempts[i].err = newer.verify(t); attempts[i].err == nil {
				return t.payload, nil
			}
		}
	}
	if slices.ContainsFunc(attempts, func(a attempt) bool { return errors.Is(a.err, errSignature) }) {
		return nil, errSignature
	}
	return nil, errNoKey
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
	for _, s := range k.sources {
		if secret := s.set.Load().secret(); secret != nil {
			return secret
		}
	}
	return nil
}

func (s *keySet) secret() []byte {
	for _, candidate := range s.keys {
		if secret, ok := candidate.verify.([]byte); ok && slices.Contains(candidate.algorithms, "HS256") {
			return secret
		}
	}
	return nil
}

// Sign makes a token of claims, a JSON object, with the first key that can sign, but
// for the fallback's.
func (k *Keys) Sign(claims []byte) (string, error) {
	for _, candidate := range k.sources[0].set.Load().keys {
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
