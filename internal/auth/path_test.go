package auth_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/auth"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"":                                       nil,
		"$.mode":                                 {"mode"},
		"$.app_metadata.pgws.mode":               {"app_metadata", "pgws", "mode"},
		"$._a1.ä.名":                              {"_a1", "ä", "名"},
		`$["a"]`:                                 {"a"},
		`$['a']`:                                 {"a"},
		`$['https://example.com/pgws'].channels`: {"https://example.com/pgws", "channels"},
		`$.resource_access["my-client"].roles`:   {"resource_access", "my-client", "roles"},
		`$['a']["b"].c['d']`:                     {"a", "b", "c", "d"},
		`$['']`:                                  {""},
		`$["a.b"]['c]d']["e'f"]`:                 {"a.b", "c]d", "e'f"},
		`$['a"b\'c\\d/']`:                        {`a"b'c\d/`},
		`$["a\"b\\c\u00e4\ud83d\ude00\n"]`:       {"a\"b\\cä😀\n"},
		`$['\u0061']`:                            {"a"},
		`$.a['0']`:                               {"a", "0"},
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			path, err := auth.ParsePath(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, path.Names()); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

var badPaths = []string{
	"$", ".a", "a", "mode", "$a", "$.", "$..a", "$.a.", "$.a..b", "$.*", "$[*]", "$[0]", "$.a[1:2]", "$[?@.a]", "$.1a", "$.a-b", "$.a b", "$ .a",
	"$[a]", "$['a'", "$['a", "$[", "$[]", "$['a']]", "$['a','b']", `$["a'`, `$['a"]`, `$["a\"]`, `$['a\']`, `$["\x"]`, `$["\'"]`, "$['\n']", "$ ", " $.a", "@.a",
	"$[ 'a' ]", "$.\xff", "$['\xff']", "$.a$", "$.'a'",
}

func TestBadPaths(t *testing.T) {
	t.Parallel()
	const want = `not a path of names such as $.app_metadata.mode, or $["https://example.com/mode"] for any other name`
	for _, text := range badPaths {
		if path, err := auth.ParsePath(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %q, %v", text, path.Names(), err)
		}
	}
}

// FuzzPath gives any path. What is read leads to what Claims puts there.
func FuzzPath(f *testing.F) {
	for _, text := range append(badPaths, "", "$.a.b", `$['a']["b"]`, `$["\ud800"]`, "$['a\\u0062']") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := auth.ParsePath(text)
		if err != nil {
			return
		}
		keys := parseKeys(t, secret)
		keys.ModePath = path
		token, err := keys.Sign(marshal(t, keys.Claims("w", []string{"chat"})))
		if err != nil {
			t.Fatal(err)
		}
		grant, err := keys.Authorize(t.Context(), token)
		if err != nil {
			if names := path.Names(); len(names) > 0 && (names[0] == "channel" || names[0] == "exp" || names[0] == "nbf" || names[0] == "echo") {
				return // The mode has taken another claim's place.
			}
			t.Fatalf("%q: %v", text, err)
		}
		if !grant.Send || grant.Receive {
			t.Errorf("%q: got %+v", text, grant)
		}
	})
}
