package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"pgws/internal/auth"
)

// A referenceKey is a key as the reference knows it.
type referenceKey struct {
	id         string
	algorithms []string
	verify     any
}

// referenceSet is a set with names that are doubled and missing.
func referenceSet() (document string, set []referenceKey) {
	document = setOf(jwkOf(hmacKey, member{"kid", "a"}), jwkOf(p256Key()), jwkOf(edKey(), member{"kid", "a"}),
		jwkOf(rsaKey(), member{"kid", "b"}, member{"alg", "RS256"}))
	return document, []referenceKey{
		{"a", []string{"HS256", "HS384", "HS512"}, hmacKey},
		{"", []string{"ES256"}, &p256Key().PublicKey},
		{"a", []string{"EdDSA", "Ed25519"}, edKey().Public()},
		{"b", []string{"RS256"}, &rsaKey().PublicKey},
	}
}

// reference is Authorize by what jwx and encoding/json offer, slow and plain. It
// returns the text of a refusal.
func reference(set []referenceKey, token, channel string) (*auth.Grant, string) {
	if token == "" {
		return nil, "Error: no token"
	}
	payload, text := referenceVerify(set, token)
	if text != "" {
		return nil, text
	}
	claims, text := referenceClaims(payload)
	if text != "" {
		return nil, text
	}
	grant, err := claims.Grant()
	if err == nil {
		err = grant.Narrow(channel)
	}
	if err != nil {
		return nil, err.Error()
	}
	return grant, ""
}

func referenceObject(document []byte) (members map[string]json.RawMessage, ok bool) {
	if !utf8.Valid(document) || json.Unmarshal(document, &members) != nil {
		return nil, false
	}
	return members, members != nil
}

func referenceVerify(set []referenceKey, token string) (payload []byte, text string) {
	segments := strings.Split(token, ".")
	if len(segments) != 3 || strings.ContainsAny(token, "\r\n") {
		return nil, malformed
	}
	var header []byte
	for i, segment := range segments {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(segment)
		if err != nil {
			return nil, malformed
		}
		if i == 0 {
			header = decoded
		}
	}
	members, ok := referenceObject(header)
	if !ok {
		return nil, malformed
	}
	if members["crit"] != nil || members["b64"] != nil {
		return nil, critical
	}
	var algorithm, id string
	for name, target := range map[string]*string{"alg": &algorithm, "kid": &id} {
		if value, ok := members[name]; ok && json.Unmarshal(value, target) != nil {
			return nil, malformed
		}
	}
	named := func(k referenceKey) bool { return k.id == id }
	if id != "" && !slices.ContainsFunc(set, named) {
		named = func(k referenceKey) bool { return k.id == "" }
	}
	text = noKey
	for _, k := range set {
		known, ok := jwa.LookupSignatureAlgorithm(algorithm)
		if !ok || id != "" && !named(k) || !slices.Contains(k.algorithms, algorithm) {
			continue
		}
		if payload, err := jws.VerifyCompactFast(k.verify, []byte(token), known); err == nil {
			return payload, ""
		}
		text = forged
	}
	return nil, text
}

func referenceClaims(payload []byte) (c *auth.Claims, text string) {
	members, ok := referenceObject(payload)
	if !ok {
		return nil, "Error: the token's claims are not a JSON object"
	}
	c = new(auth.Claims)
	var channels []*string
	for _, claim := range []struct {
		name   string
		target any
	}{
		{"exp", &c.Expires}, {"nbf", &c.NotBefore}, {"mode", &c.Mode}, {"channel", &c.Channel}, {"channels", &channels}, {"echo", &c.Echo},
	} {
		if value, ok := members[claim.name]; ok && json.Unmarshal(value, claim.target) != nil || slices.Contains(channels, nil) {
			return nil, fmt.Sprintf("Error: claim %q has the wrong type", claim.name)
		}
	}
	for _, name := range channels {
		c.Channels = append(c.Channels, *name)
	}
	delete(members, "message_delivered_at")
	var all bytes.Buffer
	encoder := json.NewEncoder(&all)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(members); err != nil {
		panic(err)
	}
	c.All = strings.TrimSuffix(all.String(), "\n")
	return c, ""
}

