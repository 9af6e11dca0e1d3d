package auth

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// An object is a JSON object: its members sorted by name. Names are compared
// exactly; of equal ones only the last is left (RFC 7519, section 4).
type object []member

type member struct {
	name  string // decoded
	key   string // as the document spells it, in quotes
	value string // compact JSON
}

func byName(a, b member) int { return strings.Compare(a.name, b.name) }

func parseObject(document []byte) (o object, ok bool) {
	var compact bytes.Buffer
	if !utf8.Valid(document) || json.Compact(&compact, document) != nil || compact.Bytes()[0] != '{' {
		return nil, false
	}
	all := make(object, 0, 8)
	eachMember(compact.String(), func(m member) { all = append(all, m) })
	slices.SortStableFunc(all, byName)
	o = all[:0]
	for i, m := range all {
		if i+1 == len(all) || all[i+1].name != m.name {
			o = append(o, m)
		}
	}
	return o, true
}

// eachMember calls f for each member of a JSON object, which must be valid.
func eachMember(document string, f func(member)) {
	gjson.Parse(document).ForEach(func(key, value gjson.Result) bool {
		name, _ := textOf(key.Raw) // Keys are strings.
		f(member{name, key.Raw, value.Raw})
		return true
	})
}

// textOf decodes a JSON string. It reports false for any other value.
func textOf(value string) (text string, ok bool) {
	if value[0] != '"' {
		return "", false
	}
	if !strings.Contains(value, `\`) {
		return value[1 : len(value)-1], true
	}
	var decoded string // gjson swallows what follows half a surrogate pair.
	err := json.Unmarshal([]byte(value), &decoded)
	return decoded, err == nil
}

// claim returns a member.
func (o object) claim(name string) claim {
	i, ok := slices.BinarySearchFunc(o, member{name: name}, byName)
	if !ok {
		return claim{name: name}
	}
	return claim{name, valueOf(o[i])}
}

// valueOf returns the value of a member, empty for null, which means the same as
// no member.
func valueOf(m member) string {
	if m.value == "null" {
		return ""
	}
	return m.value
}

// at returns what a path leads to. A value on the way that has no members has the
// wrong type: it was meant to hold what the path asks for.
func (o object) at(p Path) (claim, error) {
	found := claim{p.text, o.claim(p.names[0]).value}
	for _, name := range p.names[1:] {
		switch {
		case found.value == "":
			return found, nil
		case found.value[0] != '{':
			return found, found.wrongType()
		}
		value := ""
		eachMember(found.value, func(m member) { // The last of equal ones counts.
			if m.name == name {
				value = valueOf(m)
			}
		})
		found.value = value
	}
	return found, nil
}

// without returns the object as JSON, without one member.
func (o object) without(name string) string {
	length := len("{}")
	for _, m := range o {
		length += len(m.key) + len(m.value) + len(":,")
	}
	var b strings.Builder
	b.Grow(length)
	separator := "{"
	for _, m := range o {
		if m.name == name {
			continue
		}
		b.WriteString(separator)
		b.WriteString(m.key)
		b.WriteByte(':')
		b.WriteString(m.value)
		separator = ","
	}
	if b.Len() == 0 {
		return "{}"
	}
	b.WriteByte('}')
	return b.String()
}
