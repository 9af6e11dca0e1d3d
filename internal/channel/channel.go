// Package channel tells which websocket channel a notification is for.
//
// It is pure, holds no state and imports no other package of this module.
package channel

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// Of returns the channel that payload names: the string under the key
// "channel" of a JSON object, the first one where the key is doubled. It reports
// false for anything else (no JSON, no object, no such key, no string), which
// belongs to the channel named like PGWS_LISTEN_CHANNEL. The name may share
// memory with payload.
func Of(payload string) (name string, ok bool) {
	if !gjson.Valid(payload) {
		return "", false
	}
	object := gjson.Parse(payload)
	if !object.IsObject() {
		return "", false
	}
	value := object.Get("channel")
	if value.Type != gjson.String {
		return "", false
	}
	if !strings.Contains(value.Raw, `\`) {
		return value.Str, true
	}
	// gjson swallows what follows half a surrogate pair.
	var decoded string
	err := json.Unmarshal([]byte(value.Raw), &decoded)
	return decoded, err == nil
}
