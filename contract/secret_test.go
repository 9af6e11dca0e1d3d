package contract_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"pgws/internal/devpg/pgtest"
)

const anybody = `{"mode":"rw"}`

// keys are made once: an RSA key takes a while.
var keys = sync.OnceValue(func() (k struct {
	rsa   *rsa.PrivateKey
	other *rsa.PrivateKey
	ec    *ecdsa.PrivateKey
	ed    ed25519.PrivateKey
}) {
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.other, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	return k
})

// decides checks that each of good opens a session, and that none of bad does.
func (s *server) decides(t *testing.T, good, bad map[string]string) {
	t.Helper()
	for name, token := range good {
		if _, refused := s.open(t, "/chat/"+token); refused != nil {
			t.Errorf("%s: refused with %d %s", name, refused.status, refused.body)
		}
	}
	for name, token := range bad {
		_, refused := s.open(t, "/chat/"+token)
		switch {
		case refused == nil:
			t.Errorf("%s: not refused", name)
		case refused.status != http.StatusUnauthorized || !strings.HasPrefix(refused.body, "Error: "):
			t.Errorf("%s: refused with %d %q, want 401 and Error: …", name, refused.status, refused.body)
		}
	}
}

// The forms in which a secret can be written.
func TestSecretForms(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	// Encoded, it has each of the characters in which base64 and base64url differ, and padding.
	key := append(bytes.Repeat([]byte{0xFB, 0xFF, 0xBF}, 12), 'x')
	standard, urlSafe := base64.StdEncoding.EncodeToString(key), base64.URLEncoding.EncodeToString(key)
	text := []byte("a secret of more than 32 bytes, ä, \"quoted\"")
	cases := map[string]struct {
		settings env
		key      []byte
	}{
		"text":                          {env{"PGWS_JWT_SECRET": string(text)}, text},
		"text, 32 bytes":                {env{"PGWS_JWT_SECRET": string(text[:32])}, text[:32]},
		"text with braces":              {env{"PGWS_JWT_SECRET": "{this is no JSON and 32 bytes long}"}, []byte("{this is no JSON and 32 bytes long}")},
		"@file":                         {env{"PGWS_JWT_SECRET": "@" + writeFile(t, string(text))}, text},
		"@file with a newline":          {env{"PGWS_JWT_SECRET": "@" + writeFile(t, string(text)+"\n")}, text},
		"@file with two newlines":       {env{"PGWS_JWT_SECRET": "@" + writeFile(t, string(text)+"\n\n")}, append(bytes.Clone(text), '\n')},
		"@file with spaces":             {env{"PGWS_JWT_SECRET": "@" + writeFile(t, " "+string(text)+" \n")}, []byte(" " + string(text) + " ")},
		"base64, True":                  {env{"PGWS_JWT_SECRET": standard, "PGWS_JWT_SECRET_BASE64": "True"}, key},
		"base64, true":                  {env{"PGWS_JWT_SECRET": standard, "PGWS_JWT_SECRET_BASE64": "true"}, key},
		"base64, 1":                     {env{"PGWS_JWT_SECRET": standard, "PGWS_JWT_SECRET_BASE64": "1"}, key},
		"base64url":                     {env{"PGWS_JWT_SECRET": urlSafe, "PGWS_JWT_SECRET_BASE64": "True"}, key},
		"base64url with dots":           {env{"PGWS_JWT_SECRET": strings.ReplaceAll(urlSafe, "=", "."), "PGWS_JWT_SECRET_BASE64": "True"}, key},
		"base64url without padding":     {env{"PGWS_JWT_SECRET": strings.TrimRight(urlSafe, "="), "PGWS_JWT_SECRET_BASE64": "True"}, key},
		"base64 in @file":               {env{"PGWS_JWT_SECRET": "@" + writeFile(t, standard+"\n"), "PGWS_JWT_SECRET_BASE64": "True"}, key},
		"no base64, False":              {env{"PGWS_JWT_SECRET": standard, "PGWS_JWT_SECRET_BASE64": "False"}, []byte(standard)},
		"no base64, false":              {env{"PGWS_JWT_SECRET": standard, "PGWS_JWT_SECRET_BASE64": "false"}, []byte(standard)},
		"no base64, 0":                  {env{"PGWS_JWT_SECRET": standard, "PGWS_JWT_SECRET_BASE64": "0"}, []byte(standard)},
		"no base64, unset":              {env{"PGWS_JWT_SECRET": standard}, []byte(standard)},
		"JWK":                           {env{"PGWS_JWT_SECRET": octJWK(key, "")}, key},
		"JWK with whitespace, in @file": {env{"PGWS_JWT_SECRET": "@" + writeFile(t, " \n"+octJWK(key, "")+"\n\n")}, key},
		"JWK in base64":                 {env{"PGWS_JWT_SECRET": base64.StdEncoding.EncodeToString([]byte(octJWK(key, ""))), "PGWS_JWT_SECRET_BASE64": "True"}, key},
		"JWK set":                       {env{"PGWS_JWT_SECRET": `{"keys":[` + octJWK(key, "") + `]}`}, key},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.settings["PGWS_DB_URI"] = uri
			s := start(t, tc.settings)
			s.secrets = append(s.secrets, string(tc.key), base64URL(tc.key))
			const header = `{"alg":"HS256"}`
			s.decides(t,
				map[string]string{"signed with the key": jwt(header, anybody, hs256(tc.key))},
				map[string]string{"signed with another": jwt(header, anybody, hs256(append([]byte("not "), tc.key...)))})
		})
	}
}

