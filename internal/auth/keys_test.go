package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"pgws/internal/auth"
)

// The tests' private keys, made once: RSA takes its time.
var (
	rsaKey  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256Key = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384Key = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521Key = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	edKey   = sync.OnceValue(func() ed25519.PrivateKey {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return must(private, err)
	})
	hmacKey = []byte(strings.Repeat("0123456789abcdef", 4))
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// A member is a member of a JWK.
type member struct{ name, value string }

// jwkOf returns a raw key as a JWK with further members.
func jwkOf(raw any, members ...member) string {
	k := must(jwk.Import(raw))
	for _, m := range members {
		if err := k.Set(m.name, m.value); err != nil {
			panic(err)
		}
	}
	return string(must(json.Marshal(k)))
}

// publicOf returns a JWK's public half.
func publicOf(document string) string {
	return string(must(json.Marshal(must(jwk.PublicKeyOf(must(jwk.ParseKey([]byte(document))))))))
}

func setOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// privateSet is a set with one private key of each type.
func privateSet() string {
	return setOf(jwkOf(hmacKey), jwkOf(rsaKey()), jwkOf(p256Key()), jwkOf(p384Key()), jwkOf(p521Key()), jwkOf(edKey()))
}

// signedBy returns a token that the first key of a document has signed.
func signedBy(t *testing.T, document string) string {
	t.Helper()
	token, err := parseKeys(t, document).Sign([]byte(goodClaims))
	if err != nil {
		t.Fatalf("sign: %v", err)
	}
	return token
}

// Every kind of key signs and verifies, as a JWK and in a set; its public half
// verifies and does not sign.
func TestKeysRoundTrip(t *testing.T) {
	t.Parallel()
	raw := map[string]any{
		"HS256": hmacKey, "HS384": hmacKey, "HS512": hmacKey,
		"RS256": rsaKey(), "RS384": rsaKey(), "RS512": rsaKey(), "PS256": rsaKey(), "PS384": rsaKey(), "PS512": rsaKey(),
		"ES256": p256Key(), "ES384": p384Key(), "ES512": p521Key(), "EdDSA": edKey(), "Ed25519": edKey(),
	}
	for algorithm, key := range raw {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			private := jwkOf(key, member{"alg", algorithm}, member{"kid", "k 1"}, member{"use", "sig"})
			token := signedBy(t, private)
			header := decodeHeader(t, token)
			if header["alg"] != algorithm || header["kid"] != "k 1" || header["typ"] != "JWT" || len(header) != 3 {
				t.Errorf("header %v", header)
			}
			granted(t, parseKeys(t, private), token)
			granted(t, parseKeys(t, setOf(private)), token)
			granted(t, parseKeys(t, jwkOf(key)), token) // The token's kid is unknown, the key nameless.
			granted(t, parseKeys(t, " \n"+setOf(jwkOf(p256Key(), member{"kid", "other"}), private)+"\n"), token)
			last := len(token) - 30
			flipped := token[:last] + string(token[last]^1) + token[last+1:]
			if grant, err := authorize(t.Context(), parseKeys(t, private), flipped, "chat"); err == nil {
				t.Errorf("granted %+v with a bit of the signature changed", grant)
			}
			if _, symmetric := key.([]byte); symmetric {
				return
			}
			public := parseKeys(t, publicOf(private))
			granted(t, public, token)
			if token, err := public.Sign([]byte(goodClaims)); err == nil {
				t.Errorf("a public key signed %s", token)
			}
		})
	}
}

