package config_test

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/config"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := &config.Config{
		DatabaseURI:      least["PGWS_DB_URI"],
		Secret:           least["PGWS_JWT_SECRET"],
		TokenInPath:      true,
		Host:             "*4",
		Port:             3000,
		ListenChannel:    "postgres-websockets-listener",
		PoolSize:         10,
		Retries:          5,
		MaxMessageBytes:  1 << 20,
		QueueBytes:       16 << 20,
		MaxLagBytes:      32 << 20,
		HistoryBytes:     4 << 20,
		WriteTimeout:     10 * time.Second,
		CompressMinBytes: 1 << 10,
		LogLevel:         "info",
	}
	got, err := config.Read(environment(least))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unset (-want +got):\n%s", diff)
	}
	empty := make(map[string]string)
	for _, s := range config.Settings {
		if _, ok := least[s.Name]; !ok {
			empty[s.Name] = ""
		}
	}
	if got, err = config.Read(environment(least, empty)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("empty (-want +got):\n%s", diff)
	}
}

func TestRequired(t *testing.T) {
	t.Parallel()
	for name, environ := range map[string]map[string]string{"unset": nil, "empty": {"PGWS_DB_URI": "", "PGWS_JWT_SECRET": ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Read(environment(environ))
			if c != nil || err == nil {
				t.Fatalf("got %v, %v", c, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != 2 || !strings.HasPrefix(lines[0], "PGWS_DB_URI is not set: ") || !strings.HasPrefix(lines[1], "PGWS_JWT_SECRET is not set: ") {
				t.Errorf("got %s", err)
			}
		})
	}
}

// All faults are told at once, each on its line, in the order of the settings.
func TestAllFaults(t *testing.T) {
	t.Parallel()
	c, err := config.Read(environment(map[string]string{
		"PGWS_DB_URI": "@/nowhere", "PGWS_JWT_SECRET_BASE64": "x", "PGWS_PORT": "x", "PGWS_LISTEN_CHANNEL": strings.Repeat("x", 64),
		"PGWS_POOL_SIZE": "x", "PGWS_RETRIES": "x", "PGWS_CHECK_LISTENER_INTERVAL": "x", "PGWS_KEY_FILE": "x", "PGWS_ADMIN_ADDR": "x",
		"PGWS_MAX_MESSAGE_BYTES": "x", "PGWS_QUEUE_BYTES": "x", "PGWS_MAX_LAG_BYTES": "x", "PGWS_WRITE_TIMEOUT": "x",
		"PGWS_WRITE_INTERVAL": "x", "PGWS_LOG_LEVEL": "x", "PGWS_JWT_SECRET_FALLBACK": "@/nowhere", "PGWS_JWT_LEEWAY": "x", "PGWS_DEFAULT_MODE": "x",
		"PGWS_REQUIRE_CHANNELS": "x", "PGWS_CHANNEL_PATTERNS": "x", "PGWS_TOKEN_IN_PATH": "x", "PGWS_TOKEN_COOKIE": "x y", "PGWS_ALLOWED_ORIGINS": "https://a x",
		"PGWS_MESSAGE_RATE": "x", "PGWS_HISTORY_BYTES": "x", "PGWS_COMPRESS_MIN_BYTES": "x",
	}))
	if c != nil || err == nil {
		t.Fatalf("got %v, %v", c, err)
	}
	want := []string{
		`PGWS_DB_URI: read the file: no such file or directory`,
		`PGWS_JWT_SECRET is not set: What verifies tokens: the text of an HS256 key (32 bytes or more), a JWK or JWK set in JSON, or the ` +
			`https:// address of a JWK set; @file reads it from a file.`,
		`PGWS_JWT_SECRET_BASE64: "x" is neither True nor False`,
		`PGWS_JWT_SECRET_FALLBACK: read the file: no such file or directory`,
		`PGWS_JWT_LEEWAY: "x" is no time from 0s to 1h0m0s, such as 20ms`,
		`PGWS_DEFAULT_MODE: "x" is none of r, w, rw`,
		`PGWS_REQUIRE_CHANNELS: "x" is neither True nor False`,
		`PGWS_CHANNEL_PATTERNS: "x" is neither True nor False`,
		`PGWS_TOKEN_IN_PATH: "x" is neither True nor False`,
		`PGWS_TOKEN_COOKIE: "x y" is no name of a cookie`,
		`PGWS_ALLOWED_ORIGINS: "x": no origin such as https://app.example.com or http://localhost:8080`,
		`PGWS_PORT: "x" is no whole number from 0 to 65535`,
		`PGWS_LISTEN_CHANNEL: longer than 63 bytes: PostgreSQL would cut it`,
		`PGWS_POOL_SIZE: "x" is no whole number from 1 to 1000`,
		`PGWS_RETRIES: "x" is no whole number from 0 to 1000000`,
		`PGWS_CHECK_LISTENER_INTERVAL: "x" is no whole number from 0 to 86400000`,
		`PGWS_ADMIN_ADDR: "x" is no address such as 127.0.0.1:3001, :3001 or [::1]:3001`,
		`PGWS_MAX_MESSAGE_BYTES: "x" is no size such as 65536, 64KiB or 16MiB, 1024GiB at most`,
		`PGWS_MESSAGE_RATE: "x" is no whole number from 1 to 1000000`,
		`PGWS_QUEUE_BYTES: "x" is no size such as 65536, 64KiB or 16MiB, 1024GiB at most`,
		`PGWS_MAX_LAG_BYTES: "x" is no size such as 65536, 64KiB or 16MiB, 1024GiB at most`,
		`PGWS_HISTORY_BYTES: "x" is no size such as 65536, 64KiB or 16MiB, 1024GiB at most`,
		`PGWS_WRITE_TIMEOUT: "x" is no time such as 500ms, 10s or 1m`,
		`PGWS_WRITE_INTERVAL: "x" is no time from 0s to 1s, such as 20ms`,
		`PGWS_COMPRESS_MIN_BYTES: "x" is no size such as 65536, 64KiB or 16MiB, 1024GiB at most`,
		`PGWS_LOG_LEVEL: "x" is none of debug, info, warn, error`,
		`PGWS_CERTIFICATE_FILE and PGWS_KEY_FILE: set both or none`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestTLSBothOrNone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		certificate, key string
		good             bool
	}{
		"none":            {"", "", true},
		"both":            {"cert.pem", "key.pem", true},
		"the certificate": {"cert.pem", "", false},
		"the key":         {"", "key.pem", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Read(environment(least, map[string]string{"PGWS_CERTIFICATE_FILE": tt.certificate, "PGWS_KEY_FILE": tt.key}))
			if !tt.good {
				if err == nil || err.Error() != "PGWS_CERTIFICATE_FILE and PGWS_KEY_FILE: set both or none" {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || c.CertificateFile != tt.certificate || c.KeyFile != tt.key {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ content, uri, secret string }{
		"one line":               {"value\n", "value", "value"},
		"no line end":            {"value", "value", "value"},
		"two line ends":          {"value\n\n", "value", "value\n"},
		"a Windows line end":     {"value\r\n", "value", "value\r"},
		"white space around":     {" \tvalue \n", "value", " \tvalue "},
		"lines":                  {"a\nb\n", "a\nb", "a\nb"},
		"an @ is no second file": {"@value\n", "@value", "@value"},
		"bytes that are no text": {"\xff\x00\n", "\xff\x00", "\xff\x00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := "@" + writeFile(t, tt.content)
			c, err := config.Read(environment(map[string]string{"PGWS_DB_URI": at, "PGWS_JWT_SECRET": at}))
			if err != nil {
				t.Fatal(err)
			}
			if c.DatabaseURI != tt.uri || c.Secret != tt.secret {
				t.Errorf("got URI %q, secret %q, want %q, %q", c.DatabaseURI, c.Secret, tt.uri, tt.secret)
			}
		})
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	tests := map[string]struct{ value, text string }{
		"missing":       {"@" + filepath.Join(folder, "missing"), "read the file: no such file or directory"},
		"a folder":      {"@" + folder, "read the file: is a directory"},
		"no path":       {"@", "read the file: no such file or directory"},
		"empty":         {"@" + os.DevNull, "nothing but white space"},
		"a line end":    {"@" + writeFile(t, "\n"), "nothing but white space"},
		"a zero in it":  {"@a\x00b", "read the file: invalid argument"},
		"a second @":    {"@@" + filepath.Join(folder, "missing"), "read the file: no such file or directory"},
		"a long secret": {"@" + strings.Repeat("secret", 1000), "read the file: file name too long"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for variable := range least {
				_, err := config.Read(environment(least, map[string]string{variable: tt.value}))
				if want := variable + ": " + tt.text; err == nil || err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
			}
		})
	}
}

// Whatever else is wrong, no error shows the URI or the secret, also where they
// begin with "@" and are taken for files.
func TestErrorsHideSecrets(t *testing.T) {
	t.Parallel()
	const marker = "MARKER"
	tests := map[string]map[string]string{
		"values":       {"PGWS_DB_URI": "postgres://user:" + marker + "@host/db", "PGWS_JWT_SECRET": marker},
		"like files":   {"PGWS_DB_URI": "@" + marker, "PGWS_JWT_SECRET": "@" + marker},
		"long":         {"PGWS_DB_URI": "@" + strings.Repeat(marker, 1000), "PGWS_JWT_SECRET": "@" + strings.Repeat(marker, 1000)},
		"no file name": {"PGWS_DB_URI": "@" + marker + "\x00", "PGWS_JWT_SECRET": "@" + marker + "\x00"},
		"a folder":     {"PGWS_DB_URI": "@" + t.TempDir() + "/" + marker + "/x", "PGWS_JWT_SECRET": "@" + t.TempDir()},
		"no folder":    {"PGWS_DB_URI": "@" + writeFile(t, marker) + "/" + marker, "PGWS_JWT_SECRET": "@" + writeFile(t, marker) + "/" + marker},
		"in files":     {"PGWS_DB_URI": "@" + writeFile(t, marker), "PGWS_JWT_SECRET": "@" + writeFile(t, marker)},
	}
	for name, secrets := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrong := make(map[string]string)
			for _, s := range config.Settings {
				wrong[s.Name] = "wrong" + strings.Repeat("!", 64)
			}
			wrong["PGWS_KEY_FILE"] = ""
			wrong["PGWS_JWT_SECRET_FALLBACK"] = secrets["PGWS_JWT_SECRET"]
			_, err := config.Read(environment(wrong, secrets))
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), marker) || strings.Contains(err.Error(), os.TempDir()) {
				t.Errorf("a secret is shown: %s", err)
			}
		})
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	environ := []string{"PGWS_URL=http://x", "PGWS_TOKEN=t",
		"PATH=/bin", "PGWS_PORT=1", "PGWS_PROT=1", "pgws_port=1", "PGWS_=1", "XPGWS_X=1", "PGWS_ROOT_PATH=", "PGWS_port=1", "PGWS_A=b=c", "PGWS", "=PGWS_X", "",
		"PGWS_JWT_SECRET=PGWS_X=1",
	}
	want := []string{"PGWS_PROT", "PGWS_", "PGWS_port", "PGWS_A"}
	if diff := cmp.Diff(want, config.Unknown(environ)); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
	if got := config.Unknown(nil); got != nil {
		t.Errorf("got %q of nothing", got)
	}
}

