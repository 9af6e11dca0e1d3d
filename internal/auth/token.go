package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

var (
	errMalformed = errors.New("not a JWT")
	errCritical  = errors.New("the token's header asks for extensions")
)

// A token is a JWS in compact form (RFC 7515, section 7.1), taken apart.
type token struct {
	header
	whole     []byte
	signed    []byte // the part of it that the signature is of
	payload   []byte
	signature []byte
	digest    [sha256.Size]byte // of the whole, unless the token is an HMAC's
}

// isHMAC reports whether a token says that an HMAC signs it. Such a token is not
// remembered: to verify it costs as much as its digest.
func (t *token) isHMAC() bool { return strings.HasPrefix(t.algorithm, "HS") }

// A header is the part of a JOSE header that matters here (RFC 7515, section
// 4). Keys that a token brings itself (jwk, jku, x5c, x5u) do not.
type header struct {
	algorithm string
	keyID     string
	// ambiguous tells that the first of several algorithms is not the last: who
	// reads the one must not see another token than who reads the other.
	ambiguous bool
}

// base64url refuses spare bits that are set, so that each token can be written
// in one way only.
var base64url = base64.RawURLEncoding.Strict()

// LooksLikeToken reports whether a text has the form of a token, good or bad: three
// parts in base64url, the first of which is a JSON object.
func LooksLikeToken(text string) bool {
	header, rest, _ := strings.Cut(text, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || !isBase64URL(header) || !isBase64URL(payload) || !isBase64URL(signature) {
		return false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(header)
	return err == nil && utf8.Valid(decoded) && isObject(string(decoded))
}

func isBase64URL(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// parseToken checks a token's form and reads its header.
func parseToken(text string) (*token, error) {
	header, rest, _ := strings.Cut(text, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(text, "\n") || strings.Contains(text, "\r") { // The decoder skips line ends.
		return nil, errMalformed
	}
	var decoded [3][]byte
	for i, segment := range [3]string{header, payload, signature} {
		var err error
		if decoded[i], err = base64url.DecodeString(segment); err != nil {
			return nil, errMalformed
		}
	}
	t := &token{whole: []byte(text), payload: decoded[1], signature: decoded[2]}
	t.signed = t.whole[:len(header)+1+len(payload)]
	var err error
	if t.header, err = parseHeader(decoded[0]); err != nil {
		return nil, err
	}
	if !t.isHMAC() {
		t.digest = sha256.Sum256(t.whole)
	}
	return t, nil
}

// parseHeader reads a header. Nobody has vouched for it yet: of its members, which
// may be many, nothing is kept but what matters.
func parseHeader(document []byte) (header, error) {
	var h header
	if !utf8.Valid(document) || !json.Valid(document) {
		return h, errMalformed
	}
	text := string(document)
	if !gjson.Parse(text).IsObject() {
		return h, errMalformed
	}
	critical, algorithmOK, keyIDOK := false, true, true
	algorithms, first := 0, ""
	eachMember(text, func(m member) { // The last of equal ones counts (RFC 7515, section 4).
		switch m.name {
		case "crit", "b64":
			critical = true
		case "alg":
			h.algorithm, algorithmOK = textOrNull(m.value)
			if algorithms++; algorithms == 1 {
				first = h.algorithm
			}
		case "kid":
			h.keyID, keyIDOK = textOrNull(m.value)
		}
	})
	switch {
	case critical:
		return h, errCritical
	case !algorithmOK || !keyIDOK:
		return h, errMalformed
	}
	h.ambiguous = first != h.algorithm
	return h, nil
}

// textOrNull decodes a JSON string; null counts as empty.
func textOrNull(value string) (text string, ok bool) {
	if value == "null" {
		return "", true
	}
	return textOf(value)
}
