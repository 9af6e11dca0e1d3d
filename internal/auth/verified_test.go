package auth_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgws/internal/auth"
)

// What a key pair has signed is remembered: once a token, however often it comes.
func TestRemembers(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{"RS256": jwkOf(rsaKey()), "ES256": jwkOf(p256Key()), "EdDSA": jwkOf(edKey())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := parseKeys(t, document)
			for range 3 {
				granted(t, keys, signedBy(t, document)) // ECDSA signs differently each time.
			}
			token := signedBy(t, document)
			before := keys.Remembered()
			keys.Forget()
			for range 3 {
				granted(t, keys, token)
			}
			if now := keys.Remembered(); now != 1 || before == 0 {
				t.Errorf("%d are remembered, %d before", now, before)
			}
		})
	}
}

// A remembered token is good without a look at its signature, whichever secret remembers it.
func TestRememberedTokensAreNotVerified(t *testing.T) {
	t.Parallel()
	never := encode(`{"alg":"EdDSA"}`) + "." + encode(goodClaims) + "." + encode(strings.Repeat("x", 64))
	alone, first, second := parseKeys(t, jwkOf(edKey())), both(t, jwkOf(edKey()), secret), both(t, secret, jwkOf(edKey()))
	for _, keys := range []*auth.Keys{alone, first, second} {
		refused(t, keys, never, forged)
	}
	alone.Remember(never)
	first.Remember(never)
	second.RememberInFallback(never)
	for _, keys := range []*auth.Keys{alone, first, second} {
		granted(t, keys, never)
	}
}

// Neither HMAC, which would gain nothing, nor a token that is refused for its
// signature takes any place.
func TestDoesNotRemember(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, privateSet())
	granted(t, keys, hmacToken(`{"alg":"HS256"}`, goodClaims, string(hmacKey)))
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		refused(t, keys, hmacToken(`{"alg":"`+algorithm+`"}`, goodClaims, secret), forged)
	}
	refused(t, keys, hmacToken(`{"alg":"ES256K"}`, goodClaims, secret), noKey)
	if now := keys.Remembered(); now != 0 {
		t.Errorf("%d are remembered", now)
	}
}

// Beside a remembered token none is good that differs from it in a byte.
func TestRemembersTheWholeToken(t *testing.T) {
	t.Parallel()
	document := jwkOf(edKey())
	keys := parseKeys(t, document)
	token := signedBy(t, document)
	granted(t, keys, token)
	for i := range token {
		for _, other := range []byte{token[i] ^ 1, 'A', '.', '='} {
			if other == token[i] {
				continue
			}
			if grant, err := authorize(t.Context(), keys, token[:i]+string(other)+token[i+1:], "chat"); err == nil {
				t.Fatalf("granted %+v with %q at %d", grant, other, i)
			}
		}
	}
	granted(t, keys, token)
}

func TestRememberedTokensEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := parseKeys(t, jwkOf(edKey()))
		token, err := keys.Sign([]byte(`{"mode":"r","channel":"chat","nbf":946684801,"exp":946684803}`))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []error{auth.ErrNotYetValid, nil, nil, auth.ErrExpired} {
			if _, err := authorize(t.Context(), keys, token, "chat"); !errors.Is(err, want) {
				t.Errorf("after %d s: got %v, want %v", i, err, want)
			}
			if _, err := authorize(t.Context(), keys, token, "other"); err == nil {
				t.Errorf("after %d s: another channel is granted", i)
			}
			pass(time.Second)
		}
		if now := keys.Remembered(); now != 1 {
			t.Errorf("%d are remembered", now)
		}
	})
}

func TestRemembersSoMany(t *testing.T) {
	t.Parallel()
	document := jwkOf(edKey())
	keys := parseKeys(t, document)
	token := signedBy(t, document)
	granted(t, keys, token)
	var all sync.WaitGroup
	for part := range 4 {
		all.Go(func() {
			for i := range auth.MaxVerified {
				keys.Remember(strconv.Itoa(part) + "/" + strconv.Itoa(i))
			}
		})
	}
	all.Wait()
	granted(t, keys, token)
	if now := keys.Remembered(); now != auth.MaxVerified {
		t.Errorf("%d are remembered, want %d", now, auth.MaxVerified)
	}
}
