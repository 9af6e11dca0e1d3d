package auth_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgws/internal/auth"
)

// In a synctest bubble it is 2000-01-01 00:00:00 UTC, which is 946684800.
func TestExpiryAndStart(t *testing.T) {
	t.Parallel()
	const never = ""
	tests := map[string]struct {
		claims  string
		err     error
		expires string // RFC 3339, never for a grant without an end
	}{
		"exp is now":                  {`{"mode":"r","exp":946684800}`, auth.ErrExpired, ""},
		"exp was a second ago":        {`{"mode":"r","exp":946684799}`, auth.ErrExpired, ""},
		"exp was a moment ago":        {`{"mode":"r","exp":946684799.999}`, auth.ErrExpired, ""},
		"exp in a second":             {`{"mode":"r","exp":946684801}`, nil, "2000-01-01T00:00:01Z"},
		"exp in half a second":        {`{"mode":"r","exp":946684800.5}`, nil, "2000-01-01T00:00:00.5Z"},
		"exp with an exponent":        {`{"mode":"r","exp":9.46684801e8}`, nil, "2000-01-01T00:00:01Z"},
		"exp 0":                       {`{"mode":"r","exp":0}`, auth.ErrExpired, ""},
		"exp negative":                {`{"mode":"r","exp":-1.5}`, auth.ErrExpired, ""},
		"exp hugely negative":         {`{"mode":"r","exp":-1e300}`, auth.ErrExpired, ""},
		"exp in the last second":      {`{"mode":"r","exp":253402300798}`, nil, "9999-12-31T23:59:58Z"},
		"exp beyond the calendar":     {`{"mode":"r","exp":253402300799}`, nil, never},
		"exp beyond int64":            {`{"mode":"r","exp":18446744073709551616}`, nil, never},
		"exp huge":                    {`{"mode":"r","exp":1e300}`, nil, never},
		"exp null":                    {`{"mode":"r","exp":null}`, nil, never},
		"nbf is now":                  {`{"mode":"r","nbf":946684800}`, nil, never},
		"nbf was":                     {`{"mode":"r","nbf":946684799.5}`, nil, never},
		"nbf in a moment":             {`{"mode":"r","nbf":946684800.001}`, auth.ErrNotYetValid, ""},
		"nbf in a second":             {`{"mode":"r","nbf":946684801}`, auth.ErrNotYetValid, ""},
		"nbf negative":                {`{"mode":"r","nbf":-5}`, nil, never},
		"nbf huge":                    {`{"mode":"r","nbf":1e300}`, auth.ErrNotYetValid, ""},
		"nbf hugely negative":         {`{"mode":"r","nbf":-1e300}`, nil, never},
		"exp before nbf":              {`{"mode":"r","exp":946684799,"nbf":946684801}`, auth.ErrExpired, ""},
		"iat in the future is no nbf": {`{"mode":"r","iat":946684801}`, nil, never},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				grant, err := authorize(t.Context(), parseKeys(t, secret), tokenOf(tt.claims), "chat")
				if !errors.Is(err, tt.err) {
					t.Fatalf("got %v, want %v", err, tt.err)
				}
				if err != nil {
					return
				}
				expires := never
				if !grant.Expires.IsZero() {
					expires = grant.Expires.UTC().Format(time.RFC3339Nano)
				}
				if expires != tt.expires {
					t.Errorf("expires %q, want %q", expires, tt.expires)
				}
			})
		})
	}
}

// A token is good from nbf on, until the very moment of exp.
func TestValidityPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := parseKeys(t, secret)
		token := tokenOf(`{"mode":"r","nbf":946684801,"exp":946684803}`)
		check := func(want error) {
			t.Helper()
			if _, err := authorize(t.Context(), keys, token, "chat"); !errors.Is(err, want) {
				t.Errorf("at %v: got %v, want %v", time.Now().UTC(), err, want)
			}
		}
		start := time.Now()
		until := func(d time.Duration) { <-time.After(time.Until(start.Add(d))) }
		check(auth.ErrNotYetValid)
		until(time.Second - 1)
		check(auth.ErrNotYetValid)
		until(time.Second)
		check(nil)
		until(3*time.Second - 1)
		check(nil)
		until(3 * time.Second)
		check(auth.ErrExpired)
	})
}
