package auth_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/auth"
)

// Claims come out with the values' own bytes, in one line, sorted by name.
func TestClaimsSurvive(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	tests := map[string]struct{ claims, want string }{
		"the least":             {`{"mode":"r"}`, `{"mode":"r"}`},
		"null":                  {`{"mode":"r","x":null}`, `{"mode":"r","x":null}`},
		"true and false":        {`{"mode":"r","x":true,"y":false}`, `{"mode":"r","x":true,"y":false}`},
		"a nested null":         {`{"mode":"r","x":{"a":[null,{"b":null}]}}`, `{"mode":"r","x":{"a":[null,{"b":null}]}}`},
		"nested order, doubles": {`{"mode":"r","x":{"b":1,"a":2,"b":3}}`, `{"mode":"r","x":{"b":1,"a":2,"b":3}}`},
		"empty ones":            {`{"mode":"r","x":{},"y":[],"z":"","":0}`, `{"":0,"mode":"r","x":{},"y":[],"z":""}`},
		"a big number":          {`{"mode":"r","x":12345678901234567890123}`, `{"mode":"r","x":12345678901234567890123}`},
		"an odd number":         {`{"mode":"r","x":[1.0,-0,1E400,0.10]}`, `{"mode":"r","x":[1.0,-0,1E400,0.10]}`},
		"exp as it was":         {`{"mode":"r","exp":4102444800.000}`, `{"exp":4102444800.000,"mode":"r"}`},
		"HTML":                  {`{"mode":"r","<&>":"<b>&amp;</b>"}`, `{"<&>":"<b>&amp;</b>","mode":"r"}`},
		"escapes":               {`{"mode":"r","x":"\u00e4\/\n\ud83d\ude00"}`, `{"mode":"r","x":"\u00e4\/\n\ud83d\ude00"}`},
		"half a surrogate":      {`{"mode":"r","x":"\ud800"}`, `{"mode":"r","x":"\ud800"}`},
		"no escapes":            {`{"mode":"r","x":"ä 😀"}`, `{"mode":"r","x":"ä 😀"}`},
		"white space":           {" {\n\"mode\" :\t\"r\" , \"x\": [ 1 , \"a b\" ] } ", `{"mode":"r","x":[1,"a b"]}`},
		"the last of two":       {`{"x":1,"mode":"r","x":2}`, `{"mode":"r","x":2}`},
		"other spellings":       {`{"Mode":"w","mode":"r"}`, `{"Mode":"w","mode":"r"}`},
		"ours":                  {`{"mode":"r","message_delivered_at":1}`, `{"mode":"r"}`},
		"ours, escaped":         {`{"mode":"r","message_delivered\u005fat":1}`, `{"mode":"r"}`},
		"ours, nested, is not":  {`{"mode":"r","x":{"message_delivered_at":1}}`, `{"mode":"r","x":{"message_delivered_at":1}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grant, err := authorize(t.Context(), keys, tokenOf(tt.claims), "chat")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, grant.Claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeepClaims(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, secret)
	nested := func(depth int) string {
		return tokenOf(`{"mode":"r","x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`)
	}
	granted(t, keys, nested(5000))
	_, err := authorize(t.Context(), keys, nested(1_000_000), "chat")
	if refusal := refusalOf(t, err); refusal.Reason != "bad_claims" {
		t.Errorf("a million deep: %v", refusal)
	}
}

// FuzzClaims gives any payload, well signed. What is granted has all of its
// claims, as one JSON object that another member can be put at the end of.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		goodClaims, `{"mode":"r","channel":"a","channels":["b","a"],"exp":4102444800,"nbf":1.5}`, `{"mode":"w","message_delivered_at":1}`,
		`{"mode":"rw","channels":[null]}`, `{"mode":"r","exp":1e999}`, `{"mode":"r","x":{"y":[1,null,"\ud800"]}}`, `{}`, `null`, `[]`, "",
		"{\"mode\":\"r\",\"\xff\":1}", ` { "mode" : "r" } `, `{"mode":"r","<":"\u2028","\u2028":"&"}`, `{"mode":"r","\ud800":1,"\ud801":2}`,
	} {
		f.Add(seed, "chat")
		f.Add(seed, "")
	}
	keys := parseKeys(f, secret)
	f.Fuzz(func(t *testing.T, payload, channel string) {
		grant, err := authorize(t.Context(), keys, tokenOf(payload), channel)
		if err != nil {
			_ = refusalOf(t, err)
			return
		}
		if !strings.HasPrefix(grant.Claims, `{"`) || !strings.HasSuffix(grant.Claims, "}") {
			t.Fatalf("claims %q", grant.Claims)
		}
		want, got := decodeObject(t, payload), decodeObject(t, grant.Claims)
		delete(want, "message_delivered_at")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
		checkGrant(t, grant, channel)
	})
}

// checkGrant checks what holds for any grant.
func checkGrant(t *testing.T, grant *auth.Grant, channel string) {
	t.Helper()
	if !grant.Receive && !grant.Send {
		t.Error("neither receives nor sends")
	}
	if len(grant.Channels) == 0 || channel != "" && !slices.Equal(grant.Channels, []string{channel}) {
		t.Errorf("asked for %q, got %q", channel, grant.Channels)
	}
	sorted := slices.Sorted(slices.Values(grant.Channels))
	if len(slices.Compact(sorted)) != len(grant.Channels) {
		t.Errorf("a channel twice: %q", grant.Channels)
	}
}

// decodeObject decodes a JSON object and leaves its numbers as they are.
func decodeObject(t *testing.T, document string) (object map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil || object == nil || !json.Valid([]byte(document)) {
		t.Fatalf("granted, but %q is not one JSON object: %v", document, err)
	}
	return object
}
