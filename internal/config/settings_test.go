package config_test

import (
	"strings"
	"testing"
	"time"

	"pgws/internal/config"
)

// Each setting's values, good with what they mean and bad with the reason.
func TestSettings(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 31)
	tests := []struct {
		name string
		get  func(c *config.Config) any
		good map[string]any
		bad  []string
	}{
		{"PGWS_DB_URI", func(c *config.Config) any { return c.DatabaseURI },
			map[string]any{"postgres://u:p@h/d": "postgres://u:p@h/d", "host=h dbname=d": "host=h dbname=d", " x ": "x"}, []string{" ", "\n"}},
		{"PGWS_JWT_SECRET", func(c *config.Config) any { return c.Secret },
			map[string]any{"x": "x", "x \n": "x \n", `{"kty":"oct"}`: `{"kty":"oct"}`, "https://h/k": "https://h/k", "a@b": "a@b"}, nil},
		{"PGWS_JWT_SECRET_BASE64", func(c *config.Config) any { return c.SecretBase64 },
			map[string]any{"True": true, "true": true, "1": true, "False": false, "false": false, "0": false},
			[]string{"TRUE", "yes", "on", "2", "01", " true", "true ", "t"}},
		{"PGWS_JWT_SECRET_FALLBACK", func(c *config.Config) any { return c.SecretFallback },
			map[string]any{"": "", "x \n": "x \n", "https://h/k": "https://h/k"}, []string{"@/nowhere"}},
		{"PGWS_JWT_AUDIENCE", func(c *config.Config) any { return c.Audience }, map[string]any{"": "", "https://x/Y": "https://x/Y"}, nil},
		{"PGWS_JWT_ISSUER", func(c *config.Config) any { return c.Issuer }, map[string]any{"": "", "https://x/": "https://x/"}, nil},
		{"PGWS_JWT_LEEWAY", func(c *config.Config) any { return c.Leeway },
			map[string]any{"": time.Duration(0), "0s": time.Duration(0), "500ms": time.Second / 2, "1h": time.Hour}, []string{"-1s", "61m", "1h0m1s", "30", "long"}},
		{"PGWS_CLAIM_MODE", func(c *config.Config) any { return c.ClaimMode }, map[string]any{"": "", "$.a": "$.a"}, nil},
		{"PGWS_CLAIM_CHANNELS", func(c *config.Config) any { return c.ClaimChannels }, map[string]any{"": "", "$.a": "$.a"}, nil},
		{"PGWS_DEFAULT_MODE", func(c *config.Config) any { return c.DefaultMode },
			map[string]any{"": "", "r": "r", "w": "w", "rw": "rw"}, []string{"wr", "R", "x", " r"}},
		{"PGWS_CHANNEL_PATTERNS", func(c *config.Config) any { return c.ChannelPatterns },
			map[string]any{"": false, "True": true, "0": false}, []string{"yes", "TRUE", "2"}},
		{"PGWS_TOKEN_IN_PATH", func(c *config.Config) any { return c.TokenInPath },
			map[string]any{"": true, "True": true, "0": false, "False": false}, []string{"no", "FALSE", "2"}},
		{"PGWS_ALLOWED_ORIGINS", func(c *config.Config) any { return strings.Join(c.AllowedOrigins, " ") }, goodOrigins, badOrigins},
		{"PGWS_HOST", func(c *config.Config) any { return c.Host },
			map[string]any{"*": "*", "*6": "*6", "!4": "!4", "!6": "!6", "::1": "::1", "localhost": "localhost"}, nil},
		{"PGWS_PORT", func(c *config.Config) any { return c.Port },
			map[string]any{"0": 0, "1": 1, "65535": 65535, "03000": 3000}, []string{"-1", "65536", "3000.0", "0x50", "http", " 80", "8 0", "1e3", "٣"}},
		{"PGWS_LISTEN_CHANNEL", func(c *config.Config) any { return c.ListenChannel },
			map[string]any{"a b\"c": "a b\"c", long + "x": long + "x", " ": " "}, []string{long + "xx", strings.Repeat("x", 64)}},
		{"PGWS_META_CHANNEL", func(c *config.Config) any { return c.MetaChannel }, map[string]any{"": "", "m": "m", strings.Repeat("m", 100): strings.Repeat("m", 100)}, nil},
		{"PGWS_REQUIRE_CHANNELS", func(c *config.Config) any { return c.RequireChannels },
			map[string]any{"": false, "True": true, "0": false}, []string{"yes", "TRUE", "2"}},
		{"PGWS_RECORDER", func(c *config.Config) any { return c.Recorder }, map[string]any{"": "", "api.record": "api.record"}, nil},
		{"PGWS_ROOT_PATH", func(c *config.Config) any { return c.RootPath }, map[string]any{"": "", "./x": "./x"}, nil},
		{"PGWS_POOL_SIZE", func(c *config.Config) any { return c.PoolSize }, map[string]any{"1": 1, "1000": 1000}, []string{"0", "-1", "1001", "ten"}},
		{"PGWS_RETRIES", func(c *config.Config) any { return c.Retries }, map[string]any{"0": 0, "1000000": 1000000}, []string{"-1", "1000001", "x"}},
		{"PGWS_CHECK_LISTENER_INTERVAL", func(c *config.Config) any { return c.CheckInterval },
			map[string]any{"": time.Duration(0), "0": time.Duration(0), "1": time.Millisecond, "10000": 10 * time.Second, "86400000": 24 * time.Hour},
			[]string{"-1", "86400001", "10s", "1.5", "99999999999999999999"}},
		{"PGWS_ADMIN_ADDR", func(c *config.Config) any { return c.AdminAddress },
			map[string]any{"": "", ":3001": ":3001", "127.0.0.1:0": "127.0.0.1:0", "[::1]:3001": "[::1]:3001", "localhost:65535": "localhost:65535"},
			[]string{"3001", "localhost", "::1:3001", ":65536", ":-1", ":http", "http://localhost:3001", ":", "localhost:"}},
		{"PGWS_MAX_MESSAGE_BYTES", func(c *config.Config) any { return c.MaxMessageBytes },
			map[string]any{"1": 1, "65536": 65536, "64KiB": 64 << 10, "2MiB": 2 << 20, "1GiB": 1 << 30, "1 MiB": 1 << 20}, badSizes},
		{"PGWS_MESSAGE_RATE", func(c *config.Config) any { return c.MessageRate },
			map[string]any{"": 0, "1": 1, "1000000": 1000000}, []string{"0", "-1", "1.5", "10/s", "1000001", "many"}},
		{"PGWS_HISTORY_BYTES", func(c *config.Config) any { return c.HistoryBytes }, map[string]any{"": 4 << 20, "0": 0, "1GiB": 1 << 30}, badSizes[2:]},
		{"PGWS_COMPRESS_MIN_BYTES", func(c *config.Config) any { return c.CompressMinBytes },
			map[string]any{"": 1 << 10, "0": 0, "0KiB": 0, "1": 1, "64KiB": 64 << 10}, badSizes[2:]},
		{"PGWS_QUEUE_BYTES", func(c *config.Config) any { return c.QueueBytes }, map[string]any{"1MiB": 1 << 20}, badSizes},
		{"PGWS_MAX_LAG_BYTES", func(c *config.Config) any { return c.MaxLagBytes }, map[string]any{"1MiB": 1 << 20}, badSizes},
		{"PGWS_WRITE_TIMEOUT", func(c *config.Config) any { return c.WriteTimeout },
			map[string]any{"1ns": time.Nanosecond, "500ms": time.Second / 2, "1m30s": 90 * time.Second, "1.5s": 3 * time.Second / 2},
			[]string{"0", "0s", "-1s", "10", "ten", "1d", "9999999999h", " 1s"}},
		{"PGWS_WRITE_INTERVAL", func(c *config.Config) any { return c.WriteInterval },
			map[string]any{"": time.Duration(0), "0": time.Duration(0), "0s": time.Duration(0), "20ms": 20 * time.Millisecond, "1s": time.Second},
			[]string{"-1ms", "20", "1001ms", "soon", " 1s"}},
		{"PGWS_LOG_LEVEL", func(c *config.Config) any { return c.LogLevel },
			map[string]any{"debug": "debug", "warn": "warn", "error": "error", "INFO": "info"}, []string{"trace", "warning", "info+1", "0", " info"}},
	}
	// By TestTLSBothOrNone and TestTokenCookie.
	tested := map[string]bool{"PGWS_CERTIFICATE_FILE": true, "PGWS_KEY_FILE": true, "PGWS_TOKEN_COOKIE": true}
	for _, tt := range tests {
		tested[tt.name] = true
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for value, want := range tt.good {
				c, err := config.Read(environment(least, map[string]string{tt.name: value}))
				if err != nil {
					t.Errorf("%q: %v", value, err)
				} else if got := tt.get(c); got != want {
					t.Errorf("%q: got %v, want %v", value, got, want)
				}
			}
			for _, value := range tt.bad {
				c, err := config.Read(environment(least, map[string]string{tt.name: value}))
				if err == nil {
					t.Errorf("%q was taken as %v", value, tt.get(c))
				} else if text := err.Error(); !strings.HasPrefix(text, tt.name+": ") || strings.Contains(text, "\n") {
					t.Errorf("%q: %q does not begin with the variable, or has more than a line", value, text)
				}
			}
		})
	}
	for _, s := range config.Settings {
		if !tested[s.Name] {
			t.Errorf("%s is not tested", s.Name)
		}
	}
}

