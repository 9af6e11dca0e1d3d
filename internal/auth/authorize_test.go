package auth_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/auth"
)

func TestAuthorizeGrants(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	tests := map[string]struct {
		claims  string
		channel string
		want    []string
	}{
		"any channel":                  {`{"mode":"r"}`, "chat", []string{"chat"}},
		"any channel, an empty list":   {`{"mode":"r","channels":[]}`, "chat", []string{"chat"}},
		"any channel, null claims":     {`{"mode":"r","channel":null,"channels":null,"exp":null,"nbf":null}`, "chat", []string{"chat"}},
		"its one channel":              {`{"mode":"r","channel":"a"}`, "", []string{"a"}},
		"its one channel, asked for":   {`{"mode":"r","channel":"a"}`, "a", []string{"a"}},
		"all of its channels":          {`{"mode":"r","channels":["b","a"]}`, "", []string{"b", "a"}},
		"one of its channels":          {`{"mode":"r","channels":["b","a"]}`, "a", []string{"a"}},
		"channel before channels":      {`{"mode":"r","channels":["b","c"],"channel":"a"}`, "", []string{"a", "b", "c"}},
		"none twice":                   {`{"mode":"r","channels":["a","b","a","b","c"],"channel":"b"}`, "", []string{"b", "a", "c"}},
		"channel asked for, both":      {`{"mode":"r","channels":["b"],"channel":"a"}`, "a", []string{"a"}},
		"a name is compared exactly":   {`{"mode":"r","channels":["A","a","a ","\u0061","ä"]}`, "", []string{"A", "a", "a ", "ä"}},
		"the last of two claims":       {`{"mode":"r","channel":"a","channel":"b"}`, "", []string{"b"}},
		"claims of other spelling":     {`{"mode":"r","Channel":"a","CHANNELS":["b"]}`, "chat", []string{"chat"}},
		"claims nested in other ones":  {`{"mode":"r","app":{"channel":"a"}}`, "chat", []string{"chat"}},
		"an empty name is a name, too": {`{"mode":"r","channel":""}`, "", []string{""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grant, err := authorize(t.Context(), keys, tokenOf(tt.claims), tt.channel)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, grant.Channels); diff != "" {
				t.Errorf("channels (-want +got):\n%s", diff)
			}
			if !grant.Receive || grant.Send || !grant.Expires.IsZero() {
				t.Errorf("mode r, no exp: got receive %t, send %t, expires %v", grant.Receive, grant.Send, grant.Expires)
			}
		})
	}
}

