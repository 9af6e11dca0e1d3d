package auth_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgws/internal/auth"
)

// An issuer stands in for a remote set's server where time is synctest's, which
// holds no sockets.
type issuer struct {
	mu      sync.Mutex
	answer  answer
	fetches int
}

// An answer is a document or an error, and how long it takes.
type answer struct {
	document string
	err      error
	takes    time.Duration
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.fetches++
	a := i.answer
	i.mu.Unlock()
	select {
	case <-time.After(a.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(a.document)), Request: r}, nil
}

func (i *issuer) answers(a answer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = a
}

// refetching runs a test in a synctest bubble, with keys that are loaded from
// an issuer and kept fresh. Its log is returned by a function.
func refetching(t *testing.T, document string, test func(t *testing.T, keys *auth.Keys, from *issuer, logged func() string)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := parseKeys(t, "https://id.example/keys?key=hidden")
		from := &issuer{answer: answer{document: document, takes: time.Second}}
		keys.SetTransport(from)
		if err := keys.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- keys.Run(ctx, slog.New(slog.NewTextHandler(&log, nil))) }()
		pass(11 * time.Second) // The rate limit of Load is over.
		test(t, keys, from, func() string {
			synctest.Wait()
			return log.String()
		})
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if strings.Contains(log.String(), "hidden") {
			t.Errorf("the log shows the address: %s", log.String())
		}
	})
}

// pass lets a bubble's time pass.
func pass(d time.Duration) { <-time.After(d) }