var badSizes = []string{
	"0", "0KiB", "-1", "1.5MiB", "1MB", "1kib", "MiB",
	"1025GiB", "1099511627777", "9223372036854775807GiB", "18446744073709551617", "1MiBKiB",
}

var goodOrigins = map[string]any{
	"":                                        "",
	"https://app.example.com":                 "https://app.example.com",
	"HTTPS://App.Example.COM":                 "https://app.example.com",
	"http://localhost:8080":                   "http://localhost:8080",
	"https://*.example.com":                   "https://*.example.com",
	"https://*.example.com:8443":              "https://*.example.com:8443",
	"https://a,https://b":                     "https://a https://b",
	" https://a ,\n\thttps://b  http://c:81,": "https://a https://b http://c:81",
	"https://a:443 http://b:80":               "https://a http://b",
	"https://a:80 http://b:443":               "https://a:80 http://b:443",
	"http://[::1]:3000":                       "http://[::1]:3000",
	"http://127.0.0.1":                        "http://127.0.0.1",
	"capacitor://localhost":                   "capacitor://localhost",
	"https://xn--bcher-kva.example":           "https://xn--bcher-kva.example",
}

var badOrigins = []string{
	"*", "null", ",", " ", "app.example.com", "//app.example.com", "https://", "https:app.example.com", "https://app.example.com/", "https://app.example.com/chat",
	"https://app.example.com?", "https://app.example.com?x", "https://app.example.com#", "https://ann@app.example.com", "https://app.example.com:", "https://app.example.com:0",
	"https://app.example.com:65536", "https://app.example.com:http", "https://*", "https://*.", "https://app.*.com", "https://*app.example.com", "https://*.*.example.com",
	"https://**.example.com", "*.example.com", "*://app.example.com", "https://.example.com", "https://bücher.example", "https://a;https://b", "https://a https://b/",
	"https://[::1", "https://%zz", "https://a%20b", "https://:8080",
}