func TestAuthorizeModes(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	tests := map[string]struct{ receive, send bool }{
		"r":  {true, false},
		"w":  {false, true},
		"rw": {true, true},
	}
	for mode, want := range tests {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			grant, err := authorize(t.Context(), keys, tokenOf(`{"mode":"`+mode+`"}`), "chat")
			if err != nil {
				t.Fatal(err)
			}
			if grant.Receive != want.receive || grant.Send != want.send {
				t.Errorf("receive %t, send %t, want %t, %t", grant.Receive, grant.Send, want.receive, want.send)
			}
		})
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	const (
		notAnObject = "Error: the token's claims are not a JSON object"
		unknownMode = "Error: mode must be r, w or rw"
	)
	wrong := func(claim string) string { return `Error: claim "` + claim + `" has the wrong type` }
	tests := map[string]struct {
		token     string
		channel   string
		text      string
		forbidden bool
		reason    string
	}{
		"no token":    {"", "chat", "Error: no token", false, "missing_token"},
		"no JWT":      {"nonsense", "chat", malformed, false, "bad_token"},
		"another key": {hmacToken(`{"alg":"HS256"}`, goodClaims, secret+"!"), "chat", forged, false, "bad_token"},

		"claims: an array":      {tokenOf(`[]`), "chat", notAnObject, false, "bad_claims"},
		"claims: a string":      {tokenOf(`"mode"`), "chat", notAnObject, false, "bad_claims"},
		"claims: null":          {tokenOf(`null`), "chat", notAnObject, false, "bad_claims"},
		"claims: none":          {tokenOf(``), "chat", notAnObject, false, "bad_claims"},
		"claims: broken":        {tokenOf(`{"mode":"r"`), "chat", notAnObject, false, "bad_claims"},
		"claims: two objects":   {tokenOf(`{"mode":"r"}{}`), "chat", notAnObject, false, "bad_claims"},
		"claims: invalid UTF-8": {tokenOf("{\"mode\":\"r\",\"x\":\"\xff\"}"), "chat", notAnObject, false, "bad_claims"},

		"exp: a string":            {tokenOf(`{"exp":"4102444800","mode":"r"}`), "chat", wrong("exp"), false, "bad_claims"},
		"exp: true":                {tokenOf(`{"exp":true,"mode":"r"}`), "chat", wrong("exp"), false, "bad_claims"},
		"exp: more than a float64": {tokenOf(`{"exp":1e400,"mode":"r"}`), "chat", wrong("exp"), false, "bad_claims"},
		"nbf: an object":           {tokenOf(`{"nbf":{},"mode":"r"}`), "chat", wrong("nbf"), false, "bad_claims"},
		"mode: a number":           {tokenOf(`{"mode":1}`), "chat", wrong("mode"), false, "bad_claims"},
		"mode: a list":             {tokenOf(`{"mode":["r"]}`), "chat", wrong("mode"), false, "bad_claims"},
		"channel: a number":        {tokenOf(`{"mode":"r","channel":1}`), "1", wrong("channel"), false, "bad_claims"},
		"channel: a list":          {tokenOf(`{"mode":"r","channel":["chat"]}`), "chat", wrong("channel"), false, "bad_claims"},
		"channels: a string":       {tokenOf(`{"mode":"r","channels":"chat"}`), "chat", wrong("channels"), false, "bad_claims"},
		"channels: a number in it": {tokenOf(`{"mode":"r","channels":["chat",1]}`), "chat", wrong("channels"), false, "bad_claims"},
		"channels: a null in it":   {tokenOf(`{"mode":"r","channels":["chat",null]}`), "chat", wrong("channels"), false, "bad_claims"},

		"expired":           {tokenOf(`{"mode":"r","exp":1}`), "chat", "Token expired", false, "expired"},
		"not valid yet":     {tokenOf(`{"mode":"r","nbf":253402300799}`), "chat", "Error: token not valid yet", false, "not_yet_valid"},
		"no mode":           {tokenOf(`{}`), "chat", "Missing mode", true, "missing_mode"},
		"mode null":         {tokenOf(`{"mode":null}`), "chat", "Missing mode", true, "missing_mode"},
		"mode spelt MODE":   {tokenOf(`{"MODE":"r"}`), "chat", "Missing mode", true, "missing_mode"},
		"mode empty":        {tokenOf(`{"mode":""}`), "chat", unknownMode, true, "unknown_mode"},
		"mode wr":           {tokenOf(`{"mode":"wr"}`), "chat", unknownMode, true, "unknown_mode"},
		"mode R":            {tokenOf(`{"mode":"R"}`), "chat", unknownMode, true, "unknown_mode"},
		"mode with a space": {tokenOf(`{"mode":"r "}`), "chat", unknownMode, true, "unknown_mode"},

		"no channel anywhere":        {tokenOf(`{"mode":"r"}`), "", "No allowed channels", true, "no_channels"},
		"an empty list, none asked":  {tokenOf(`{"mode":"r","channels":[]}`), "", "No allowed channels", true, "no_channels"},
		"null claims, none asked":    {tokenOf(`{"mode":"r","channel":null,"channels":null}`), "", "No allowed channels", true, "no_channels"},
		"another channel":            {tokenOf(`{"mode":"r","channel":"a"}`), "b", "No allowed channels", true, "no_channels"},
		"none of the channels":       {tokenOf(`{"mode":"r","channel":"a","channels":["c"]}`), "b", "No allowed channels", true, "no_channels"},
		"only by another case":       {tokenOf(`{"mode":"r","channel":"a"}`), "A", "No allowed channels", true, "no_channels"},
		"only the empty one allowed": {tokenOf(`{"mode":"r","channel":""}`), "b", "No allowed channels", true, "no_channels"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grant, err := authorize(t.Context(), keys, tt.token, tt.channel)
			if err == nil {
				t.Fatalf("granted %+v", grant)
			}
			got := refusalOf(t, err)
			if got.Error() != tt.text || got.Forbidden != tt.forbidden || got.Reason != tt.reason {
				t.Errorf("got %q, forbidden %t, reason %s\nwant %q, forbidden %t, reason %s",
					got.Error(), got.Forbidden, got.Reason, tt.text, tt.forbidden, tt.reason)
			}
		})
	}
}

// In strict mode a token opens what it names and nothing else.
func TestAuthorizeStrict(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	keys.RequireChannels = true
	if _, err := authorize(t.Context(), keys, tokenOf(`{"mode":"r"}`), "chat"); !errors.Is(err, auth.ErrNoChannels) {
		t.Errorf("a token without channels: %v", err)
	}
	grant, err := authorize(t.Context(), keys, tokenOf(`{"mode":"r","channels":["a","chat"]}`), "chat")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"chat"}, grant.Channels); diff != "" {
		t.Error(diff)
	}
}