func decodeHeader(t *testing.T, token string) map[string]any {
	t.Helper()
	encoded, _, _ := strings.Cut(token, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return decodeObject(t, string(decoded))
}

// A key's own algorithm, type, curve and length say what it verifies; the token's
// header cannot make it do anything else.
func TestAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	public := publicOf(jwkOf(rsaKey()))
	der := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	asPEM := func(name string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: name, Bytes: der}))
	}
	t.Run("HS256 with a public key", func(t *testing.T) {
		t.Parallel()
		for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
			for _, known := range []string{
				public, setOf(public), string(der), string(pkcs1), asPEM("PUBLIC KEY", der), asPEM("RSA PUBLIC KEY", pkcs1),
				strings.TrimSpace(asPEM("PUBLIC KEY", der)), string(rsaKey().N.Bytes()), encode(string(rsaKey().N.Bytes())), "",
			} {
				refused(t, parseKeys(t, public), hmacToken(`{"alg":"`+algorithm+`"}`, goodClaims, known), noKey)
			}
		}
	})
	t.Run("none with any key", func(t *testing.T) {
		t.Parallel()
		keys := parseKeys(t, privateSet())
		for _, algorithm := range []string{"none", "None", "NONE", "nOnE", ""} {
			unsigned := encode(`{"alg":"`+algorithm+`"}`) + "." + encode(goodClaims) + "."
			refused(t, keys, unsigned, noKey)
			refused(t, keys, unsigned+encode("signature"), noKey)
		}
	})
	t.Run("ES256 on another curve", func(t *testing.T) {
		t.Parallel()
		input := encode(`{"alg":"ES256"}`) + "." + encode(goodClaims)
		digest := sha256.Sum256([]byte(input))
		r, s, err := ecdsa.Sign(rand.Reader, p384Key(), digest[:])
		if err != nil {
			t.Fatal(err)
		}
		signature := append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...)
		refused(t, parseKeys(t, jwkOf(p384Key())), input+"."+encode(string(signature)), noKey)
	})
	t.Run("ES256 with zeros", func(t *testing.T) {
		t.Parallel()
		input := encode(`{"alg":"ES256"}`) + "." + encode(goodClaims)
		refused(t, parseKeys(t, jwkOf(p256Key())), input+"."+encode(strings.Repeat("\x00", 64)), forged)
	})
	t.Run("ES256 in DER", func(t *testing.T) {
		t.Parallel()
		input := encode(`{"alg":"ES256"}`) + "." + encode(goodClaims)
		digest := sha256.Sum256([]byte(input))
		signature := must(p256Key().Sign(rand.Reader, digest[:], crypto.SHA256))
		refused(t, parseKeys(t, jwkOf(p256Key())), input+"."+encode(string(signature)), forged)
	})
	t.Run("a key bound to one algorithm", func(t *testing.T) {
		t.Parallel()
		bound := parseKeys(t, publicOf(jwkOf(rsaKey(), member{"alg", "PS256"})))
		refused(t, bound, signedBy(t, jwkOf(rsaKey(), member{"alg", "RS256"})), noKey)
		granted(t, bound, signedBy(t, jwkOf(rsaKey(), member{"alg", "PS256"})))
	})
	t.Run("HS512 with a key of 32 bytes", func(t *testing.T) {
		t.Parallel()
		refused(t, parseKeys(t, jwkOf(hmacKey[:32])), signedBy(t, jwkOf(hmacKey, member{"alg", "HS512"})), noKey)
	})
}

