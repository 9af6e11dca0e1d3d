package auth_test

import (
	"crypto/hmac"
	"slices"
	"strings"
	"testing"

	"pgws/internal/auth"
)

func TestTokenForms(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	good := tokenOf(goodClaims)
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	// The last of the 43 digits of a signature has four bits to spare, the last of a payload of 13 bytes as well.
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	spare := digits[strings.IndexByte(digits, signature[42])+1]
	tests := map[string]struct{ token, text string }{
		"white space before":          {" " + good, malformed},
		"white space after":           {good + " ", malformed},
		"a line end after":            {good + "\n", malformed},
		"a line end in the header":    {header[:4] + "\r\n" + good[4:], malformed},
		"a line end in the payload":   {header + "." + payload[:4] + "\n" + payload[4:] + "." + signature, malformed},
		"a zero byte":                 {good + "\x00", malformed},
		"no dot":                      {header, malformed},
		"one dot":                     {header + "." + payload, malformed},
		"three dots":                  {good + ".", malformed},
		"five segments, as of a JWE":  {good + ".a.b", malformed},
		"only dots":                   {"..", malformed},
		"an empty header":             {"." + payload + "." + signature, malformed},
		"an empty payload":            {header + ".." + signature, forged},
		"an empty signature":          {header + "." + payload + ".", forged},
		"half a signature":            {header + "." + payload + "." + signature[:22], malformed},
		"a short signature":           {header + "." + payload + "." + encode("short"), forged},
		"a long signature":            {header + "." + payload + "." + encode(hmacOf(header+"."+payload, secret)+"x"), forged},
		"padded":                      {good + "=", malformed},
		"spare bits in the signature": {good[:len(good)-1] + string(spare), malformed},
		"standard base64":             {encodedAs("+/", good), malformed},
		"a Bearer token":              {"Bearer " + good, malformed},
		"JSON serialization":          {`{"payload":"` + payload + `","protected":"` + header + `","signature":"` + signature + `"}`, malformed},
		"no JSON in the header":       {hmacToken("alg", goodClaims, secret), malformed},
		"an array as header":          {hmacToken(`["HS256"]`, goodClaims, secret), malformed},
		"null as header":              {hmacToken(`null`, goodClaims, secret), malformed},
		"two objects as header":       {hmacToken(`{"alg":"HS256"}{}`, goodClaims, secret), malformed},
		"invalid UTF-8 in the header": {hmacToken("{\"alg\":\"HS256\",\"x\":\"\xff\"}", goodClaims, secret), malformed},
		"alg is a number":             {hmacToken(`{"alg":256}`, goodClaims, secret), malformed},
		"kid is a number":             {hmacToken(`{"alg":"HS256","kid":1}`, goodClaims, secret), malformed},
		"another payload":             {header + "." + encode(`{"mode":"r"}`) + "." + signature, forged},
		"another header":              {encode(`{"alg":"HS256"}`) + "." + payload + "." + signature, forged},
		"a megabyte of dots":          {strings.Repeat(".", 1<<20), malformed},
		"a megabyte of letters":       {strings.Repeat("A", 1<<20), malformed},
		"a huge header, unsigned":     {encode(`{"alg":"HS256","x":"`+strings.Repeat("x", 1<<20)+`"}`) + "." + payload + "." + signature, forged},
		"a deep header":               {encode(`{"alg":"HS256","x":`+strings.Repeat("[", 1<<20)) + "." + payload + "." + signature, malformed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, keys, tt.token, tt.text)
		})
	}
	t.Run("good", func(t *testing.T) {
		t.Parallel()
		granted(t, keys, good)
	})
	t.Run("huge and good", func(t *testing.T) {
		t.Parallel()
		granted(t, keys, tokenOf(`{"mode":"r","x":"`+strings.Repeat("x", 1<<20)+`"}`))
	})
}

// encodedAs writes a token with two other digits, which its signature is made to have.
func encodedAs(digits, token string) string {
	return strings.NewReplacer("-", digits[:1], "_", digits[1:]).Replace(token[:len(token)-1]) + digits[:1]
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	tests := map[string]struct {
		header string
		text   string // empty: granted
	}{
		"just alg":                     {`{"alg":"HS256"}`, ""},
		"another typ":                  {`{"alg":"HS256","typ":"at+jwt"}`, ""},
		"what is not understood":       {`{"alg":"HS256","x":[1]}`, ""},
		"kid null":                     {`{"alg":"HS256","kid":null}`, ""},
		"an unknown kid":               {`{"alg":"HS256","kid":"any"}`, ""}, // The text key has no name.
		"no alg":                       {`{"typ":"JWT"}`, noKey},
		"alg empty":                    {`{"alg":""}`, noKey},
		"alg null":                     {`{"alg":null}`, noKey},
		"alg none":                     {`{"alg":"none"}`, noKey},
		"alg None":                     {`{"alg":"None"}`, noKey},
		"alg NONE":                     {`{"alg":"NONE"}`, noKey},
		"alg in lower case":            {`{"alg":"hs256"}`, noKey},
		"alg with a space":             {`{"alg":"HS256 "}`, noKey},
		"the name of alg in capitals":  {`{"ALG":"HS256"}`, noKey},
		"HS512 with the text key":      {`{"alg":"HS512"}`, noKey},
		"RS256 with the text key":      {`{"alg":"RS256"}`, noKey},
		"an encryption":                {`{"alg":"dir","enc":"A256GCM"}`, noKey},
		"alg twice, the last is wrong": {`{"alg":"HS256","alg":"none"}`, noKey},
		"alg twice, the first is":      {`{"alg":"none","alg":"HS256"}`, forged},
		"crit":                         {`{"alg":"HS256","crit":["exp"]}`, critical},
		"crit empty":                   {`{"alg":"HS256","crit":[]}`, critical},
		"crit null":                    {`{"alg":"HS256","crit":null}`, critical},
		"b64":                          {`{"alg":"HS256","b64":false}`, critical},
		"b64, asked for":               {`{"alg":"HS256","b64":false,"crit":["b64"]}`, critical},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := hmacToken(tt.header, goodClaims, secret)
			if tt.text == "" {
				granted(t, keys, token)
				return
			}
			refused(t, keys, token, tt.text)
		})
	}
	t.Run("alg none, unsigned", func(t *testing.T) {
		t.Parallel()
		refused(t, keys, encode(`{"alg":"none"}`)+"."+encode(goodClaims)+".", noKey)
	})
}