// Each case mends the first fault of the one before it: what is wrong with a token
// is told in this order, and the same each time.
func TestAuthorizeOrder(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	steps := []struct{ token, reason, text string }{
		{hmacToken(`{"alg":"HS256"}`, `[]`, "another key"), "bad_token", forged},
		{tokenOf(`{"exp":"","nbf":"","mode":1,"channel":1,"channels":1}`), "bad_claims", `Error: claim "exp" has the wrong type`},
		{tokenOf(`{"exp":1,"nbf":"","mode":1,"channel":1,"channels":1}`), "bad_claims", `Error: claim "nbf" has the wrong type`},
		{tokenOf(`{"exp":1,"nbf":253402300799,"mode":1,"channel":1,"channels":1}`), "bad_claims", `Error: claim "mode" has the wrong type`},
		{tokenOf(`{"exp":1,"nbf":253402300799,"mode":"x","channel":1,"channels":1}`), "bad_claims", `Error: claim "channel" has the wrong type`},
		{tokenOf(`{"exp":1,"nbf":253402300799,"mode":"x","channel":"a","channels":1}`), "bad_claims", `Error: claim "channels" has the wrong type`},
		{tokenOf(`{"exp":1,"nbf":253402300799,"mode":"x","channel":"a"}`), "expired", "Token expired"},
		{tokenOf(`{"nbf":253402300799,"mode":"x","channel":"a"}`), "not_yet_valid", "Error: token not valid yet"},
		{tokenOf(`{"mode":"x","channel":"a"}`), "unknown_mode", "Error: mode must be r, w or rw"},
		{tokenOf(`{"mode":"r","channel":"a"}`), "no_channels", "No allowed channels"},
	}
	for _, step := range steps {
		for range 20 { // A map's order would show.
			_, err := authorize(t.Context(), keys, step.token, "chat")
			if refusal := refusalOf(t, err); refusal.Reason != step.reason || refusal.Error() != step.text {
				t.Errorf("got %s, %q, want %s, %q", refusal.Reason, refusal.Error(), step.reason, step.text)
			}
		}
	}
}

func TestAuthorizeTellsNothingOfTheToken(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	const marker = "a-marker-in-the-claims"
	token := tokenOf(`{"mode":"r","user":"` + marker + `","` + marker + `":1}`)
	broken := []string{
		tokenOf(`{"mode":"` + marker + `"}`), tokenOf(`{"mode":["` + marker + `"]}`), tokenOf(`{"channel":["` + marker + `"]}`),
		tokenOf(`{"exp":"` + marker + `"}`), tokenOf(`{"channels":"` + marker + `"}`), tokenOf(marker),
		hmacToken(`{"alg":"`+marker+`"}`, goodClaims, secret), hmacToken(`{"alg":"HS256","kid":"`+marker+`"}`, goodClaims, "other"),
		hmacToken(`{"crit":["`+marker+`"],"alg":"HS256"}`, goodClaims, secret),
	}
	for i := range token { // Each byte is wrong once.
		broken = append(broken, token[:i]+"*"+token[i+1:], token[:i]+token[i+1:], token[:i]+"A"+token[i+1:])
	}
	for _, token := range broken {
		_, err := authorize(t.Context(), keys, token, "chat")
		if err == nil {
			continue // An A in the place of an A.
		}
		_ = refusalOf(t, err)
		for _, hidden := range []string{token, secret, marker} {
			if reveals(err.Error(), hidden) {
				t.Errorf("the error %q shows a part of %q", err, hidden)
			}
		}
	}
}

// The refusals that others compare with are those that Authorize returns.
func TestRefusalsAreComparable(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	tests := map[string]struct {
		token string
		want  *auth.Refusal
	}{
		"missing":       {"", auth.ErrMissingToken},
		"expired":       {tokenOf(`{"mode":"r","exp":0}`), auth.ErrExpired},
		"not yet valid": {tokenOf(`{"mode":"r","nbf":253402300799}`), auth.ErrNotYetValid},
		"no mode":       {tokenOf(`{}`), auth.ErrMissingMode},
		"unknown mode":  {tokenOf(`{"mode":"x"}`), auth.ErrUnknownMode},
		"no channels":   {tokenOf(`{"mode":"r"}`), auth.ErrNoChannels},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := authorize(t.Context(), keys, tt.token, ""); refusalOf(t, err) != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
