package auth_test

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/auth"
)

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	document, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// ruled returns keys with rules.
func ruled(t *testing.T, rules auth.Rules) *auth.Keys {
	t.Helper()
	keys := parseKeys(t, secret)
	keys.Rules = rules
	return keys
}

func pathOf(t *testing.T, text string) auth.Path {
	t.Helper()
	path, err := auth.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func wrongType(claim string) string { return `Error: claim "` + claim + `" has the wrong type` }

const (
	otherIssuer   = "Error: the token is from another issuer"
	otherAudience = "Error: the token is for another audience"
)

func TestAudienceAndIssuer(t *testing.T) {
	t.Parallel()
	const us, idp = "https://pgws.example", "https://id.example/"
	tests := map[string]struct {
		audience, issuer string
		claims           string
		text             string // empty: granted
	}{
		"not looked at":              {"", "", `"aud":1,"iss":[]`, ""},
		"the audience":               {us, "", `"aud":"https://pgws.example"`, ""},
		"among audiences":            {us, "", `"aud":["a","https://pgws.example"]`, ""},
		"an audience, spelt in JSON": {us, "", `"aud":"https:\/\/pgws.example"`, ""},
		"another audience":           {us, "", `"aud":"https://pgws.example/"`, otherAudience},
		"an audience in upper case":  {us, "", `"aud":"HTTPS://PGWS.EXAMPLE"`, otherAudience},
		"other audiences":            {us, "", `"aud":["https://pgws","example"]`, otherAudience},
		"no audience":                {us, "", `"sub":"a"`, otherAudience},
		"an audience that is null":   {us, "", `"aud":null`, otherAudience},
		"an empty list":              {us, "", `"aud":[]`, otherAudience},
		"an audience of a number":    {us, "", `"aud":1`, wrongType("aud")},
		"an audience in an object":   {us, "", `"aud":{"https://pgws.example":1}`, wrongType("aud")},
		"a number among audiences":   {us, "", `"aud":["https://pgws.example",1]`, wrongType("aud")},
		"the last of two audiences":  {us, "", `"aud":"https://pgws.example","aud":"b"`, otherAudience},
		"the issuer":                 {"", idp, `"iss":"https://id.example/"`, ""},
		"another issuer":             {"", idp, `"iss":"https://id.example"`, otherIssuer},
		"no issuer":                  {"", idp, `"sub":"a"`, otherIssuer},
		"an issuer that is null":     {"", idp, `"iss":null`, otherIssuer},
		"an issuer in a list":        {"", idp, `"iss":["https://id.example/"]`, wrongType("iss")},
		"both":                       {us, idp, `"iss":"https://id.example/","aud":["https://pgws.example"]`, ""},
		"both are others":            {us, idp, `"iss":"a","aud":"b"`, otherIssuer},
		"expired as well":            {us, idp, `"exp":1`, "Token expired"},
		"a mode that is wrong, too":  {us, idp, `"mode":"x"`, otherIssuer},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := ruled(t, auth.Rules{Audience: tt.audience, Issuer: tt.issuer})
			_, err := keys.Authorize(t.Context(), tokenOf(`{"mode":"r",`+tt.claims+`}`))
			if tt.text == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if refusal := refusalOf(t, err); refusal.Error() != tt.text || refusal.Forbidden {
				t.Errorf("got %q, forbidden %t, want %q", refusal, refusal.Forbidden, tt.text)
			}
		})
	}
}

