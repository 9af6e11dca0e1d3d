// Package bench measures a server of pgws' contract from outside: what an idle connection costs, how fast clients are let
// in, how fast notifications reach many clients of one channel or of many, how late they come, what clients that come
// and go or do not read do to the others, and how fast clients' messages reach PostgreSQL. Floor measures what all that
// writing costs on the machine without any server.
//
// Each measurement is one function, which blocks until it is done or its context ends, and leaves nothing behind. It
// counts and checks every message: a figure is returned only when all have come, each once and in order. The clients of
// a measurement share one epoll loop, so that they cost little beside the server; on other systems than Linux every
// measurement fails with ErrUnsupported. The package imports nothing else of pgws.
package bench

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"
)

// ErrUnsupported is what every measurement returns on systems without epoll.
var ErrUnsupported = errors.New("bench: measurements run on Linux only")

// A Target is the server to measure.
type Target struct {
	// Address is its host:port. TLS is not spoken.
	Address string
	// PID is its process on this machine; 0 when there is none, then its CPU and memory are not measured.
	PID int
	// Database is how to reach the PostgreSQL that the server listens to: a URI or keyword/value string.
	Database string
	// ListenChannel is the server's PGWS_LISTEN_CHANNEL.
	ListenChannel string
	// Secret is the key by which the server verifies HS256 tokens.
	Secret []byte
	// Claims returns those that a token needs for a mode on a channel. Nil: as a server without other settings takes them.
	Claims func(mode, channel string) map[string]any
	// Metrics is the URL of its figures for Prometheus; empty when there is none.
	Metrics string
	// Progress is told how much of a step is done. It is called often, from one goroutine. Nil: nothing is told.
	Progress func(step string, done, total int)
}

func (t *Target) progress(step string, done, total int) {
	if t.Progress != nil {
		t.Progress(step, done, total)
	}
}

// newChannel makes up a websocket channel, so that measurements on one server do not hear one another.
func newChannel() string { return "bench-" + rand.Text()[:8] }

// tokenTTL is longer than a measurement lasts. Tokens expire since those of real clients do.
const tokenTTL = 24 * time.Hour

// path is where a client opens a channel. Each client has a token of its own, so that a server which remembers tokens
// has no advantage that it would not have with real clients.
func (t *Target) path(channel, mode string, client int) string {
	return "/" + channel + "/" + t.token(channel, mode, client, time.Now().Add(tokenTTL))
}

// token signs a JWT with HS256 (RFC 7515, appendix A.1).
func (t *Target) token(channel, mode string, client int, expires time.Time) string {
	claims := map[string]any{"mode": mode, "channel": channel}
	if t.Claims != nil {
		claims = t.Claims(mode, channel)
	}
	claims["sub"], claims["exp"] = strconv.Itoa(client), expires.Unix()
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // There are only strings, lists of them and a number.
	}
	encoding := base64.RawURLEncoding
	signed := encoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, t.Secret)
	mac.Write([]byte(signed))
	return signed + "." + encoding.EncodeToString(mac.Sum(nil))
}
