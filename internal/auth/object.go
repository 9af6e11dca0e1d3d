package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
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

// value returns the value of a member, empty if it is absent or null.
func (o object) value(name string) string {
	i, ok := slices.BinarySearchFunc(o, member{name: name}, byName)
	if !ok || o[i].value == "null" {
		return ""
	}
	return o[i].value
}

// text returns a string, nil if it is absent or null.
func (o object) text(name string) (*string, error) {
	value := o.value(name)
	if value == "" {
		return nil, nil
	}
	text, ok := textOf(value)
	if !ok {
		return nil, wrongType(name)
	}
	return &text, nil
}

// texts returns a list of strings, nil if it is absent or null.
func (o object) texts(name string) (texts []string, err error) {
	value := o.value(name)
	if value == "" {
		return nil, nil
	}
	if value[0] != '[' {
		return nil, wrongType(name)
	}
	gjson.Parse(value).ForEach(func(_, element gjson.Result) bool {
		text, ok := textOf(element.Raw)
		if !ok {
			err = wrongType(name)
		}
		texts = append(texts, text)
		return ok
	})
	return texts, err
}

// number returns a number, nil if it is absent or null.
func (o object) number(name string) (*float64, error) {
	value := o.value(name)
	if value == "" {
		return nil, nil
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return nil, wrongType(name)
	}
	return &number, nil
}

func wrongType(name string) error { return fmt.Errorf("claim %q has the wrong type", name) }

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
