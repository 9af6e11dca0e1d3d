package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgws/internal/auth"
)

// both returns keys of two secrets.
func both(t testing.TB, secret, fallback string) *auth.Keys {
	t.Helper()
	keys := parseKeys(t, secret)
	if err := keys.AddFallback(fallback); err != nil {
		t.Fatalf("add the fallback: %v", err)
	}
	return keys
}

// A token is good if either secret takes it alone: the names of keys in the one mean
// nothing in the other.
func TestFallback(t *testing.T) {
	t.Parallel()
	const other = "another secret of thirty-two bytes or more"
	named := func(raw any, kid string) string { return jwkOf(raw, member{"kid", kid}) }
	for name, tt := range map[string]struct{ secret, fallback string }{
		"two texts":                  {secret, other},
		"a text and a JWK":           {secret, jwkOf(edKey())},
		"a JWK and a text":           {named(edKey(), "a"), secret},
		"two JWKs of one name":       {named(hmacKey, "a"), named([]byte(other), "a")},
		"two sets":                   {setOf(named(rsaKey(), "a"), named(edKey(), "b")), setOf(named(p256Key(), "a"))},
		"two JWKs of one kind":       {jwkOf(hmacKey), jwkOf([]byte(other))},
		"private keys of all kinds":  {jwkOf(p384Key()), privateSet()},
		"a named one and a nameless": {named(hmacKey, "a"), jwkOf([]byte(other))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := both(t, tt.secret, tt.fallback)
			for range 2 { // The second time it may be remembered.
				granted(t, keys, signedBy(t, tt.secret))
				granted(t, keys, signedBy(t, tt.fallback))
			}
			refused(t, keys, hmacToken(`{"alg":"none"}`, goodClaims, secret), noKey)
			refused(t, keys, hmacToken(`{"alg":"RS384","kid":"z"}`, goodClaims, "x"), map[bool]string{true: forged, false: noKey}[name == "private keys of all kinds"])
			token, err := keys.Sign([]byte(goodClaims))
			if err != nil {
				t.Fatal(err)
			}
			granted(t, parseKeys(t, tt.secret), token)
		})
	}
	t.Run("a name of the one, the key of the other", func(t *testing.T) {
		t.Parallel()
		keys := both(t, named(hmacKey, "a"), other)
		granted(t, keys, hmacToken(`{"alg":"HS256","kid":"a"}`, goodClaims, other)) // A nameless key takes any name.
		refused(t, keys, hmacToken(`{"alg":"HS256","kid":"a"}`, goodClaims, secret), forged)
		refused(t, keys, hmacToken(`{"alg":"HS256","kid":"b"}`, goodClaims, string(hmacKey)), forged)
	})
}

// The fallback signs nothing, also when the secret cannot.
func TestFallbackDoesNotSign(t *testing.T) {
	t.Parallel()
	for _, first := range []string{publicOf(jwkOf(edKey())), "https://id.example/keys"} {
		keys := both(t, first, secret)
		if token, err := keys.Sign([]byte(goodClaims)); err == nil {
			t.Errorf("signed %s", token)
		}
		if got := string(keys.Secret()); got != secret {
			t.Errorf("the HS256 key is %q", got)
		}
	}
}

func TestBadFallbacks(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	for _, fallback := range []string{"", "short", `{"keys":[]}`, "http://id.example/keys-of-the-issuer"} {
		if err := keys.AddFallback(fallback); err == nil {
			t.Errorf("%q is taken", fallback)
		}
	}
	granted(t, keys, tokenOf(goodClaims))
}

// A remembered token costs no signature of either secret, and a set that is fetched
// anew forgets its own only.
func TestFallbackRemembers(t *testing.T) {
	t.Parallel()
	private, public := pair(edKey(), "a")
	otherPrivate, otherPublic := pair(p256Key(), "b")
	server := newKeyServer(t, text(public))
	keys := server.keys(t)
	if err := keys.AddFallback(otherPublic); err != nil {
		t.Fatal(err)
	}
	if err := keys.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, second := signedBy(t, private), signedBy(t, otherPrivate)
	for range 3 {
		granted(t, keys, first)
		granted(t, keys, second)
	}
	if own, fallback := keys.Remembered(), keys.RememberedByFallback(); own != 1 || fallback != 1 {
		t.Errorf("%d and %d are remembered", own, fallback)
	}
	answer := text(setOf(public, otherPublic))
	server.answer.Store(&answer)
	if err := keys.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if own, fallback := keys.Remembered(), keys.RememberedByFallback(); own != 0 || fallback != 1 {
		t.Errorf("after another set came, %d and %d are remembered", own, fallback)
	}
	granted(t, keys, first)
	granted(t, keys, second)
}

