package auth

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// A Path leads to a value among a token's claims, by the names of members. The
// zero value leads nowhere.
type Path struct {
	text  string
	names []string
}

var errNoPath = errors.New(`not a path of names such as $.app_metadata.mode, or $["https://example.com/mode"] for any other name`)

// ParsePath reads a path of JSONPath (RFC 9535) that has nothing but names in it. An
// empty text is the zero value.
func ParsePath(text string) (Path, error) {
	if text == "" {
		return Path{}, nil
	}
	p := Path{text: text}
	rest, ok := strings.CutPrefix(text, "$")
	ok = ok && utf8.ValidString(text)
	for ok && rest != "" {
		var name string
		if name, rest, ok = cutName(rest); ok {
			p.names = append(p.names, name)
		}
	}
	if !ok || len(p.names) == 0 {
		return Path{}, errNoPath
	}
	return p, nil
}

// put sets what the path leads to.
func (p Path) put(claims map[string]any, value any) {
	last := len(p.names) - 1
	for _, name := range p.names[:last] {
		inner, ok := claims[name].(map[string]any)
		if !ok {
			inner = make(map[string]any)
			claims[name] = inner
		}
		claims = inner
	}
	claims[p.names[last]] = value
}

func (p Path) isZero() bool { return p.names == nil }

// cutName takes .name, ['name'] or ["name"] off the beginning of a path.
func cutName(path string) (name, rest string, ok bool) {
	if path[0] == '.' {
		end := strings.IndexFunc(path[1:], isNoNameChar) + 1
		if end == 0 {
			end = len(path)
		}
		name = path[1:end]
		return name, path[end:], name != "" && (name[0] < '0' || name[0] > '9')
	}
	if len(path) < 2 || path[0] != '[' {
		return "", "", false
	}
	quoted, rest, ok := cutQuoted(path[1:])
	if !ok || json.Unmarshal([]byte(quoted), &name) != nil || !strings.HasPrefix(rest, "]") {
		return "", "", false
	}
	return name, rest[1:], true
}

// isNoNameChar reports whether a name with this character must stand in quotes
// (RFC 9535, section 2.5.1.1).
func isNoNameChar(c rune) bool {
	return c < 0x80 && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}

// cutQuoted takes a string in single or double quotes off the beginning of text
// and returns it as JSON.
func cutQuoted(text string) (quoted, rest string, ok bool) {
	quote := text[0]
	if quote != '\'' && quote != '"' {
		return "", "", false
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			b.WriteByte('"')
			return b.String(), text[i+1:], true
		case c == '"':
			b.WriteString(`\"`)
		case c == '\\' && i+1 < len(text) && text[i+1] == '\'' && quote == '\'':
			b.WriteByte('\'')
			i++
		case c == '\\' && i+1 < len(text):
			b.WriteString(text[i : i+2])
			i++
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
