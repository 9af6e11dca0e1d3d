package auth_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/auth"
)

// What a token allows a session that opens channels as it goes.
func TestAllows(t *testing.T) {
	t.Parallel()
	patterns := auth.Rules{Patterns: true, MetaChannel: "server:meta"}
	strict, strictPatterns := auth.Rules{RequireChannels: true, MetaChannel: "server:meta"}, patterns
	strictPatterns.RequireChannels = true
	tests := map[string]struct {
		rules    auth.Rules
		claims   string
		channels []string // named exactly
		allowed  []string
		denied   []string
	}{
		"any":                     {auth.Rules{}, ``, nil, []string{"a", "", "a:*", "server:meta"}, nil},
		"any, with patterns":      {patterns, ``, nil, []string{"a", "server:meta"}, nil},
		"an empty list":           {auth.Rules{}, `,"channels":[]`, nil, []string{"a"}, nil},
		"none in strict mode":     {strict, ``, nil, nil, []string{"a", "", "server:meta"}},
		"an empty list in strict": {strict, `,"channels":[]`, nil, nil, []string{"a", ""}},
		"named":                   {auth.Rules{}, `,"channel":"b","channels":["a","b"]`, []string{"b", "a"}, []string{"a", "b"}, []string{"c", "", "A"}},
		"the meta channel, named": {strictPatterns, `,"channels":["server:meta"]`, []string{"server:meta"}, []string{"server:meta"}, []string{"server:a"}},
		"patterns off":            {auth.Rules{}, `,"channels":["a:*","**"]`, []string{"a:*", "**"}, []string{"a:*", "**"}, []string{"a:b", "a"}},
		"patterns and names": {patterns, `,"channel":"room:*","channels":["x","user:42:**","x","room:**:x"]`,
			[]string{"x", "room:**:x"}, []string{"x", "room:1", "room:*", "user:42:a:b", "room:**:x"}, []string{"room", "room:1:2", "user:42", "user:43:a", "y"}},
		"all but the meta channel": {patterns, `,"channels":["**","server:*"]`, nil, []string{"a", "a:b", "server:other"}, []string{"server:meta", ""}},
		"all and the meta channel": {strictPatterns, `,"channels":["**","server:meta"]`, []string{"server:meta"}, []string{"a", "server:meta"}, []string{""}},
		"no meta channel is set":   {auth.Rules{Patterns: true}, `,"channels":["server:*"]`, nil, []string{"server:meta"}, []string{"", "server"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grant, err := ruled(t, tt.rules).Authorize(t.Context(), tokenOf(`{"mode":"r"`+tt.claims+`}`))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.channels, grant.Channels, equateEmpty); diff != "" {
				t.Errorf("channels (-want +got):\n%s", diff)
			}
			for _, channel := range tt.allowed {
				if !grant.Allows(channel) {
					t.Errorf("%q is not allowed", channel)
				}
			}
			for _, channel := range tt.denied {
				if grant.Allows(channel) {
					t.Errorf("%q is allowed", channel)
				}
			}
		})
	}
}

var equateEmpty = cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })

// Narrow leaves what an address opens and nothing else; if that is nothing, all stays.
func TestNarrow(t *testing.T) {
	t.Parallel()
	patterns := auth.Rules{Patterns: true, MetaChannel: "meta"}
	tests := map[string]struct {
		rules   auth.Rules
		claims  string
		channel string
		want    []string // nil: ErrNoChannels
	}{
		"all that are named":            {auth.Rules{}, `,"channels":["a","b"]`, "", []string{"a", "b"}},
		"one that is named":             {auth.Rules{}, `,"channels":["a","b"]`, "b", []string{"b"}},
		"one that is not":               {auth.Rules{}, `,"channels":["a","b"]`, "c", nil},
		"any":                           {auth.Rules{}, ``, "c", []string{"c"}},
		"any, but which":                {auth.Rules{}, ``, "", nil},
		"none in strict mode":           {auth.Rules{RequireChannels: true}, ``, "c", nil},
		"one by a pattern":              {patterns, `,"channels":["a","room:*"]`, "room:1", []string{"room:1"}},
		"patterns name none":            {patterns, `,"channels":["room:*"]`, "", nil},
		"those named beside patterns":   {patterns, `,"channels":["room:*","a"]`, "", []string{"a"}},
		"a pattern is no channel":       {patterns, `,"channels":["room:**"]`, "room:", nil},
		"no pattern grants the meta":    {patterns, `,"channels":["*"]`, "meta", nil},
		"an empty name and no channel":  {auth.Rules{}, `,"channel":""`, "", []string{""}},
		"an empty name is not any":      {auth.Rules{}, `,"channel":""`, "a", nil},
		"the meta channel without list": {patterns, ``, "meta", []string{"meta"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, token := ruled(t, tt.rules), tokenOf(`{"mode":"r"`+tt.claims+`}`)
			grant, err := keys.Authorize(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			before := *grant
			err = grant.Narrow(tt.channel)
			if tt.want == nil {
				if !errors.Is(err, auth.ErrNoChannels) {
					t.Errorf("got %v", err)
				}
				if diff := cmp.Diff(before.Channels, grant.Channels); diff != "" || grant.Allows("x:y") != before.Allows("x:y") {
					t.Errorf("it has changed:\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, grant.Channels); diff != "" {
				t.Errorf("channels (-want +got):\n%s", diff)
			}
			for _, other := range []string{"other", "room:2", "room:1:2"} {
				if grant.Allows(other) {
					t.Errorf("%q is still allowed", other)
				}
			}
		})
	}
}