// In a synctest bubble it is 946684800.
func TestLeeway(t *testing.T) {
	t.Parallel()
	const leeway = 30 * time.Second
	tests := map[string]struct {
		claims string
		want   error
		left   time.Duration // 0: it never expires
	}{
		"exp is now":             {`{"mode":"r","exp":946684800}`, nil, leeway},
		"exp was just within it": {`{"mode":"r","exp":946684771}`, nil, time.Second},
		"exp was just beyond it": {`{"mode":"r","exp":946684770}`, auth.ErrExpired, 0},
		"exp is to come":         {`{"mode":"r","exp":946684860}`, nil, leeway + time.Minute},
		"exp never":              {`{"mode":"r","exp":1e300}`, nil, 0},
		"nbf just within it":     {`{"mode":"r","nbf":946684830}`, nil, 0},
		"nbf just beyond it":     {`{"mode":"r","nbf":946684830.5}`, auth.ErrNotYetValid, 0},
		"nbf hugely negative":    {`{"mode":"r","nbf":-1e300}`, nil, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				grant, err := ruled(t, auth.Rules{Leeway: leeway}).Authorize(t.Context(), tokenOf(tt.claims))
				if !errors.Is(err, tt.want) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				if err == nil && (grant.Expires.IsZero() != (tt.left == 0) || tt.left != 0 && time.Until(grant.Expires) != tt.left) {
					t.Errorf("expires %v, want %v from now", grant.Expires, tt.left)
				}
			})
		})
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	for value, want := range map[string]bool{"true": true, "null": true, "false": false} {
		grant, err := keys.Authorize(t.Context(), tokenOf(`{"mode":"rw","echo":`+value+`}`))
		if err != nil || grant.Echo != want {
			t.Errorf("%s: got %+v, %v", value, grant, err)
		}
	}
	if grant, err := keys.Authorize(t.Context(), tokenOf(goodClaims)); err != nil || !grant.Echo {
		t.Errorf("without the claim: %+v, %v", grant, err)
	}
	for _, value := range []string{`"false"`, "0", "[]", "{}"} {
		_, err := keys.Authorize(t.Context(), tokenOf(`{"mode":"rw","echo":`+value+`}`))
		if refusal := refusalOf(t, err); refusal.Reason != "bad_claims" || refusal.Error() != wrongType("echo") {
			t.Errorf("%s: got %v", value, refusal)
		}
	}
}

// The claims of a provider that has its own places for ours.
func TestClaimMapping(t *testing.T) {
	t.Parallel()
	const mode, channels = "$.app_metadata.pgws.mode", "$['https://example.com/pgws'].channels"
	in := func(mode, channels string) string {
		return `{"app_metadata":{"pgws":{"mode":` + mode + `}},"https://example.com/pgws":{"channels":` + channels + `}}`
	}
	tests := map[string]struct {
		claims   string
		channels []string
		text     string // empty: granted
	}{
		"a list":                    {in(`"r"`, `["a","b","a"]`), []string{"a", "b"}, ""},
		"one":                       {in(`"r"`, `"a"`), []string{"a"}, ""},
		"one with blanks":           {in(`"r"`, `"a b"`), []string{"a b"}, ""},
		"the usual claims are none": {`{"mode":"w","channel":1,"channels":{},` + in(`"r"`, `"a"`)[1:], []string{"a"}, ""},
		"no mode there":             {`{"mode":"r","channels":["a"]}`, nil, "Missing mode"},
		"null on the way":           {`{"app_metadata":null}`, nil, "Missing mode"},
		"nothing on the way":        {`{"app_metadata":{}}`, nil, "Missing mode"},
		"mode null":                 {in(`null`, `"a"`), nil, "Missing mode"},
		"mode unknown":              {in(`"x"`, `"a"`), nil, "Error: mode must be r, w or rw"},
		"mode a list":               {in(`["r"]`, `"a"`), nil, wrongType(mode)},
		"a string on the way":       {`{"app_metadata":"r"}`, nil, wrongType(mode)},
		"a list on the way":         {`{"app_metadata":{"pgws":[{"mode":"r"}]}}`, nil, wrongType(mode)},
		"the last of equals":        {`{"app_metadata":{"pgws":{"mode":"w"},"pgws":{"mode":"w","mode":"r"}},"https://example.com/pgws":{"channels":"a"}}`, []string{"a"}, ""},
		"the last is missing it":    {`{"app_metadata":{"pgws":{"mode":"r"},"pgws":{}}}`, nil, "Missing mode"},
		"the last is null":          {`{"app_metadata":{"pgws":{"mode":"r","mode":null}}}`, nil, "Missing mode"},
		"names escaped":             {`{"app\u005fmetadata":{"pgws":{"\u006dode":"r"}},"https:\/\/example.com\/pgws":{"channels":["\u0061"]}}`, []string{"a"}, ""},
		"a dot is no step":          {`{"app_metadata.pgws.mode":"r"}`, nil, "Missing mode"},
		"channels a number":         {in(`"r"`, `1`), nil, wrongType(channels)},
		"channels an object":        {in(`"r"`, `{"a":1}`), nil, wrongType(channels)},
		"channels with a number":    {in(`"r"`, `["a",1]`), nil, wrongType(channels)},
		"a number before channels":  {`{"app_metadata":{"pgws":{"mode":"r"}},"https://example.com/pgws":1}`, nil, wrongType(channels)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := ruled(t, auth.Rules{ModePath: pathOf(t, mode), ChannelsPath: pathOf(t, channels)})
			grant, err := keys.Authorize(t.Context(), tokenOf(tt.claims))
			if err != nil {
				if err.Error() != tt.text {
					t.Errorf("refused with %q, want %q", err, tt.text)
				}
				return
			}
			if diff := cmp.Diff(tt.channels, grant.Channels); diff != "" || tt.text != "" || !grant.Receive || grant.Send {
				t.Errorf("granted %+v (-want +got):\n%s", grant, diff)
			}
		})
	}
}

