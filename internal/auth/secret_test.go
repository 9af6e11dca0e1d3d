package auth_test

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"pgws/internal/auth"
)

func TestTextSecrets(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 32)
	tests := map[string]string{
		"32 bytes":                 long,
		"more than HS512 needs":    strings.Repeat("x", 65),
		"bytes that are no text":   strings.Repeat("\xff\x00", 16),
		"white space around it":    " " + long + "\n",
		"looks like JSON":          `{not JSON at all, but 32 bytes long}`,
		"a brace is missing":       `{"a":"JSON but for its last brace"`,
		"a JSON array":             `["an array of thirty-two bytes or more"]`,
		"a JSON string":            `"a string of thirty-two bytes or more"`,
		"a JSON number":            "12345678901234567890123456789012",
		"contains a plain address": "my favourite is ftp://example.com/key",
		"begins with a scheme":     "httpsomething of thirty-two bytes or more",
	}
	for name, secret := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := parseKeys(t, secret)
			granted(t, keys, hmacToken(`{"alg":"HS256"}`, goodClaims, secret))
			refused(t, keys, hmacToken(`{"alg":"HS256"}`, goodClaims, secret[1:]), forged)
			token, err := keys.Sign([]byte(goodClaims))
			if err != nil {
				t.Fatal(err)
			}
			granted(t, keys, token)
		})
	}
}

