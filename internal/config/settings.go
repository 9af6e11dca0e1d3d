package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// A Setting is one environment variable.
type Setting struct {
	Name string
	// Default is used for a variable that is unset or empty; empty means none.
	Default string
	// Required settings have no default and must be set.
	Required bool
	// Doc is the meaning, a sentence or two for help texts.
	Doc   string
	parse func(c *Config, value string) error
}

// Settings are all variables, in the order in which help shows them.
var Settings = []Setting{
	{Name: "PGWS_DB_URI", Required: true,
		Doc:   "How to reach PostgreSQL: a libpq URI or keyword/value string; @file reads it from a file. PG* variables, password and service files apply.",
		parse: func(c *Config, v string) (err error) { c.DatabaseURI, err = trimmedFile(v); return err }},
	{Name: "PGWS_JWT_SECRET", Required: true,
		Doc:   "What verifies tokens: the text of an HS256 key (32 bytes or more), a JWK or JWK set in JSON, or the https:// address of a JWK set; @file reads it from a file.",
		parse: func(c *Config, v string) (err error) { c.Secret, err = secretFile(v); return err }},
	{Name: "PGWS_JWT_SECRET_BASE64", Default: "False",
		Doc:   "Whether the secret is base64 or base64url and is decoded first: True or False.",
		parse: func(c *Config, v string) (err error) { c.SecretBase64, err = boolean(v); return err }},
	{Name: "PGWS_REQUIRE_CHANNELS", Default: "False",
		Doc:   "Strict mode: a token without channels opens none. Else it opens whichever channel the address names.",
		parse: func(c *Config, v string) (err error) { c.RequireChannels, err = boolean(v); return err }},
	{Name: "PGWS_HOST", Default: "*4",
		Doc:   "Where to listen: * any address, *4 any preferring IPv4, !4 IPv4 only, *6 any preferring IPv6, !6 IPv6 only, or a host's name or address.",
		parse: func(c *Config, v string) error { c.Host = v; return nil }},
	{Name: "PGWS_PORT", Default: "3000",
		Doc:   "Port to listen on; 0 takes a free one and says which.",
		parse: func(c *Config, v string) (err error) { c.Port, err = integer(v, 0, 65535); return err }},
	{Name: "PGWS_LISTEN_CHANNEL", Default: "postgres-websockets-listener",
		Doc:   "The database channel that is LISTENed to and NOTIFYed; 63 bytes at most.",
		parse: parseListenChannel},
	{Name: "PGWS_META_CHANNEL",
		Doc:   "Websocket channel that is told of each connection opened (ConnectionOpen).",
		parse: func(c *Config, v string) error { c.MetaChannel = v; return nil }},
	{Name: "PGWS_ROOT_PATH",
		Doc:   "Folder of static files, index.html for /. Unset: / shows a small status page.",
		parse: func(c *Config, v string) error { c.RootPath = v; return nil }},
	{Name: "PGWS_RECORDER",
		Doc:   "A function or procedure (channel text, notification text), such as api.record, that is called for each notification. Set it on one server only.",
		parse: func(c *Config, v string) error { c.Recorder = v; return nil }},
	{Name: "PGWS_POOL_SIZE", Default: "10",
		Doc:   "Connections that may issue NOTIFY at once; one does unless it is slow.",
		parse: func(c *Config, v string) (err error) { c.PoolSize, err = integer(v, 1, 1000); return err }},
	{Name: "PGWS_RETRIES", Default: "5",
		Doc:   "Tries to connect at start, 1, 2, 4 … 32 s apart; then the server ends with status 1.",
		parse: func(c *Config, v string) (err error) { c.Retries, err = integer(v, 0, 1_000_000); return err }},
	{Name: "PGWS_CHECK_LISTENER_INTERVAL",
		Doc:   "Milliseconds for which a dead listener connection may go unnoticed before it is replaced, websockets staying open. Unset or 0: a lost listener ends the server with status 1.",
		parse: parseCheckInterval},
	{Name: "PGWS_CERTIFICATE_FILE",
		Doc:   "Certificate for TLS (wss://) in PEM, with PGWS_KEY_FILE; read again when it changes.",
		parse: func(c *Config, v string) error { c.CertificateFile = v; return nil }},
	{Name: "PGWS_KEY_FILE",
		Doc:   "Key of the certificate in PEM.",
		parse: func(c *Config, v string) error { c.KeyFile = v; return nil }},
	{Name: "PGWS_ADMIN_ADDR",
		Doc:   "Address (host:port) of a listener for /live, /ready and /metrics, such as 127.0.0.1:3001. Unset: none.",
		parse: func(c *Config, v string) (err error) { c.AdminAddress, err = address(v); return err }},
	{Name: "PGWS_MAX_MESSAGE_BYTES", Default: "1MiB",
		Doc:   "The longest message read from a client, fragments joined. What PostgreSQL cannot carry (8000 bytes with its claims) is refused in any case.",
		parse: func(c *Config, v string) (err error) { c.MaxMessageBytes, err = size(v); return err }},
	{Name: "PGWS_QUEUE_BYTES", Default: "16MiB",
		Doc:   "How much may wait for PostgreSQL; then clients that send are made to wait.",
		parse: func(c *Config, v string) (err error) { c.QueueBytes, err = size(v); return err }},
	{Name: "PGWS_MAX_LAG_BYTES", Default: "32MiB",
		Doc:   "How far a client may fall behind before it is closed with 1013.",
		parse: func(c *Config, v string) (err error) { c.MaxLagBytes, err = size(v); return err }},
	{Name: "PGWS_WRITE_TIMEOUT", Default: "10s",
		Doc:   "How long a write to a client may stall before it is dropped.",
		parse: func(c *Config, v string) (err error) { c.WriteTimeout, err = duration(v); return err }},
	{Name: "PGWS_WRITE_INTERVAL", Default: "0s",
		Doc:   "The least time between two rounds of writing, 1s at most, such as 20ms: messages that come meanwhile are sent together. Saves CPU where channels are busy, makes messages that much later at most.",
		parse: func(c *Config, v string) (err error) { c.WriteInterval, err = interval(v); return err }},
	{Name: "PGWS_LOG_LEVEL", Default: "info",
		Doc:   "debug, info, warn or error.",
		parse: parseLogLevel},
}