func TestTokenCookie(t *testing.T) {
	t.Parallel()
	read := func(name, origins string) (*config.Config, error) {
		return config.Read(environment(least, map[string]string{"PGWS_TOKEN_COOKIE": name, "PGWS_ALLOWED_ORIGINS": origins}))
	}
	const origin = "https://app.example.com"
	for _, name := range []string{"", "token", "__Host-token", "a.b!#$%&'*+-.^_`|~9"} {
		if c, err := read(name, origin); err != nil || c.TokenCookie != name {
			t.Errorf("%q: got %+v, %v", name, c, err)
		}
	}
	for _, name := range []string{"a b", " a", "a=b", "a;b", "a,b", `a"`, "a/b", "[a]", "{a}", "a@b", "a:b", "ä", "a\n", "a\x7f", "a\\b", "(a)", "<a>", "a?", "a\xff"} {
		if c, err := read(name, origin); err == nil || !strings.HasPrefix(err.Error(), "PGWS_TOKEN_COOKIE: ") {
			t.Errorf("%q: got %+v, %v", name, c, err)
		}
	}
	const want = "PGWS_TOKEN_COOKIE: needs PGWS_ALLOWED_ORIGINS, since browsers send cookies for whichever page asks"
	if _, err := read("token", ""); err == nil || err.Error() != want {
		t.Errorf("without origins: %v", err)
	}
}

func TestSettingsAreWellFormed(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, s := range config.Settings {
		if seen[s.Name] || !strings.HasPrefix(s.Name, "PGWS_") {
			t.Errorf("%s: doubled, or not ours", s.Name)
		}
		seen[s.Name] = true
		if s.Required && s.Default != "" {
			t.Errorf("%s is required and has a default", s.Name)
		}
		if s.Doc == "" || !strings.HasSuffix(s.Doc, ".") || strings.Contains(s.Doc, "\n") {
			t.Errorf("%s: %q is not a sentence in one line", s.Name, s.Doc)
		}
	}
}