// The algorithm is the key's. A token cannot choose another, nor none.
func TestAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	key := keys().rsa
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	check(t, err)
	pkcs1 := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	inPEM := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	jwk := rsaJWK(&key.PublicKey, "")
	bad := map[string]string{
		"none, in HS256's place": jwt(`{"alg":"none"}`, anybody, unsigned),
		"None":                   jwt(`{"alg":"None"}`, anybody, unsigned),
		"no algorithm":           jwt(`{"typ":"JWT"}`, anybody, unsigned),
		"an empty algorithm":     jwt(`{"alg":""}`, anybody, unsigned),
		"an unknown algorithm":   jwt(`{"alg":"HS1"}`, anybody, unsigned),
		"another RSA key":        jwt(`{"alg":"RS256"}`, anybody, rs256(keys().other)),
		"RSA said to be PSS":     jwt(`{"alg":"PS256"}`, anybody, rs256(key)),
		"EC":                     jwt(`{"alg":"ES256"}`, anybody, es256(keys().ec)),
		"a key of its own":       jwt(`{"alg":"RS256","jwk":`+rsaJWK(&keys().other.PublicKey, "")+`}`, anybody, rs256(keys().other)),
	}
	for name, public := range map[string][]byte{
		"HS256 with the key's PEM":         inPEM("PUBLIC KEY", public),
		"HS256 with the key's PKCS #1 PEM": inPEM("RSA PUBLIC KEY", pkcs1),
		"HS256 with the key's DER":         public,
		"HS256 with the key's PKCS #1 DER": pkcs1,
		"HS256 with the key's JWK":         []byte(jwk),
		"HS256 with the key's modulus":     key.N.Bytes(),
		"HS256 with an empty key":          {},
	} {
		bad[name] = jwt(`{"alg":"HS256"}`, anybody, hs256(public))
	}
	t.Run("RSA", func(t *testing.T) {
		t.Parallel()
		s := start(t, env{"PGWS_DB_URI": uri, "PGWS_JWT_SECRET": jwk})
		s.decides(t, map[string]string{"RS256": jwt(`{"alg":"RS256"}`, anybody, rs256(key))}, bad)
	})
	t.Run("text", func(t *testing.T) {
		t.Parallel()
		s := start(t, env{"PGWS_DB_URI": uri})
		s.decides(t, map[string]string{"HS256": token(anybody)}, bad)
		s.decides(t, nil, map[string]string{
			"HS512 with the secret, an HS256 key": jwt(`{"alg":"HS512"}`, anybody, hs512([]byte(secret))),
			"HS512 said to be HS256":              jwt(`{"alg":"HS256"}`, anybody, hs512([]byte(secret))),
			"RS256":                               jwt(`{"alg":"RS256"}`, anybody, rs256(key)),
			"critical extensions":                 jwt(`{"alg":"HS256","crit":["exp"],"exp":1}`, anybody, hs256([]byte(secret))),
		})
	})
}