// took fails the test unless f takes this long in the bubble's time.
func took(t *testing.T, want time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if got := time.Since(start); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

func (i *issuer) fetched(t *testing.T, want int) {
	t.Helper()
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fetches != want {
		t.Errorf("%d fetches, want %d", i.fetches, want)
	}
}

func TestRotation(t *testing.T) {
	oldPrivate, oldPublic := pair(edKey(), "old")
	newPrivate, newPublic := pair(p256Key(), "new")
	refetching(t, setOf(oldPublic), func(t *testing.T, keys *auth.Keys, from *issuer, _ func() string) {
		took(t, 0, func() { granted(t, keys, signedBy(t, oldPrivate)) })
		from.answers(answer{document: setOf(newPublic), takes: time.Second})
		took(t, time.Second, func() { granted(t, keys, signedBy(t, newPrivate)) })
		took(t, 0, func() { granted(t, keys, signedBy(t, newPrivate)) })
		took(t, 0, func() { refused(t, keys, signedBy(t, oldPrivate), noKey) })
		from.fetched(t, 2)
	})
}

// A set whose keys have no names rotates as well: to a key of another kind, and
// to one of the same kind, which looks like a wrong signature first.
func TestRotationWithoutNames(t *testing.T) {
	first, second := jwkOf(edKey()), jwkOf(p256Key())
	third := jwkOf(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
	refetching(t, publicOf(first), func(t *testing.T, keys *auth.Keys, from *issuer, _ func() string) {
		from.answers(answer{document: publicOf(second)})
		granted(t, keys, signedBy(t, second))
		refused(t, keys, signedBy(t, first), noKey)
		from.answers(answer{document: publicOf(third)})
		refused(t, keys, signedBy(t, third), forged)
		pass(10 * time.Second)
		granted(t, keys, signedBy(t, third))
		from.fetched(t, 3)
	})
}

// Anybody can make up names of keys: they cost the issuer one fetch in ten seconds.
func TestRefetchIsRateLimited(t *testing.T) {
	_, public := pair(edKey(), "a")
	unknown := hmacToken(`{"alg":"EdDSA","kid":"unknown"}`, goodClaims, "made up")
	refetching(t, setOf(public), func(t *testing.T, keys *auth.Keys, from *issuer, _ func() string) {
		took(t, time.Second, func() { refused(t, keys, unknown, noKey) })
		took(t, 0, func() {
			for range 1000 {
				refused(t, keys, unknown, noKey)
			}
		})
		from.fetched(t, 2)
		pass(10*time.Second - 1)
		took(t, 0, func() { refused(t, keys, unknown, noKey) })
		from.fetched(t, 2)
		pass(1)
		took(t, time.Second, func() { refused(t, keys, unknown, noKey) })
		from.fetched(t, 3)
	})
}

// What no fetch could mend asks for none.
func TestNoRefetch(t *testing.T) {
	_, public := pair(edKey(), "a")
	refetching(t, setOf(public), func(t *testing.T, keys *auth.Keys, from *issuer, _ func() string) {
		took(t, 0, func() {
			refused(t, keys, "nonsense", malformed)
			refused(t, keys, hmacToken(`{"alg":"EdDSA","kid":"a"}`, goodClaims, "made up"), forged)
			refused(t, keys, hmacToken(`{"alg":"HS256","kid":"a"}`, goodClaims, public), noKey)
			refused(t, keys, hmacToken(`{"alg":"EdDSA","kid":"b","crit":["x"]}`, goodClaims, "made up"), critical)
		})
		from.fetched(t, 1)
	})
}

func TestConcurrentLookups(t *testing.T) {
	_, oldPublic := pair(edKey(), "old")
	newPrivate, newPublic := pair(p256Key(), "new")
	refetching(t, setOf(oldPublic), func(t *testing.T, keys *auth.Keys, from *issuer, _ func() string) {
		from.answers(answer{document: setOf(oldPublic, newPublic), takes: time.Second})
		token := signedBy(t, newPrivate)
		var lookups sync.WaitGroup
		took(t, time.Second, func() {
			for range 100 {
				lookups.Go(func() { granted(t, keys, token) })
			}
			lookups.Wait()
		})
		from.fetched(t, 2)
	})
}

// The client that made Run fetch goes away. Its lookup ends, the fetch does not:
// who sends made-up tokens and hangs up must not keep the keys of others away.
func TestFetchOutlivesItsClient(t *testing.T) {
	_, oldPublic := pair(edKey(), "old")
	newPrivate, newPublic := pair(p256Key(), "new")
	refetching(t, setOf(oldPublic), func(t *testing.T, keys *auth.Keys, from *issuer, _ func() string) {
		from.answers(answer{document: setOf(newPublic), takes: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		took(t, time.Second/2, func() {
			if _, err := authorize(ctx, keys, signedBy(t, newPrivate), "chat"); err == nil {
				t.Error("granted before the key was fetched")
			}
		})
		took(t, time.Second/2, func() { granted(t, keys, signedBy(t, newPrivate)) })
		from.fetched(t, 2)
	})
}

// While the issuer hangs, a lookup waits ten seconds at most, however many there are.
func TestIssuerHangs(t *testing.T) {
	private, public := pair(edKey(), "a")
	unknown := hmacToken(`{"alg":"EdDSA","kid":"unknown"}`, goodClaims, "made up")
	refetching(t, setOf(public), func(t *testing.T, keys *auth.Keys, from *issuer, logged func() string) {
		from.answers(answer{takes: time.Hour})
		var lookups sync.WaitGroup
		took(t, 10*time.Second, func() {
			for range 100 {
				lookups.Go(func() {
					if _, err := authorize(t.Context(), keys, unknown, "chat"); err == nil || err.Error() != noKey {
						t.Errorf("got %v", err)
					}
				})
			}
			pass(time.Second)
			took(t, 0, func() { granted(t, keys, signedBy(t, private)) })
			lookups.Wait()
		})
		took(t, 0, func() { refused(t, keys, unknown, noKey) })
		from.fetched(t, 2)
		if !strings.Contains(logged(), "the last one stays") {
			t.Errorf("nothing logged: %s", logged())
		}
	})
}

func TestIssuerFails(t *testing.T) {
	private, public := pair(edKey(), "a")
	refetching(t, setOf(public), func(t *testing.T, keys *auth.Keys, from *issuer, logged func() string) {
		from.answers(answer{err: errors.New("no route to host")})
		pass(time.Hour)
		from.fetched(t, 7)
		if got := strings.Count(logged(), "no route to host"); got != 6 {
			t.Errorf("logged %d times: %s", got, logged())
		}
		granted(t, keys, signedBy(t, private))
		newPrivate, newPublic := pair(p256Key(), "new")
		from.answers(answer{document: setOf(newPublic), takes: time.Second})
		pass(10 * time.Minute)
		took(t, 0, func() { granted(t, keys, signedBy(t, newPrivate)) })
	})
}

// Run ends at once, in the middle of a fetch too, and says nothing of that.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, public := pair(edKey(), "a")
		keys := parseKeys(t, "https://id.example/keys")
		from := &issuer{answer: answer{document: public}}
		keys.SetTransport(from)
		if err := keys.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		from.answers(answer{takes: time.Hour})
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- keys.Run(ctx, slog.New(slog.NewTextHandler(&log, nil))) }()
		pass(10*time.Minute + time.Second)
		from.fetched(t, 2)
		took(t, 0, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
		if log.Len() > 0 {
			t.Errorf("logged %s", log.String())
		}
		// Without Run nobody fetches; a lookup gives up.
		took(t, 10*time.Second, func() {
			refused(t, keys, hmacToken(`{"alg":"EdDSA","kid":"b"}`, goodClaims, "made up"), noKey)
		})
	})
}
