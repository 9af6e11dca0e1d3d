// Package channel tells which websocket channel a notification is for.
//
// It is pure, holds no state and imports no other package of this module.
package channel

import "github.com/tidwall/gjson"

// Of returns the channel that payload names: the string under the key
// "channel" of a JSON object, the first one where the key is doubled. It reports
// false for anything else (no JSON, no object, no such key, no string), which
// belongs to the channel named like PGWS_LISTEN_CHANNEL.
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
	return value.Str, true
}
