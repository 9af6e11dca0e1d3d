package auth_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgws/internal/auth"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ matches, others []string }{
		"*":         {[]string{"a", "*", "**", "a b", "ä", "a*"}, []string{"", "a:b", ":", ":a", "a:"}},
		"**":        {[]string{"a", "a:b", ":", "::", ":a", "a:", "**"}, []string{""}},
		"room:*":    {[]string{"room:a", "room:*", "room:äö", "room:a*b"}, []string{"room", "room:", "room:a:b", "room:a:", "Room:a", "room::", "rooms:a", "room:\x00:"}},
		"room:**":   {[]string{"room:a", "room:a:b", "room::", "room:a:", "room:a::b", "room:**"}, []string{"room", "room:", "rooms:a", ":room:a"}},
		"*:a":       {[]string{"b:a", "*:a"}, []string{":a", "a", "b:a:c", "b:c:a", "b:A"}},
		"a:*:c":     {[]string{"a:b:c", "a:*:c"}, []string{"a::c", "a:c", "a:b:b:c", "a:b:c:d", "a:b:"}},
		"a:*:*":     {[]string{"a:b:c"}, []string{"a:b", "a:b:", "a::b", "a:b:c:d"}},
		"*:*":       {[]string{"a:b"}, []string{"a", ":", "a:", ":b", "a:b:c"}},
		"a:*:**":    {[]string{"a:b:c", "a:b:c:d", "a:b::"}, []string{"a:b", "a:b:", "a::c"}},
		"**:*":      {[]string{"**:a"}, []string{"a:b", "a:b:c", "**:"}}, // "**" stands last or is itself.
		"*:**:a":    {[]string{"x:**:a"}, []string{"x:y:a", "x:y:z:a"}},
		"a::*":      {[]string{"a::b"}, []string{"a:b", "a:x:b", "a::"}},
		":*":        {[]string{":a"}, []string{"a", ":", "::a"}},
		"*:":        {[]string{"a:"}, []string{"a", ":", "a::", "a:b"}},
		"room*:*":   {[]string{"room*:a"}, []string{"room1:a", "room:a"}},
		"a:***:*":   {[]string{"a:***:b"}, []string{"a:b:c"}},
		"*:ro?m[a]": {[]string{"x:ro?m[a]"}, []string{"x:room", "x:roma"}},
	}
	for pattern, tt := range tests {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			for _, channel := range tt.matches {
				if isOne, allows := auth.Matches(pattern, channel); !isOne || !allows {
					t.Errorf("%q: a pattern %t, matches %t", channel, isOne, allows)
				}
			}
			for _, channel := range tt.others {
				if _, allows := auth.Matches(pattern, channel); allows {
					t.Errorf("%q matches", channel)
				}
			}
		})
	}
}

// What docs/tokens.md says of patterns and paths is so.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([^`]+)`")
	patterns := 0
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^`]*\\*[^`]*`) \\| (.*) \\| (.*) \\|$").FindAllStringSubmatch(string(document), -1) {
		patterns++
		pattern := strings.Trim(row[1], "`")
		for i, column := range row[2:] {
			for _, name := range names.FindAllStringSubmatch(column, -1) {
				if _, allows := auth.Matches(pattern, name[1]); allows != (i == 0) {
					t.Errorf("%s and %s: matches %t", pattern, name[1], allows)
				}
			}
		}
	}
	paths := regexp.MustCompile("PGWS_CLAIM_[A-Z]+='(.*)'|`(\\$[^`]+)`").FindAllStringSubmatch(string(document), -1)
	for _, path := range paths {
		if _, err := auth.ParsePath(path[1] + path[2]); err != nil {
			t.Errorf("%s: %v", path[0], err)
		}
	}
	if patterns < 5 || len(paths) < 8 {
		t.Errorf("only %d patterns and %d paths are found", patterns, len(paths))
	}
}

func TestNamesThatAreNoPatterns(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a", "room*", "*room", "***", "room:a*", "room:***", "**:a", "a:**:b", "a:**:", "a* *", ":", "::", "a/*", "room.*", "room:* "} {
		if isOne, _ := auth.Matches(name, ""); isOne {
			t.Errorf("%q counts as a pattern", name)
		}
		if _, allows := auth.Matches(name, name); !allows {
			t.Errorf("%q does not match itself", name)
		}
	}
}

// expressionOf writes a pattern as a regular expression.
func expressionOf(pattern string) (expression string, isPattern bool) {
	segments := strings.Split(pattern, ":")
	for i, segment := range segments {
		switch {
		case segment == "*":
			segments[i], isPattern = `[^:]+`, true
		case segment == "**" && i == len(segments)-1:
			segments[i], isPattern = `.+`, true
		default:
			segments[i] = regexp.QuoteMeta(segment)
		}
	}
	return `(?s)\A` + strings.Join(segments, ":") + `\z`, isPattern
}

func FuzzPatterns(f *testing.F) {
	for _, pattern := range []string{"*", "**", "room:*", "room:**", "a:*:c", "*:**", "**:a", "", ":", "a::*", "room*", "*:", "\n:*"} {
		for _, channel := range []string{"a", "room:a", "room:a:b", "a:b:c", "", ":", "room:", "a::b", "*", "**", "room*", "\n:\n"} {
			f.Add(pattern, channel)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, channel string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(channel) {
			return // Regular expressions are made of characters.
		}
		expression, want := expressionOf(pattern)
		isOne, allows := auth.Matches(pattern, channel)
		if isOne != want {
			t.Errorf("%q: a pattern %t, want %t", pattern, isOne, want)
		}
		if want := regexp.MustCompile(expression).MatchString(channel); allows != want {
			t.Errorf("%q, %q: matches %t, want %t", pattern, channel, allows, want)
		}
	})
}

// BenchmarkPattern is the longest channel that a frame of 16 kB may name.
func BenchmarkPattern(b *testing.B) {
	pattern, channel := strings.Repeat("*:", 4000)+"**", strings.Repeat("ab:", 5000)+"c"
	b.ReportAllocs()
	for b.Loop() {
		if _, allows := auth.Matches(pattern, channel); !allows {
			b.Fatal("no match")
		}
	}
}