func TestLooksLikeToken(t *testing.T) {
	t.Parallel()
	header := encode(`{"alg":"HS256"}`)
	for name, token := range map[string]string{
		"a good one":              tokenOf(goodClaims),
		"an expired one":          tokenOf(`{"exp":1}`),
		"one of another key":      hmacToken(`{"alg":"HS256"}`, goodClaims, "other"),
		"a part is cut off":       tokenOf(goodClaims)[:len(tokenOf(goodClaims))-7],
		"unsigned":                encode(`{"alg":"none"}`) + "." + encode(goodClaims) + ".",
		"no more than a header":   header + "..",
		"no algorithm":            encode(`{}`) + ".a.b",
		"extensions":              encode(`{"crit":["x"]}`) + ".a.b",
		"a wrong type":            encode(`{"alg":1}`) + ".a.b",
		"a header with blanks":    encode(" \n{ \"alg\" : \"HS256\" } ") + ".a.b",
		"spare bits in the first": encode(`{"alg":"HS256"} `)[:21] + "B.a.b",
	} {
		if !auth.LooksLikeToken(token) {
			t.Errorf("%s does not: %q", name, token)
		}
	}
	good := tokenOf(goodClaims)
	for name, text := range map[string]string{
		"nothing": "", "a channel": "chat", "dots": "..", "three words": "eu.chat.general", "a host": "www.example.com", "a version": "1.2.3",
		"one dot": header + ".a", "three dots": good + ".", "four parts": good + ".a", "a slash": good + "/", "padded": good + "=", "a blank": " " + good,
		"a line end": good + "\n", "a line end in the first": good[:4] + "\n" + good[4:], "standard base64": header + ".a+b.c", "a letter beyond ASCII": header + ".ä.c",
		"an array": encode("[]") + ".a.b", "a string": encode(`"x"`) + ".a.b", "null": encode("null") + ".a.b", "no JSON": encode("{alg}") + ".a.b",
		"two objects": encode("{}{}") + ".a.b", "no base64": "e.a.b", "an empty first": ".a.b", "invalid UTF-8": encode("{\"\xff\":1}") + ".a.b", "half an object": header[:8] + ".a.b",
	} {
		if auth.LooksLikeToken(text) {
			t.Errorf("%s does: %q", name, text)
		}
	}
}

// FuzzVerify gives any token. Only a signed one, in its one spelling, is granted.
func FuzzVerify(f *testing.F) {
	good := tokenOf(goodClaims)
	for _, seed := range []string{
		good, good + "=", good[:len(good)-1], "", ".", "..", "...", hmacToken(`{"alg":"none"}`, goodClaims, secret),
		hmacToken(`{"alg":"HS256","kid":"k"}`, `{"mode":"r","exp":1}`, secret), hmacToken(`{"alg":"RS256","crit":["x"]}`, "", secret),
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "eyJhbGciOiJFZERTQSJ9.e30.", good + "\n",
	} {
		f.Add(seed)
	}
	keys := parseKeys(f, secret)
	all := parseKeys(f, privateSet()) // One key of each type, none of which is secret.
	f.Fuzz(func(t *testing.T, token string) {
		if grant, err := authorize(t.Context(), all, token, "chat"); err == nil {
			t.Errorf("granted %+v by a key that signed nothing", grant)
		}
		grant, err := authorize(t.Context(), keys, token, "chat")
		if err != nil {
			refusal := refusalOf(t, err)
			if err.Error() != malformed && token != "" && !auth.LooksLikeToken(token) {
				t.Errorf("%q is a token (%v) and does not look like one", token, err)
			}
			if texts := []string{malformed, critical, noKey, forged}; refusal.Reason == "bad_token" && !slices.Contains(texts, err.Error()) {
				t.Errorf("the error %q may show a part of the token", err)
			}
			return
		}
		if !auth.LooksLikeToken(token) {
			t.Errorf("%q is granted and does not look like a token", token)
		}
		checkGrant(t, grant, "chat")
		dot := strings.LastIndexByte(token, '.')
		if !hmac.Equal([]byte(token[dot+1:]), []byte(encode(hmacOf(token[:dot], secret)))) {
			t.Errorf("granted, but the signature is wrong: %q", token)
		}
	})
}