func TestKeySets(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	a, b := bytes.Repeat([]byte("a"), 64), bytes.Repeat([]byte("b"), 64)
	k := keys()
	hs := func(kid string, key []byte) string { return jwt(`{"alg":"HS256"`+kid+`}`, anybody, hs256(key)) }
	cases := map[string]struct {
		secret    string
		good, bad map[string]string
	}{
		"two of a kind": {
			secret: `{"keys":[` + octJWK(a, `,"kid":"a"`) + `,` + octJWK(b, `,"kid":"b"`) + `]}`,
			good: map[string]string{
				"a by a": hs(`,"kid":"a"`, a), "b by b": hs(`,"kid":"b"`, b), "a, unnamed": hs("", a), "b, unnamed": hs("", b),
			},
			bad: map[string]string{"a by b": hs(`,"kid":"a"`, b), "unknown": hs(`,"kid":"c"`, a)},
		},
		"all kinds": {
			secret: `{"keys":[` + strings.Join([]string{
				octJWK(a, `,"kid":"oct","alg":"HS512"`), rsaJWK(&k.rsa.PublicKey, `,"kid":"rsa","use":"sig"`),
				ecJWK(&k.ec.PublicKey, `,"kid":"ec","alg":"ES256"`), edJWK(k.ed.Public().(ed25519.PublicKey), `,"kid":"ed"`),
			}, ",") + `]}`,
			good: map[string]string{
				"HS512":          jwt(`{"alg":"HS512","kid":"oct"}`, anybody, hs512(a)),
				"RS256":          jwt(`{"alg":"RS256","kid":"rsa"}`, anybody, rs256(k.rsa)),
				"ES256":          jwt(`{"alg":"ES256","kid":"ec"}`, anybody, es256(k.ec)),
				"EdDSA":          jwt(`{"alg":"EdDSA","kid":"ed"}`, anybody, eddsa(k.ed)),
				"RS256, unnamed": jwt(`{"alg":"RS256"}`, anybody, rs256(k.rsa)),
			},
			bad: map[string]string{
				"HS256 with a key for HS512": jwt(`{"alg":"HS256","kid":"oct"}`, anybody, hs256(a)),
				"RS256 by the name of EC":    jwt(`{"alg":"RS256","kid":"ec"}`, anybody, rs256(k.rsa)),
				"none":                       jwt(`{"alg":"none","kid":"rsa"}`, anybody, unsigned),
			},
		},
		"one that encrypts": {
			secret: `{"keys":[` + octJWK(a, `,"kid":"a","use":"enc"`) + `,` + octJWK(b, `,"kid":"b"`) + `]}`,
			good:   map[string]string{"b": hs(`,"kid":"b"`, b)},
			bad:    map[string]string{"a": hs(`,"kid":"a"`, a), "a, unnamed": hs("", a)},
		},
		"one without a name": {
			secret: octJWK(a, ""),
			good:   map[string]string{"unnamed": hs("", a), "named by the token alone": hs(`,"kid":"x"`, a)},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, env{"PGWS_DB_URI": uri, "PGWS_JWT_SECRET": tc.secret})
			s.secrets = append(s.secrets, string(a), string(b), base64URL(a), base64URL(b))
			s.decides(t, tc.good, tc.bad)
		})
	}
}

func TestRemoteKeySet(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	k := keys()
	const password = "word-of-the-set"
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("pass") != password {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`{"keys":[` + rsaJWK(&k.rsa.PublicKey, `,"kid":"a"`) + `]}`))
	})
	decides := func(t *testing.T, settings env) {
		t.Helper()
		s := start(t, settings)
		s.secrets = append(s.secrets, password)
		s.decides(t,
			map[string]string{"RS256": jwt(`{"alg":"RS256","kid":"a"}`, anybody, rs256(k.rsa))},
			map[string]string{
				"another key":     jwt(`{"alg":"RS256","kid":"a"}`, anybody, rs256(k.other)),
				"an unknown name": jwt(`{"alg":"RS256","kid":"b"}`, anybody, rs256(k.rsa)),
			})
	}
	t.Run("http on loopback", func(t *testing.T) {
		t.Parallel()
		set := httptest.NewServer(handler)
		defer set.Close()
		decides(t, env{"PGWS_DB_URI": uri, "PGWS_JWT_SECRET": set.URL + "/keys?pass=" + password})
	})
	t.Run("https", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" {
			t.Skip("the certificates that a process trusts are set by a variable on Linux alone")
		}
		set := httptest.NewTLSServer(handler)
		defer set.Close()
		trusted := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: set.Certificate().Raw})
		decides(t, env{"PGWS_DB_URI": uri, "PGWS_JWT_SECRET": set.URL + "/keys?pass=" + password,
			"SSL_CERT_FILE": writeFile(t, string(trusted))})
	})
}
