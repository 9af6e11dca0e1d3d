package contract_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// A provider is a server of a JWK set whose answer can be changed.
type provider struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

// provide starts a provider of a set of keys.
func provide(t *testing.T, keys ...string) *provider {
	t.Helper()
	p := &provider{}
	p.set(serveKeys(keys...))
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		(*p.answer.Load())(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) set(answer http.HandlerFunc) { p.answer.Store(&answer) }

func serveKeys(keys ...string) http.HandlerFunc {
	return serveText(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

func serveText(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// startServer starts a server whose keys a provider has.
func (p *provider) startServer(t *testing.T, uri string) *server {
	t.Helper()
	return start(t, env{"PGWS_DB_URI": uri, "PGWS_JWT_SECRET": p.URL + "/keys?pass=word-of-the-set"})
}

// rsaToken is signed with an RSA key of a name.
func rsaToken(kid string, key *rsa.PrivateKey) string {
	return jwt(fmt.Sprintf(`{"alg":"RS256","kid":%q}`, kid), anybody, rs256(key))
}

func ps256(key *rsa.PrivateKey) signer {
	return func(signed string) []byte {
		digest := sha256.Sum256([]byte(signed))
		signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		must(err)
		return signature
	}
}

// The keys of a provider, of every kind, verify tokens of their own algorithm and no other's.
func TestProvidersKeys(t *testing.T) {
	t.Parallel()
	k := keys()
	public := k.ed.Public().(ed25519.PublicKey)
	rsaKey := rsaJWK(&k.rsa.PublicKey, `,"kid":"rsa","use":"sig","alg":"RS256"`)
	ps := rsaJWK(&k.other.PublicKey, `,"kid":"pss","alg":"PS256"`)
	p := provide(t, rsaKey, ps, ecJWK(&k.ec.PublicKey, `,"kid":"ec"`), edJWK(public, `,"kid":"ed"`),
		octJWK([]byte(secret), `,"kid":"oct"`)) // which the whole world knows
	s := p.startServer(t, pgtest.Database(t))
	der, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	check(t, err)
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	mine := rsaJWK(&k.other.PublicKey, `,"kid":"mine"`)
	other := provide(t, mine)
	bad := map[string]string{
		"PS256 with a key for RS256": jwt(`{"alg":"PS256","kid":"rsa"}`, anybody, ps256(k.rsa)),
		"RS256 with a key for PS256": jwt(`{"alg":"RS256","kid":"pss"}`, anybody, rs256(k.other)),
		"another's name":             jwt(`{"alg":"RS256","kid":"ec"}`, anybody, rs256(k.rsa)),
		"HS256 with a published key": jwt(`{"alg":"HS256","kid":"oct"}`, anybody, hs256([]byte(secret))),
		"none":                       jwt(`{"alg":"none","kid":"rsa"}`, anybody, unsigned),
		"its own jwk":                jwt(`{"alg":"RS256","jwk":`+mine+`}`, anybody, rs256(k.other)),
		"its own jwk, a known name":  jwt(`{"alg":"RS256","kid":"rsa","jwk":`+mine+`}`, anybody, rs256(k.other)),
		"its own jku":                jwt(`{"alg":"RS256","kid":"mine","jku":"`+other.URL+`"}`, anybody, rs256(k.other)),
		"its own x5u":                jwt(`{"alg":"RS256","kid":"rsa","x5u":"`+other.URL+`"}`, anybody, rs256(k.other)),
	}
	for name, secret := range map[string][]byte{"PEM": inPEM, "DER": der, "JWK": []byte(rsaKey), "modulus": k.rsa.N.Bytes(), "Ed25519 key": public} {
		for _, kid := range []string{`,"kid":"rsa"`, `,"kid":"ed"`, ``} {
			bad["HS256 with the public "+name+kid] = jwt(`{"alg":"HS256"`+kid+`}`, anybody, hs256(secret))
		}
	}
	s.decides(t, map[string]string{
		"RS256": rsaToken("rsa", k.rsa),
		"PS256": jwt(`{"alg":"PS256","kid":"pss"}`, anybody, ps256(k.other)),
		"ES256": jwt(`{"alg":"ES256","kid":"ec"}`, anybody, es256(k.ec)),
		"EdDSA": jwt(`{"alg":"EdDSA","kid":"ed"}`, anybody, eddsa(k.ed)),
	}, bad)
	if n := other.asked.Load(); n > 0 {
		t.Errorf("a token has made the server ask another provider %d times", n)
	}
}

// A provider's set is fetched again when a token names a key that is not there. A new key is then found and the old one
// ends, while connections stay. When the provider is down, or lies, its last good set stays.
func TestProviderChanges(t *testing.T) {
	t.Parallel()
	uri, k := pgtest.Database(t), keys()
	oldKey, newKey := rsaJWK(&k.rsa.PublicKey, `,"kid":"old"`), rsaJWK(&k.other.PublicKey, `,"kid":"new"`)
	byOld, byNew := rsaToken("old", k.rsa), rsaToken("new", k.other)
	elsewhere := provide(t, newKey)
	type changed struct {
		*provider
		*server
		c *v1Client
	}
	servers := map[string]changed{}
	for name, answer := range map[string]http.HandlerFunc{
		"HTML":            serveText("<html><body>Sign in</body></html>"),
		"nothing":         serveText(""),
		"an empty set":    serveKeys(),
		"a symmetric key": serveKeys(octJWK([]byte(secret), `,"kid":"new"`)),
		"an error with a set": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			serveKeys(newKey)(w, r)
		},
		"a redirect by http": http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP,
		"a set without an end": func(w http.ResponseWriter, r *http.Request) {
			serveKeys(newKey)(w, r)
			serveText(strings.Repeat(" ", 2<<20))(w, r)
		},
		"it is down": nil,
		"rotation":   serveKeys(newKey),
	} {
		p := provide(t, oldKey)
		s := p.startServer(t, uri)
		s.decides(t, map[string]string{"old": byOld}, map[string]string{"new": byNew})
		c, _ := s.speak(t, "/a", byOld)
		if answer == nil {
			p.Close()
		} else {
			p.set(answer)
		}
		servers[name] = changed{p, s, c}
	}
	for name, changed := range servers {
		t.Log(name)
		good, bad := map[string]string{"old": byOld}, map[string]string{"new": byNew, "HS256": jwt(`{"alg":"HS256","kid":"new"}`, anybody, hs256([]byte(secret)))}
		renewed := ""
		programtest.Eventually(t, "the server has asked again", func() bool {
			renewed = changed.c.ask(authorizing(byNew)).Op
			return renewed == "ok" || strings.Contains(changed.Log.String(), "level=WARN")
		})
		if name == "rotation" {
			good, bad = map[string]string{"new": byNew}, map[string]string{"old": byOld}
			changed.c.expectError(authorizing(byOld), "unauthorized")
		} else {
			changed.c.expectOK(authorizing(byOld))
		}
		changed.decides(t, good, bad)
		changed.c.expectQuiet()
		if (renewed == "ok") != (name == "rotation") || strings.Contains(changed.Log.String(), "word-of-the-set") {
			t.Errorf("the renewal is answered %s", renewed)
		}
		const few = 5 // Every attempt has named a key that was not there.
		if n := changed.asked.Load(); n > few {
			t.Errorf("the provider was asked %d times", n)
		}
	}
	if n := elsewhere.asked.Load(); n > 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

// Without a good set there is no start, and it is said why.
func TestProviderAtStart(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	dead := provide(t)
	dead.Close()
	for name, p := range map[string]*provider{
		"down": dead, "HTML": answering(t, serveText("<html>")), "an empty set": answering(t, serveKeys()),
		"a symmetric key": answering(t, serveKeys(octJWK([]byte(secret), ""))), "not found": answering(t, http.NotFound),
	} {
		for _, variable := range []string{"PGWS_JWT_SECRET", "PGWS_JWT_SECRET_FALLBACK"} {
			variables := defaults()
			variables["PGWS_DB_URI"], variables[variable] = uri, p.URL+"/keys?pass=word-of-the-set"
			status, _, stderr := run(t, variables)
			if status == 0 || !strings.Contains(stderr, variable) || strings.Contains(stderr, "word-of-the-set") {
				t.Errorf("%s: status %d, standard error %q", name, status, stderr)
			}
		}
	}
}

func answering(t *testing.T, answer http.HandlerFunc) *provider {
	t.Helper()
	p := provide(t)
	p.set(answer)
	return p
}

// While one secret is replaced by the other both are good; a provider's set may be either.
func TestProviderAndSecret(t *testing.T) {
	t.Parallel()
	uri, k := pgtest.Database(t), keys()
	p := provide(t, rsaJWK(&k.rsa.PublicKey, `,"kid":"a"`))
	for name, settings := range map[string]env{
		"a secret, then a provider": {"PGWS_JWT_SECRET_FALLBACK": p.URL},
		"a provider, then a secret": {"PGWS_JWT_SECRET": p.URL, "PGWS_JWT_SECRET_FALLBACK": secret},
	} {
		settings["PGWS_DB_URI"] = uri
		s := start(t, settings)
		t.Log(name)
		s.decides(t, map[string]string{"by the secret": token(anybody), "by the provider's": rsaToken("a", k.rsa)},
			map[string]string{"by another": rsaToken("a", k.other), "HS256 with a public key": jwt(`{"alg":"HS256","kid":"a"}`, anybody, hs256(k.rsa.N.Bytes()))})
	}
}