func TestRefusedSecrets(t *testing.T) {
	t.Parallel()
	public := publicOf(jwkOf(p256Key()))
	const (
		pem     = "keys in PEM are not read, write it as a JWK"
		broken  = "it looks like a JWK but is not a JSON object"
		stray   = "it looks like the address of a JWK set but does not begin with https://"
		noHTTPS = "the address of a JWK set must begin with https:// (http:// only for this machine)"
		invalid = "not a valid address of a JWK set"
	)
	tests := map[string]struct{ secret, text string }{
		"empty":                     {"", "a text secret needs 32 bytes or more (HS256), this one has 0"},
		"31 bytes":                  {strings.Repeat("x", 31), "a text secret needs 32 bytes or more (HS256), this one has 31"},
		"31 bytes, 62 as UTF-8":     {strings.Repeat("ä", 15) + "x", "a text secret needs 32 bytes or more (HS256), this one has 31"},
		"a JWK without its end":     {public[:len(public)-1], broken},
		"a JWK without its start":   {public[1:], broken},
		"a JWK in quotes":           {"'" + public + "'", broken},
		"a JWK as a JSON string":    {`"` + strings.ReplaceAll(public, `"`, `\"`) + `"`, broken},
		"JWKs without a set":        {"[" + public + "]", broken},
		"a JWK after a mark":        {"\ufeff" + public, broken},
		"a public key in PEM":       {"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n-----END PUBLIC KEY-----\n", pem},
		"a certificate":             {"\n-----BEGIN CERTIFICATE-----\nMFkwEwYHKoZIzj0CAQ\n", pem},
		"an address in quotes":      {`"https://id.example/keys-of-the-issuer"`, stray},
		"an address after a name":   {"jwks=HTTPS://id.example/keys-of-the-issuer", stray},
		"an address by http":        {"http://id.example/keys-of-the-issuer", noHTTPS},
		"an address by HTTP":        {"HTTP://id.example/keys-of-the-issuer", noHTTPS},
		"almost this machine":       {"http://localhost.example/keys-of-the-issuer", noHTTPS},
		"this machine is the user":  {"http://localhost@id.example/keys-of-the-issuer", noHTTPS},
		"this machine's other name": {"http://127.0.0.1.example/keys-of-the-issuer", noHTTPS},
		"an address without a host": {"https:///keys-of-the-issuer-of-all-tokens", invalid},
		"an address with a break":   {"https://id.example/\nkeys-of-the-issuer", invalid},
		"a port that is none":       {"https://id.example:port/keys-of-the-issuer", invalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := auth.ParseKeys(tt.secret)
			if err == nil {
				t.Fatal("taken")
			}
			if err.Error() != tt.text {
				t.Errorf("got %q, want %q", err, tt.text)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"https://id.example/keys", " https://id.example/keys\n", "HTTPS://id.example/keys", "https://user:password@id.example:8443/keys?x=1",
		"http://localhost:8080/keys", "http://127.0.0.1/keys", "http://127.1.2.3/keys", "http://[::1]:1/keys", "Http://LocalHost/keys",
	} {
		keys := parseKeys(t, address)
		if token, err := keys.Sign([]byte(goodClaims)); err == nil {
			t.Errorf("%s: signed %s with no key", address, token)
		}
	}
}

func TestDecodeBase64(t *testing.T) {
	t.Parallel()
	const text = "\xfb\xef\xbe\xff\xff\xff secret" // In base64 with + and /, and two digits of padding.
	standard := base64.StdEncoding.EncodeToString([]byte(text))
	if !strings.Contains(standard, "+") || !strings.Contains(standard, "/") || !strings.HasSuffix(standard, "==") {
		t.Fatalf("%q does not show what it shall", standard)
	}
	url := base64.URLEncoding.EncodeToString([]byte(text))
	good := map[string]string{
		"standard":               standard,
		"standard, not padded":   strings.TrimRight(standard, "="),
		"url":                    url,
		"url, not padded":        strings.TrimRight(url, "="),
		"dots for the padding":   strings.ReplaceAll(url, "=", "."),
		"a dot and an equal":     strings.TrimRight(url, "=") + ".=",
		"both alphabets":         strings.Replace(standard, "+", "-", 1),
		"a line end":             standard + "\n",
		"folded":                 standard[:8] + "\r\n" + standard[8:16] + "\n  " + standard[16:] + "\n",
		"line ends in the dots":  strings.TrimRight(url, "=") + ".\n.\n",
		"spaces around":          "  " + standard + " ",
		"more padding than fits": standard + "==",
	}
	for name, secret := range good {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := auth.DecodeBase64(secret)
			if err != nil || got != text {
				t.Errorf("got %q, %v, want %q", got, err, text)
			}
		})
	}
	bad := map[string]string{
		"one digit left":          standard[:len(standard)-3],
		"padding in the middle":   "YWJj=ZGVm",
		"dots in the middle":      "YWJj.ZGVm",
		"another character":       "YWJj*ZGVm",
		"letters beyond ASCII":    "YWJjä",
		"a sentence, as it seems": "not base64, is it?",
	}
	for name, secret := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := auth.DecodeBase64(secret)
			if err == nil {
				t.Fatalf("decoded as %q", got)
			}
			if err.Error() != "not base64" {
				t.Errorf("the error %q may tell something", err)
			}
		})
	}
}

// However a secret is broken, the error does not show it.
func TestErrorsHideSecrets(t *testing.T) {
	t.Parallel()
	documents := []string{
		secret, privateSet(), jwkOf(rsaKey()), jwkOf(edKey()), jwkOf(hmacKey), jwkOf(p521Key()),
		"https://user:pass-word-123@id.example/keys?key=a-secret-parameter",
	}
	random := rand.New(rand.NewPCG(1, 2))
	const bytes = "\x00\n\"'{}[],:0a=\\\xff"
	taken, broken := 0, 0
	for _, document := range documents {
		for range 300 {
			mutant := []byte(document)
			for range 1 + random.IntN(3) {
				mutant[random.IntN(len(mutant))] = bytes[random.IntN(len(bytes))]
			}
			if random.IntN(4) == 0 {
				mutant = mutant[random.IntN(len(mutant)):]
			}
			_, err := auth.ParseKeys(string(mutant))
			if err == nil {
				taken++
				continue
			}
			broken++
			if reveals(err.Error(), string(mutant)) || reveals(err.Error(), document) {
				t.Errorf("%q shows a part of %q", err, mutant)
			}
		}
	}
	if taken == 0 || broken == 0 {
		t.Errorf("%d taken, %d broken: the changes say nothing", taken, broken)
	}
}