// signAs signs with one of the keys of referenceSet, whatever the header says.
func signAs(kind uint8, input string) string {
	digest := sha256.Sum256([]byte(input))
	switch kind % 4 {
	case 1:
		r, s, err := ecdsa.Sign(rand.Reader, p256Key(), digest[:])
		return string(append(must(r, err).FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	case 2:
		return string(ed25519.Sign(edKey(), []byte(input)))
	case 3:
		return string(must(rsa.SignPKCS1v15(nil, rsaKey(), crypto.SHA256, digest[:])))
	}
	return hmacOf(input, string(hmacKey))
}

// FuzzReference gives signed tokens, some with a byte changed. Authorize says the
// same as the reference, and the same again when it remembers the token.
func FuzzReference(f *testing.F) {
	for i, header := range []string{
		`{"alg":"HS256","typ":"JWT"}`, `{"alg":"ES256"}`, `{"alg":"EdDSA","kid":"a"}`, `{"kid":"b","alg":"RS256"}`, `{"alg":"none"}`, ` { "alg" : "HS256" } `,
		`{"alg":"RS256","alg":"EdDSA"}`, `{"alg":"EdDSA","alg":"EdDSA","kid":"c","kid":null}`, `{"\u0061lg":"\u0052S256"}`, `{"alg":"HS256","crit":null}`, `[]`,
		`{"alg":"ES256","b64":false,"\u0062\u00364":1}`, `{"alg":null,"alg":"ES256","kid":"b"}`, `{"alg":"HS256","x":{"alg":"none","kid":["a"]}}`, `{"alg":"ES256"}{}`,
	} {
		for j, payload := range []string{
			goodClaims, `{"mode":"r","exp":4102444800,"nbf":1.5e0,"channel":"a","channels":["b","a"]}`, `{"mode":"w","exp":1e-7}`, `{"mode":"r","exp":"1"}`,
			` {"mode":"w", "x": [ 1.0 , {"y" : null} ], "a":"b\u00e4" ,"message_delivered_at":1 } `, `{"mode":"x","mode":"r","channels":["c"]}`, `{}`, `"mode"`, "",
			`{"mode":"\u0072","channels":["\ud800","\ud801"],"\ud800":1,"\ud801":2}`, `{"channel":null,"channels":null,"mode":null,"exp":1E400}`, `{"mode":"r"} null`,
			"{\"mode\":\"r\",\"\u2028\":\"\u2029\",\"<&>\":\"<&>\",\"\":-0}", `{"message_delivered_at":1,"channels":[["a"]],"channel":{}}`, `{"exp":-1,"nbf":9e99,"mode":"rw"}`,
			`{"echo":false,"mode":"rw","channel":"a"}`, `{"mode":"w","echo":0,"channels":["a"]}`, `{"echo":true,"echo":null,"mode":"r"}`,
		} {
			f.Add(header, payload, []string{"chat", "", "a"}[j%3], uint8(i), uint16(0), byte(0))
			f.Add(header, payload, "", uint8(i), uint16(i*j), "\n=.A_ "[j%6])
		}
	}
	document, set := referenceSet()
	keys := parseKeys(f, document)
	f.Fuzz(func(t *testing.T, header, payload, channel string, kind uint8, at uint16, other byte) {
		if strings.Count(header, "[")+strings.Count(header, "{") >= 300 {
			return // Deeper than jwx looks into a header.
		}
		token := encode(header) + "." + encode(payload)
		token += "." + encode(signAs(kind, token))
		if i := int(at) % len(token); i > 0 {
			token = token[:i] + string([]byte{other}) + token[i+1:]
		}
		want, text := reference(set, token, channel)
		for range 2 {
			got, err := authorize(t.Context(), keys, token, channel)
			if err != nil {
				if err.Error() != text {
					t.Errorf("refused with %q, the reference with %q", err, text)
				}
				continue
			}
			if want == nil {
				t.Fatalf("granted %+v, the reference refuses with %q", got, text)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(auth.Grant{}, "Claims"), cmpopts.IgnoreUnexported(auth.Grant{})); diff != "" {
				t.Errorf("grant (-reference +got):\n%s", diff)
			}
			sameClaims(t, want.Claims, got.Claims, payload)
		}
	})
}

// sameClaims compares claims to the byte. Names with escapes are compared as text:
// they keep their spelling, which encoding/json does not let them.
func sameClaims(t *testing.T, want, got, payload string) {
	t.Helper()
	if !strings.ContainsAny(payload, "\\\u2028\u2029") && want != got {
		t.Errorf("claims %s, of the reference %s", got, want)
	}
	if diff := cmp.Diff(decodeObject(t, want), decodeObject(t, got)); diff != "" {
		t.Errorf("claims (-reference +got):\n%s", diff)
	}
}