// A token without the mapped channels opens any, as one without the usual ones does.
func TestNoMappedChannels(t *testing.T) {
	t.Parallel()
	rules := auth.Rules{ChannelsPath: pathOf(t, "$.rooms")}
	for _, claims := range []string{`{"mode":"r","channels":["a"]}`, `{"mode":"r","rooms":[]}`, `{"mode":"r","rooms":null}`} {
		granted(t, ruled(t, rules), tokenOf(claims))
		strict := rules
		strict.RequireChannels = true
		if _, err := authorize(t.Context(), ruled(t, strict), tokenOf(claims), "a"); !errors.Is(err, auth.ErrNoChannels) {
			t.Errorf("strict, %s: %v", claims, err)
		}
	}
}

func TestDefaultMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"r", "w", "rw"} {
		for _, claims := range []string{`{}`, `{"mode":null}`} {
			grant, err := ruled(t, auth.Rules{DefaultMode: mode}).Authorize(t.Context(), tokenOf(claims))
			if err != nil || grant.Receive != (mode != "w") || grant.Send != (mode != "r") {
				t.Errorf("%s, %s: got %+v, %v", mode, claims, grant, err)
			}
		}
	}
	keys := ruled(t, auth.Rules{DefaultMode: "rw"})
	for claims, want := range map[string]string{
		`{"mode":""}`: "Error: mode must be r, w or rw", `{"mode":"x"}`: "Error: mode must be r, w or rw", `{"mode":1}`: wrongType("mode"),
	} {
		if _, err := keys.Authorize(t.Context(), tokenOf(claims)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", claims, err, want)
		}
	}
	if grant, err := keys.Authorize(t.Context(), tokenOf(`{"mode":"r"}`)); err != nil || grant.Send {
		t.Errorf("a mode of its own: %+v, %v", grant, err)
	}
}

// What Claims writes, the same rules read.
func TestRulesWriteClaims(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]auth.Rules{
		"none":    {},
		"all":     {Audience: "us", Issuer: "them", ModePath: pathOf(t, "$.app.mode"), ChannelsPath: pathOf(t, "$.app.channels"), RequireChannels: true},
		"a claim": {ChannelsPath: pathOf(t, "$['rooms']")},
	} {
		for _, channels := range [][]string{{"a"}, {"a", "b"}} {
			keys := ruled(t, rules)
			token, err := keys.Sign(marshal(t, keys.Claims("w", channels)))
			if err != nil {
				t.Fatal(err)
			}
			grant, err := authorize(t.Context(), keys, token, "")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(channels, grant.Channels); diff != "" || grant.Receive || !grant.Send {
				t.Errorf("%s: got %+v (-want +got):\n%s", name, grant, diff)
			}
		}
	}
	if got := string(marshal(t, new(auth.Rules).Claims("rw", nil))); got != `{"mode":"rw"}` {
		t.Errorf("the least claims are %s", got)
	}
}
