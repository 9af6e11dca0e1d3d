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

func parseDefaultMode(c *Config, v string) error {
	switch v {
	case "r", "w", "rw":
		c.DefaultMode = v
		return nil
	}
	return fmt.Errorf("%q is none of r, w, rw", v)
}

// parseTokenCookie checks that a name is a token (RFC 6265, section 4.1.1), as the
// names of cookies are.
func parseTokenCookie(c *Config, v string) error {
	for _, r := range v {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) {
			return fmt.Errorf("%q is no name of a cookie", v)
		}
	}
	c.TokenCookie = v
	return nil
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
	n, err := sizeOrNone(v)
	if err == nil && n == 0 {
		return 0, noSize(v)
	}
	return n, err
}

// sizeOrNone reads a number of bytes that may be 0.
func sizeOrNone(v string) (int, error) {
	number, shift := v, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if before, ok := strings.CutSuffix(v, unit); ok {
			number, shift = before, 10*(i+1)
		}
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 0 || n > mostBytes>>shift {
		return 0, noSize(v)
	}
	return n << shift, nil
}

func noSize(v string) error {
	return fmt.Errorf("%q is no size such as 65536, 64KiB or 16MiB, 1024GiB at most", v)
}

func duration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no time such as 500ms, 10s or 1m", v)
	}
	return d, nil
}

// upTo reads a time that may be none and is bounded.
func upTo(most time.Duration, v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > most {
		return 0, fmt.Errorf("%q is no time from 0s to %v, such as 20ms", v, most)
	}
	return d, nil
}