// twoSources runs a test in a synctest bubble with keys of two secrets, remote ones
// loaded and kept fresh.
func twoSources(t *testing.T, secret, fallback string, from, fallbackFrom *issuer, test func(t *testing.T, keys *auth.Keys)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := both(t, secret, fallback)
		if from != nil {
			keys.SetTransport(from)
		}
		if fallbackFrom != nil {
			keys.SetFallbackTransport(fallbackFrom)
		}
		if err := keys.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- keys.Run(ctx, slog.New(slog.DiscardHandler)) }()
		pass(11 * time.Second) // The rate limit of Load is over.
		test(t, keys)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// Whatever becomes of the issuer, the tokens of the other secret are good at once.
func TestRemoteBesideText(t *testing.T) {
	const address = "https://id.example/keys"
	private, public := pair(edKey(), "a")
	newPrivate, newPublic := pair(p256Key(), "b")
	own := hmacToken(`{"alg":"HS256","kid":"b"}`, goodClaims, secret)
	for name, order := range map[string][2]string{"the remote first": {address, secret}, "the text first": {secret, address}} {
		t.Run(name, func(t *testing.T) {
			from := &issuer{answer: answer{document: setOf(public)}}
			transports := [2]*issuer{from, nil}
			if order[1] == address {
				transports = [2]*issuer{nil, from}
			}
			twoSources(t, order[0], order[1], transports[0], transports[1], func(t *testing.T, keys *auth.Keys) {
				took(t, 0, func() {
					granted(t, keys, own)
					granted(t, keys, signedBy(t, private))
				})
				from.fetched(t, 1)
				from.answers(answer{document: setOf(newPublic), takes: time.Second})
				took(t, time.Second, func() { granted(t, keys, signedBy(t, newPrivate)) })
				took(t, 0, func() { granted(t, keys, signedBy(t, newPrivate)) })
				pass(10 * time.Second)
				from.answers(answer{takes: time.Hour})
				var lookups sync.WaitGroup
				lookups.Go(func() { refused(t, keys, hmacToken(`{"alg":"HS256","kid":"c"}`, goodClaims, "made up"), forged) })
				pass(time.Second)
				took(t, 0, func() {
					granted(t, keys, own)
					granted(t, keys, signedBy(t, newPrivate))
				})
				lookups.Wait()
				from.answers(answer{err: errors.New("no route to host")})
				pass(time.Hour)
				took(t, 0, func() {
					granted(t, keys, own)
					granted(t, keys, signedBy(t, newPrivate))
				})
			})
		})
	}
}

// Two issuers rotate, and end, each for itself.
func TestTwoRemotes(t *testing.T) {
	private, public := pair(edKey(), "a")
	otherPrivate, otherPublic := pair(rsaKey(), "b")
	newPrivate, newPublic := pair(p256Key(), "c")
	from, other := &issuer{answer: answer{document: setOf(public)}}, &issuer{answer: answer{document: setOf(otherPublic)}}
	twoSources(t, "https://id.example/keys", "https://old.example/keys", from, other, func(t *testing.T, keys *auth.Keys) {
		granted(t, keys, signedBy(t, private))
		granted(t, keys, signedBy(t, otherPrivate))
		from.answers(answer{err: errors.New("no route to host")})
		other.answers(answer{document: setOf(newPublic)})
		granted(t, keys, signedBy(t, newPrivate))
		granted(t, keys, signedBy(t, private))
		refused(t, keys, signedBy(t, otherPrivate), noKey)
		from.fetched(t, 2)
		other.fetched(t, 2)
	})
}

// A fallback that cannot be fetched at the start is named.
func TestFallbackIsAway(t *testing.T) {
	t.Parallel()
	keys := both(t, secret, "https://id.example/keys?key=hidden")
	keys.SetFallbackTransport(http.NewFileTransport(http.Dir(t.TempDir())))
	err := keys.Load(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "auth: fetch the JWK set of the fallback: ") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
	granted(t, keys, tokenOf(goodClaims))
}
