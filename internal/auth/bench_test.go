package auth_test

import (
	"strconv"
	"strings"
	"testing"

	"pgws/internal/auth"
)

const benchmarkClaims = `{"sub":"ann@example.com","mode":"rw","channels":["news","chat"],"exp":4102444800,"app":{"role":"editor"}}`

var benchmarkKeys = []struct {
	algorithm string
	secret    func() string
}{
	{"HS256", func() string { return secret }},
	{"RS256", func() string { return jwkOf(rsaKey()) }},
	{"ES256", func() string { return jwkOf(p256Key()) }},
	{"EdDSA", func() string { return jwkOf(edKey()) }},
}

// authorizing times Authorize by each algorithm. Before each call it calls prepare.
func authorizing(b *testing.B, prepare func(*auth.Keys)) {
	for _, key := range benchmarkKeys {
		b.Run(key.algorithm, func(b *testing.B) {
			keys := parseKeys(b, key.secret())
			token, err := keys.Sign([]byte(benchmarkClaims))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				prepare(keys)
				if _, err := authorize(b.Context(), keys, token, "chat"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAuthorize is a token that was not seen before.
func BenchmarkAuthorize(b *testing.B) { authorizing(b, (*auth.Keys).Forget) }

// BenchmarkAuthorizeAgain is a token that comes back.
func BenchmarkAuthorizeAgain(b *testing.B) { authorizing(b, func(*auth.Keys) {}) }

// BenchmarkRemember is a token that takes another one's place.
func BenchmarkRemember(b *testing.B) {
	keys := parseKeys(b, secret)
	for i := range auth.MaxVerified {
		keys.Remember(strconv.Itoa(i))
	}
	b.ReportAllocs()
	for i := auth.MaxVerified; b.Loop(); i++ {
		keys.Remember(strconv.Itoa(i))
	}
}

// BenchmarkRefuse is what anybody can make the server do.
func BenchmarkRefuse(b *testing.B) {
	keys := parseKeys(b, setOf(jwkOf(hmacKey, member{"kid", "a"}), jwkOf(rsaKey()), jwkOf(p256Key()), jwkOf(edKey())))
	good := hmacToken(`{"alg":"HS256","typ":"JWT"}`, benchmarkClaims, string(hmacKey))
	tokens := []struct{ name, token string }{
		{"nonsense", "nonsense"},
		{"malformed", good + "="},
		{"longest", hmacToken(`{"alg":"HS256"`+strings.Repeat(`,"":0`, 7000)+"}", benchmarkClaims, secret)},
		{"no key", hmacToken(`{"alg":"none"}`, benchmarkClaims, secret)},
		{"no key named so", hmacToken(`{"alg":"HS256","kid":"b"}`, benchmarkClaims, secret)},
		{"forged HS256", hmacToken(`{"alg":"HS256"}`, benchmarkClaims, secret)},
		{"forged RS256", hmacToken(`{"alg":"RS256"}`, benchmarkClaims, secret)},
		{"forged ES256", encode(`{"alg":"ES256"}`) + "." + encode(benchmarkClaims) + "." + encode(strings.Repeat("x", 64))},
		{"forged EdDSA", encode(`{"alg":"EdDSA"}`) + "." + encode(benchmarkClaims) + "." + encode(strings.Repeat("\x01", 64))},
		{"expired", hmacToken(`{"alg":"HS256"}`, `{"mode":"r","exp":1}`, string(hmacKey))},
	}
	for _, tt := range tokens {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := authorize(b.Context(), keys, tt.token, "chat"); err == nil {
					b.Fatal("granted")
				}
			}
		})
	}
}