// FuzzSettings gives any value to any one variable. It is taken or the variable
// is named.
func FuzzSettings(f *testing.F) {
	for i, s := range config.Settings {
		for _, value := range []string{s.Default, "x", "0", "-1", "99999999999999999999", "1KiB", "16MiB ", "8388608TiB", "1h", ":1", "[::1]:1", "@", "https://*.a:443", "\xff"} {
			f.Add(i, value)
		}
	}
	f.Fuzz(func(t *testing.T, i int, value string) {
		if i < 0 || i >= len(config.Settings) {
			return
		}
		s := config.Settings[i]
		if (s.Required || s.Name == "PGWS_JWT_SECRET_FALLBACK") && strings.HasPrefix(value, "@") {
			return // Any file of this machine.
		}
		c, err := config.Read(environment(least, map[string]string{s.Name: value}))
		if err != nil {
			if !strings.Contains(err.Error(), s.Name) || c != nil {
				t.Errorf("%s=%q: got %v, %v", s.Name, value, c, err)
			}
			return
		}
		checkBounds(t, c)
	})
}

// checkBounds checks what the rest of the program may rely on.
func checkBounds(t *testing.T, c *config.Config) {
	t.Helper()
	for _, size := range []int{c.MaxMessageBytes, c.QueueBytes, c.MaxLagBytes} {
		if size < 1 || int64(size) > 1<<40 {
			t.Errorf("a size of %d", size)
		}
	}
	for _, size := range []int{c.HistoryBytes, c.CompressMinBytes, c.MessageRate} {
		if size < 0 || int64(size) > 1<<40 {
			t.Errorf("a number of %d", size)
		}
	}
	if c.Leeway < 0 || c.Leeway > time.Hour || !slices.Contains([]string{"", "r", "w", "rw"}, c.DefaultMode) || c.TokenCookie != "" && c.AllowedOrigins == nil {
		t.Errorf("rules for tokens: %+v", c)
	}
	for _, origin := range c.AllowedOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme+"://"+u.Host != origin || origin != strings.ToLower(origin) {
			t.Errorf("origin %q", origin)
		}
	}
	if c.Port < 0 || c.Port > 65535 || c.PoolSize < 1 || c.Retries < 0 || c.CheckInterval < 0 || c.WriteTimeout <= 0 {
		t.Errorf("out of bounds: %+v", c)
	}
	if c.DatabaseURI == "" || c.Secret == "" || c.Host == "" || c.ListenChannel == "" || len(c.ListenChannel) > 63 {
		t.Errorf("missing: %+v", c)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		t.Errorf("log level %q", c.LogLevel)
	}
}