var errEmpty = errors.New("nothing but white space")

// trimmedFile drops all white space around the value, which no URI needs.
func trimmedFile(value string) (string, error) {
	content, err := fromFile(value)
	if err != nil {
		return "", err
	}
	if content = strings.TrimSpace(content); content == "" {
		return "", errEmpty
	}
	return content, nil
}

// secretFile drops one newline at the end, which editors add.
func secretFile(value string) (string, error) {
	content, err := fromFile(value)
	if err != nil || !strings.HasPrefix(value, "@") {
		return content, err
	}
	if content = strings.TrimSuffix(content, "\n"); content == "" {
		return "", errEmpty
	}
	return content, nil
}

func parseListenChannel(c *Config, v string) error {
	const longest = 63 // NAMEDATALEN-1, see PostgreSQL's "Identifiers and Key Words"
	if len(v) > longest {
		return fmt.Errorf("longer than %d bytes: PostgreSQL would cut it", longest)
	}
	c.ListenChannel = v
	return nil
}

func parseCheckInterval(c *Config, v string) error {
	ms, err := integer(v, 0, 86_400_000)
	c.CheckInterval = time.Duration(ms) * time.Millisecond
	return err
}

func parseLogLevel(c *Config, v string) error {
	switch level := strings.ToLower(v); level {
	case "debug", "info", "warn", "error":
		c.LogLevel = level
		return nil
	}
	return fmt.Errorf("%q is none of debug, info, warn, error", v)
}

func boolean(v string) (bool, error) {
	switch v {
	case "True", "true", "1":
		return true, nil
	case "False", "false", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither True nor False", v)
}

func integer(v string, least, most int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q is no whole number from %d to %d", v, least, most)
	}
	return n, nil
}

// address checks that an address has a host, which may be empty, and a port.
func address(v string) (string, error) {
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = integer(port, 0, 65535)
	}
	if err != nil {
		return "", fmt.Errorf("%q is no address such as 127.0.0.1:3001, :3001 or [::1]:3001", v)
	}
	return v, nil
}

// mostBytes is more than any size needs, and fits an int.
const mostBytes = min(1<<40, math.MaxInt)

// size reads a number of bytes such as 65536, 64KiB or 16MiB.
func size(v string) (int, error) {
	number, shift := v, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if before, ok := strings.CutSuffix(v, unit); ok {
			number, shift = before, 10*(i+1)
		}
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 || n > mostBytes>>shift {
		return 0, fmt.Errorf("%q is no size such as 65536, 64KiB or 16MiB, 1024GiB at most", v)
	}
	return n << shift, nil
}

func duration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no time such as 500ms, 10s or 1m", v)
	}
	return d, nil
}

// interval reads a short time, which may be none.
func interval(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > time.Second {
		return 0, fmt.Errorf("%q is no time from 0s to 1s, such as 20ms", v)
	}
	return d, nil
}
