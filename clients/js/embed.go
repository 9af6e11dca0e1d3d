// Package js holds the JavaScript client, so that pages of ours are served the same file that npm has.
package js

import _ "embed"

// Source is the client: one ES module. It must not be changed.
//
//go:embed pgws.js
var Source []byte