// A token cannot bring the key that it is verified with.
func TestKeysInTheToken(t *testing.T) {
	t.Parallel()
	stranger := must(rsa.GenerateKey(rand.Reader, 2048))
	strangerJWK := publicOf(jwkOf(stranger, member{"kid", "known"}))
	called := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called <- r.URL.Path }))
	t.Cleanup(server.Close)
	keys := parseKeys(t, publicOf(jwkOf(rsaKey(), member{"kid", "known"})))
	certificate := encode("a certificate")
	for name, field := range map[string]string{
		"jwk": `"jwk":` + strangerJWK,
		"jku": `"jku":"` + server.URL + `/jku"`,
		"x5u": `"x5u":"` + server.URL + `/x5u"`,
		"x5c": `"x5c":["` + certificate + `"]`,
		"kid": `"kid":"known"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := encode(`{"alg":"RS256",`+field+`}`) + "." + encode(goodClaims)
			digest := sha256.Sum256([]byte(input))
			signature := must(rsa.SignPKCS1v15(nil, stranger, crypto.SHA256, digest[:]))
			refused(t, keys, input+"."+encode(string(signature)), forged)
		})
	}
	t.Run("jwk of an HMAC key", func(t *testing.T) {
		t.Parallel()
		own := jwkOf([]byte(strings.Repeat("k", 32)))
		header := `{"alg":"HS256","jwk":` + own + `,"jku":"` + server.URL + `/hmac"}`
		token := hmacToken(header, goodClaims, strings.Repeat("k", 32))
		refused(t, keys, token, noKey)
		refused(t, parseKeys(t, secret), token, forged)
	})
	t.Cleanup(func() {
		if len(called) > 0 {
			t.Errorf("%s was fetched", <-called)
		}
	})
}

func TestKeyNames(t *testing.T) {
	t.Parallel()
	const a, b, c = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccccccccccccccc"
	named := func(name, secret string) string { return jwkOf([]byte(secret), member{"kid", name}) }
	nameless := func(secret string) string { return jwkOf([]byte(secret)) }
	tests := map[string]struct {
		set  string
		kid  string // of the token, empty for none
		key  string // that it is signed with
		text string // empty: granted
	}{
		"the named key":                        {setOf(named("a", a), named("b", b)), "b", b, ""},
		"the named key has not signed":         {setOf(named("a", a), named("b", b)), "a", b, forged},
		"a token without a name, any key":      {setOf(named("a", a), named("b", b)), "", b, ""},
		"a token without a name, no key":       {setOf(named("a", a), named("b", b)), "", c, forged},
		"an unknown name":                      {setOf(named("a", a), named("b", b)), "c", a, noKey},
		"an unknown name, a nameless key":      {setOf(named("a", a), nameless(b)), "c", b, ""},
		"an unknown name is no other's":        {setOf(named("a", a), nameless(b)), "c", a, forged},
		"a known name is not the nameless":     {setOf(named("a", a), nameless(b)), "a", b, forged},
		"a doubled name, the first":            {setOf(named("a", a), named("a", b)), "a", a, ""},
		"a doubled name, the second":           {setOf(named("a", a), named("a", b)), "a", b, ""},
		"a doubled name, neither":              {setOf(named("a", a), named("a", b)), "a", c, forged},
		"a name is compared exactly":           {setOf(named("a", a)), "A", a, noKey},
		"the same name, other kinds of keys":   {setOf(jwkOf(p256Key(), member{"kid", "a"}), named("a", a)), "a", a, ""},
		"a key alone, its name":                {named("a", a), "a", a, ""},
		"a key alone, another name":            {named("a", a), "b", a, noKey},
		"a key that is not for signatures":     {setOf(jwkOf([]byte(a), member{"use", "enc"}, member{"kid", "a"}), named("b", b)), "a", a, noKey},
		"one of that name is not, one is":      {setOf(jwkOf(rsaKey(), member{"use", "enc"}, member{"kid", "a"}), named("a", a)), "a", a, ""},
		"encryption keys of unusable kinds":    {setOf(x25519(`,"use":"enc"`), named("a", a)), "a", a, ""},
		"a second member keys is the last":     {`{"keys":[],"keys":[` + named("a", a) + `]}`, "a", a, ""},
		"further members of a set are ignored": {`{"x":1,"keys":[` + named("a", a) + `]}`, "a", a, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := `{"alg":"HS256","kid":"` + tt.kid + `"}`
			if tt.kid == "" {
				header = `{"alg":"HS256"}`
			}
			token := hmacToken(header, goodClaims, tt.key)
			if tt.text == "" {
				granted(t, parseKeys(t, tt.set), token)
				return
			}
			refused(t, parseKeys(t, tt.set), token, tt.text)
		})
	}
}

// x25519 is a key with which nothing can be signed.
func x25519(members string) string {
	return `{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"` + members + `}`
}

// Sign takes the first key that can sign.
func TestSignChooses(t *testing.T) {
	t.Parallel()
	set := setOf(jwkOf(rsaKey(), member{"use", "enc"}), publicOf(jwkOf(p256Key(), member{"kid", "public"})),
		jwkOf(edKey(), member{"kid", "private"}), jwkOf(hmacKey, member{"kid", "later"}))
	token := signedBy(t, set)
	if header := decodeHeader(t, token); header["kid"] != "private" || header["alg"] != "EdDSA" {
		t.Errorf("signed with %v", header)
	}
	granted(t, parseKeys(t, set), token)
	if header := decodeHeader(t, signedBy(t, secret)); len(header) != 2 || header["alg"] != "HS256" {
		t.Errorf("a text key's header is %v", header)
	}
}

// What cannot be used is named when the keys are read, never when a token comes.
func TestUnusableKeys(t *testing.T) {
	t.Parallel()
	oct := func(bytes int) string { return `{"kty":"oct","k":"` + encode(strings.Repeat("k", bytes)) + `"}` }
	with := func(document string, changes map[string]any) string {
		var members map[string]any
		if err := json.Unmarshal([]byte(document), &members); err != nil {
			panic(err)
		}
		for name, value := range changes {
			if members[name] = value; value == nil {
				delete(members, name)
			}
		}
		return string(must(json.Marshal(members)))
	}
	const neither = "neither a valid JWK nor a JWK set (RSA keys need 2048 bits or more)"
	public := publicOf(jwkOf(p256Key()))
	tests := map[string]struct{ secret, text string }{
		"no JWK":                       {`{"a":"an object of thirty-two bytes or more"}`, neither},
		"an empty object":              {`{}`, neither},
		"an empty set":                 {`{"keys":[]}`, "the JWK set has no key for signatures"},
		"a set that is no list":        {`{"keys":{}}`, neither},
		"a set that is null":           {`{"keys":null}`, neither},
		"only encryption keys":         {setOf(jwkOf(rsaKey(), member{"use", "enc"})), "the JWK set has no key for signatures"},
		"an unknown kind":              {`{"kty":"XYZ","x":"AA"}`, neither},
		"an unknown kind in a set":     {setOf(jwkOf(hmacKey), `{"kty":"XYZ","x":"AA"}`), neither},
		"a key that cannot sign":       {x25519(""), `key 1: key type "OKP" cannot verify tokens`},
		"no bytes":                     {oct(0), neither},
		"31 bytes":                     {oct(31), "key 1: an HMAC key needs 32 bytes or more, this one has 31"},
		"31 bytes, the second":         {setOf(oct(32), oct(31)), "key 2: an HMAC key needs 32 bytes or more, this one has 31"},
		"HS384 with 47 bytes":          {with(oct(47), map[string]any{"alg": "HS384"}), `key 1: algorithm "HS384" does not fit the key`},
		"HS512 with 63 bytes":          {with(oct(63), map[string]any{"alg": "HS512"}), `key 1: algorithm "HS512" does not fit the key`},
		"RS256 for HMAC":               {with(oct(64), map[string]any{"alg": "RS256"}), `key 1: algorithm "RS256" does not fit the key`},
		"HS256 for RSA":                {with(publicOf(jwkOf(rsaKey())), map[string]any{"alg": "HS256"}), `key 1: algorithm "HS256" does not fit the key`},
		"none for RSA":                 {with(publicOf(jwkOf(rsaKey())), map[string]any{"alg": "none"}), `key 1: algorithm "none" does not fit the key`},
		"an encryption's algorithm":    {with(jwkOf(rsaKey()), map[string]any{"alg": "RSA-OAEP"}), `key 1: algorithm "RSA-OAEP" does not fit the key`},
		"ES256 for P-384":              {jwkOf(p384Key(), member{"alg", "ES256"}), `key 1: algorithm "ES256" does not fit the key`},
		"a point that is on no curve":  {with(public, map[string]any{"y": encode(strings.Repeat("\x01", 32))}), neither},
		"half a point":                 {with(public, map[string]any{"y": nil}), neither},
		"a curve that is another's":    {with(public, map[string]any{"crv": "P-384"}), neither},
		"an unknown curve":             {with(public, map[string]any{"crv": "P-192"}), neither},
		"a short RSA key":              {`{"kty":"RSA","e":"AQAB","n":"` + encode("\xff"+strings.Repeat("\x01", 127)) + `"}`, neither},
		"no modulus":                   {with(publicOf(jwkOf(rsaKey())), map[string]any{"n": nil}), neither},
		"an exponent of one":           {with(publicOf(jwkOf(rsaKey())), map[string]any{"e": "AQ"}), neither},
		"an Ed25519 key that is short": {`{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, neither},
		"a kid that is a number":       {with(public, map[string]any{"kid": 1}), neither},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := auth.ParseKeys(tt.secret)
			switch {
			case err == nil:
				t.Error("taken")
			case err.Error() != tt.text:
				t.Errorf("got %q, want %q", err, tt.text)
			case reveals(err.Error(), tt.secret):
				t.Errorf("%q shows a part of the key", err)
			}
		})
	}
}

// TestSecret: only an HS256 key is told, the first one.
func TestSecret(t *testing.T) {
	t.Parallel()
	const other = "another secret of thirty-two bytes or more"
	for name, tt := range map[string]struct{ document, want string }{
		"a text":        {other, other},
		"a set":         {setOf(jwkOf(p256Key()), jwkOf([]byte(other)), jwkOf(hmacKey)), other},
		"HS512 only":    {jwkOf(hmacKey, member{"alg", "HS512"}), ""},
		"a public key":  {publicOf(jwkOf(rsaKey())), ""},
		"a private key": {jwkOf(edKey()), ""},
	} {
		if got := string(parseKeys(t, tt.document).Secret()); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
