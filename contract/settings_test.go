package contract_test

import (
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"pgws/internal/devpg/pgtest"
)

// nowhere is a database that nobody may need to reach.
const nowhere = "postgres://ann:the-password-of-ann@127.0.0.1:1/none?sslmode=disable"

// writeFile makes a file of the test's own and returns its path.
func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { check(t, taken.Close()) })
	missing := filepath.Join(t.TempDir(), "missing")
	certificate, key := writeCertificate(t, "one")
	named := func(name string) []string { return []string{name} }
	cases := map[string]struct {
		settings env
		named    []string
	}{
		"no URI":                        {env{"PGWS_DB_URI": ""}, named("PGWS_DB_URI")},
		"no secret":                     {env{"PGWS_JWT_SECRET": ""}, named("PGWS_JWT_SECRET")},
		"neither":                       {env{"PGWS_DB_URI": "", "PGWS_JWT_SECRET": ""}, []string{"PGWS_DB_URI", "PGWS_JWT_SECRET"}},
		"a URI that is none":            {env{"PGWS_DB_URI": "postgres://ann:the-password@[::1/none"}, named("PGWS_DB_URI")},
		"keywords that are none":        {env{"PGWS_DB_URI": "password=the-password port=many"}, named("PGWS_DB_URI")},
		"a URI's file is missing":       {env{"PGWS_DB_URI": "@" + missing}, named("PGWS_DB_URI")},
		"a URI's file is empty":         {env{"PGWS_DB_URI": "@" + writeFile(t, "\n")}, named("PGWS_DB_URI")},
		"a short secret":                {env{"PGWS_JWT_SECRET": "thirty-one-bytes-are-not-enough"}, named("PGWS_JWT_SECRET")},
		"a secret's file is missing":    {env{"PGWS_JWT_SECRET": "@" + missing}, named("PGWS_JWT_SECRET")},
		"a secret's file is empty":      {env{"PGWS_JWT_SECRET": "@" + writeFile(t, "\n")}, named("PGWS_JWT_SECRET")},
		"a secret that is not base64":   {env{"PGWS_JWT_SECRET": strings.Repeat("not*base64", 9), "PGWS_JWT_SECRET_BASE64": "True"}, named("PGWS_JWT_SECRET")},
		"a secret short once decoded":   {env{"PGWS_JWT_SECRET": base64URL(make([]byte, 31)), "PGWS_JWT_SECRET_BASE64": "True"}, named("PGWS_JWT_SECRET")},
		"a JWK of no known type":        {env{"PGWS_JWT_SECRET": `{"kty":"wax","k":"seal-seal-seal-seal"}`}, named("PGWS_JWT_SECRET")},
		"a short JWK":                   {env{"PGWS_JWT_SECRET": octJWK(make([]byte, 31), "")}, named("PGWS_JWT_SECRET")},
		"a JWK set without keys":        {env{"PGWS_JWT_SECRET": `{"keys":[]}`}, named("PGWS_JWT_SECRET")},
		"a JWK set by http from afar":   {env{"PGWS_JWT_SECRET": "http://192.0.2.1/keys?pass=word-of-the-set"}, named("PGWS_JWT_SECRET")},
		"a JWK set that does not come":  {env{"PGWS_JWT_SECRET": "http://127.0.0.1:1/keys?pass=word-of-the-set"}, named("PGWS_JWT_SECRET")},
		"base64: yes":                   {env{"PGWS_JWT_SECRET_BASE64": "yes"}, named("PGWS_JWT_SECRET_BASE64")},
		"base64: TRUE":                  {env{"PGWS_JWT_SECRET_BASE64": "TRUE"}, named("PGWS_JWT_SECRET_BASE64")},
		"a host that is not ours":       {env{"PGWS_HOST": "192.0.2.1"}, named("PGWS_HOST")},
		"a host form that is none":      {env{"PGWS_HOST": "*5"}, named("PGWS_HOST")},
		"port: negative":                {env{"PGWS_PORT": "-1"}, named("PGWS_PORT")},
		"port: too large":               {env{"PGWS_PORT": "65536"}, named("PGWS_PORT")},
		"port: a word":                  {env{"PGWS_PORT": "http"}, named("PGWS_PORT")},
		"port: taken":                   {env{"PGWS_PORT": strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)}, named("PGWS_PORT")},
		"channel: 64 bytes":             {env{"PGWS_LISTEN_CHANNEL": strings.Repeat("c", 64)}, named("PGWS_LISTEN_CHANNEL")},
		"channel: 64 bytes, 32 letters": {env{"PGWS_LISTEN_CHANNEL": strings.Repeat("ä", 32)}, named("PGWS_LISTEN_CHANNEL")},
		"pool size: 0":                  {env{"PGWS_POOL_SIZE": "0"}, named("PGWS_POOL_SIZE")},
		"pool size: a word":             {env{"PGWS_POOL_SIZE": "many"}, named("PGWS_POOL_SIZE")},
		"retries: negative":             {env{"PGWS_RETRIES": "-1"}, named("PGWS_RETRIES")},
		"retries: a word":               {env{"PGWS_RETRIES": "often"}, named("PGWS_RETRIES")},
		"interval: negative":            {env{"PGWS_CHECK_LISTENER_INTERVAL": "-1"}, named("PGWS_CHECK_LISTENER_INTERVAL")},
		"interval: a fraction":          {env{"PGWS_CHECK_LISTENER_INTERVAL": "1.5"}, named("PGWS_CHECK_LISTENER_INTERVAL")},
		"interval: a unit":              {env{"PGWS_CHECK_LISTENER_INTERVAL": "10s"}, named("PGWS_CHECK_LISTENER_INTERVAL")},
		"interval: a word":              {env{"PGWS_CHECK_LISTENER_INTERVAL": "often"}, named("PGWS_CHECK_LISTENER_INTERVAL")},
		"a certificate without key":     {env{"PGWS_CERTIFICATE_FILE": certificate}, named("PGWS_KEY_FILE")},
		"a key without certificate":     {env{"PGWS_KEY_FILE": key}, named("PGWS_CERTIFICATE_FILE")},
		"a certificate that is missing": {env{"PGWS_CERTIFICATE_FILE": missing, "PGWS_KEY_FILE": key}, named("PGWS_CERTIFICATE_FILE")},
		"a certificate that is a key":   {env{"PGWS_CERTIFICATE_FILE": key, "PGWS_KEY_FILE": key}, named("PGWS_CERTIFICATE_FILE")},
		"a folder that is missing":      {env{"PGWS_ROOT_PATH": missing}, named("PGWS_ROOT_PATH")},
		"strict mode: perhaps":          {env{"PGWS_REQUIRE_CHANNELS": "perhaps"}, named("PGWS_REQUIRE_CHANNELS")},
		"fallback: short":               {env{"PGWS_JWT_SECRET_FALLBACK": "short"}, named("PGWS_JWT_SECRET_FALLBACK")},
		"fallback: not base64":          {env{"PGWS_JWT_SECRET": base64URL([]byte(secret)), "PGWS_JWT_SECRET_BASE64": "True", "PGWS_JWT_SECRET_FALLBACK": "*"}, named("PGWS_JWT_SECRET_FALLBACK")},
		"fallback: a file is missing":   {env{"PGWS_JWT_SECRET_FALLBACK": "@" + missing}, named("PGWS_JWT_SECRET_FALLBACK")},
		"fallback: a set that is away":  {env{"PGWS_JWT_SECRET_FALLBACK": "http://127.0.0.1:1/keys?pass=word-of-the-set"}, []string{"PGWS_JWT_SECRET", "fallback"}},
		"leeway: two hours":             {env{"PGWS_JWT_LEEWAY": "2h"}, named("PGWS_JWT_LEEWAY")},
		"a mode's claim, no path":       {env{"PGWS_CLAIM_MODE": "mode"}, named("PGWS_CLAIM_MODE")},
		"the channels' claim, no path":  {env{"PGWS_CLAIM_CHANNELS": "$.groups[*]"}, named("PGWS_CLAIM_CHANNELS")},
		"a default mode that is none":   {env{"PGWS_DEFAULT_MODE": "x"}, named("PGWS_DEFAULT_MODE")},
		"patterns: perhaps":             {env{"PGWS_CHANNEL_PATTERNS": "perhaps"}, named("PGWS_CHANNEL_PATTERNS")},
		"token in the path: never":      {env{"PGWS_TOKEN_IN_PATH": "never"}, named("PGWS_TOKEN_IN_PATH")},
		"a cookie without origins":      {env{"PGWS_TOKEN_COOKIE": "token"}, []string{"PGWS_TOKEN_COOKIE", "PGWS_ALLOWED_ORIGINS"}},
		"a cookie's name that is none":  {env{"PGWS_TOKEN_COOKIE": "a b", "PGWS_ALLOWED_ORIGINS": "https://a"}, named("PGWS_TOKEN_COOKIE")},
		"an origin with a path":         {env{"PGWS_ALLOWED_ORIGINS": "https://a, https://b/"}, named("PGWS_ALLOWED_ORIGINS")},
		"any origin":                    {env{"PGWS_ALLOWED_ORIGINS": "*"}, named("PGWS_ALLOWED_ORIGINS")},
		"a rate of none":                {env{"PGWS_MESSAGE_RATE": "0"}, named("PGWS_MESSAGE_RATE")},
		"a history of no unit":          {env{"PGWS_HISTORY_BYTES": "all"}, named("PGWS_HISTORY_BYTES")},
		"a least size below none":       {env{"PGWS_COMPRESS_MIN_BYTES": "-1"}, named("PGWS_COMPRESS_MIN_BYTES")},
		"an admin address without port": {env{"PGWS_ADMIN_ADDR": "127.0.0.1"}, named("PGWS_ADMIN_ADDR")},
		"a size below one":              {env{"PGWS_MAX_MESSAGE_BYTES": "0"}, named("PGWS_MAX_MESSAGE_BYTES")},
		"a size of no unit":             {env{"PGWS_QUEUE_BYTES": "16 apples"}, named("PGWS_QUEUE_BYTES")},
		"a lag that is none":            {env{"PGWS_MAX_LAG_BYTES": "-1"}, named("PGWS_MAX_LAG_BYTES")},
		"a time without unit":           {env{"PGWS_WRITE_TIMEOUT": "10"}, named("PGWS_WRITE_TIMEOUT")},
		"an interval too long":          {env{"PGWS_WRITE_INTERVAL": "2s"}, named("PGWS_WRITE_INTERVAL")},
		"a log level that is none":      {env{"PGWS_LOG_LEVEL": "loud"}, named("PGWS_LOG_LEVEL")},
		"several":                       {env{"PGWS_PORT": "x", "PGWS_POOL_SIZE": "x", "PGWS_RETRIES": "x"}, []string{"PGWS_PORT", "PGWS_POOL_SIZE", "PGWS_RETRIES"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := defaults()
			variables["PGWS_DB_URI"] = nowhere
			variables["PGWS_RETRIES"] = "1"
			maps.Copy(variables, tc.settings)
			status, _, stderr := run(t, variables)
			if status == 0 {
				t.Error("pgws has ended with status 0")
			}
			for _, name := range tc.named {
				if !strings.Contains(stderr, name) {
					t.Errorf("%s is not named in %q", name, stderr)
				}
			}
		})
	}
}

// What the settings for tokens make of them. Each path is good, or refused with a status.
func TestTokenSettings(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	const other = "the-secret-that-was-replaced-0123456789"
	by := func(key, claims string) string { return jwt(`{"alg":"HS256"}`, claims, hs256([]byte(key))) }
	const unauthorized, forbidden = http.StatusUnauthorized, http.StatusForbidden
	cases := map[string]struct {
		settings env
		paths    map[string]int // 0: good
	}{
		"two secrets": {env{"PGWS_JWT_SECRET_FALLBACK": "@" + writeFile(t, other+"\n")}, map[string]int{
			"/chat/" + token(anybody): 0, "/chat/" + by(other, anybody): 0, "/chat/" + by("another", anybody): unauthorized,
		}},
		"two secrets in base64": {env{"PGWS_JWT_SECRET": base64URL([]byte(secret)), "PGWS_JWT_SECRET_FALLBACK": base64URL([]byte(other)), "PGWS_JWT_SECRET_BASE64": "True"}, map[string]int{
			"/chat/" + token(anybody): 0, "/chat/" + by(other, anybody): 0, "/chat/" + by(base64URL([]byte(other)), anybody): unauthorized,
		}},
		"audience and issuer": {env{"PGWS_JWT_AUDIENCE": "us", "PGWS_JWT_ISSUER": "them"}, map[string]int{
			"/chat/" + token(`{"mode":"rw","aud":"us","iss":"them"}`): 0, "/chat/" + token(`{"mode":"rw","aud":["x","us"],"iss":"them"}`): 0,
			"/chat/" + token(anybody): unauthorized, "/chat/" + token(`{"mode":"rw","aud":"us","iss":"us"}`): unauthorized, "/chat/" + token(`{"mode":"rw","aud":"them","iss":"them"}`): unauthorized,
		}},
		"leeway": {env{"PGWS_JWT_LEEWAY": "1h"}, map[string]int{
			"/chat/" + token(`{"mode":"rw","exp":`+in(-600)+`}`): 0, "/chat/" + token(`{"mode":"rw","nbf":`+in(600)+`}`): 0, "/chat/" + token(`{"mode":"rw","exp":`+in(-7200)+`}`): unauthorized,
		}},
		"claims elsewhere": {env{"PGWS_CLAIM_MODE": "$.app.mode", "PGWS_CLAIM_CHANNELS": "$['https://x/pgws'].rooms", "PGWS_DEFAULT_MODE": "r"}, map[string]int{
			"/" + token(`{"app":{"mode":"r"},"https://x/pgws":{"rooms":["a","b"]}}`): 0, "/a/" + token(`{"https://x/pgws":{"rooms":"a"}}`): 0,
			"/a/" + token(`{"https://x/pgws":{"rooms":"b"}}`): forbidden, "/a/" + token(`{"mode":"r","app":{"mode":"x"}}`): forbidden, "/a/" + token(`{"app":{"mode":1}}`): unauthorized,
		}},
		"patterns": {env{"PGWS_CHANNEL_PATTERNS": "True", "PGWS_META_CHANNEL": "meta"}, map[string]int{
			"/room:1/" + token(`{"mode":"r","channels":["room:*"]}`): 0, "/a:b:c/" + token(`{"mode":"r","channel":"a:**"}`): 0, "/" + token(`{"mode":"r","channels":["room:*","x"]}`): 0,
			"/" + token(`{"mode":"r","channels":["room:*"]}`): forbidden, "/room:1:2/" + token(`{"mode":"r","channels":["room:*"]}`): forbidden,
			"/meta/" + token(`{"mode":"r","channels":["*"]}`): forbidden, "/meta/" + token(`{"mode":"r","channels":["*","meta"]}`): 0,
		}},
		"no patterns": {nil, map[string]int{
			"/room:1/" + token(`{"mode":"r","channels":["room:*"]}`): forbidden, "/room:*/" + token(`{"mode":"r","channels":["room:*"]}`): 0,
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := env{"PGWS_DB_URI": uri}
			maps.Copy(settings, tc.settings)
			s := start(t, settings)
			s.secrets = append(s.secrets, other)
			for path, want := range tc.paths {
				got := 0
				if _, refused := s.open(t, path); refused != nil {
					got = refused.status
				}
				if got != want {
					t.Errorf("%s: status %d, want %d", path, got, want)
				}
			}
		})
	}
}

// The password of a database that cannot be reached, or that refuses it, stands in no log.
func TestUnreachableDatabase(t *testing.T) {
	t.Parallel()
	config, err := pgx.ParseConfig(pgtest.Database(t))
	check(t, err)
	port := strconv.Itoa(int(config.Port))
	for name, uri := range map[string]string{
		"nobody listens":            nowhere,
		"wrong password in a URI":   "postgres://postgres:the-wrong-password@127.0.0.1:" + port + "/postgres",
		"wrong password in a DSN":   "host=127.0.0.1 port=" + port + " user=postgres password='the-wrong-password'",
		"a database that is absent": "postgres://postgres:" + config.Password + "@127.0.0.1:" + port + "/absent",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := defaults()
			variables["PGWS_DB_URI"], variables["PGWS_RETRIES"] = uri, "1"
			status, _, stderr := run(t, variables)
			if status == 0 || stderr == "" {
				t.Errorf("status %d, standard error %q", status, stderr)
			}
			if strings.Contains(stderr, "the-wrong-password") {
				t.Errorf("the password is in %q", stderr)
			}
		})
	}
}

// travel sends a message from the database to a client.
func (s *server) travel(t *testing.T) {
	t.Helper()
	c := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	conn := connect(t, s.uri)
	_, err := conn.Exec(t.Context(), "select pg_notify($1, '{\"channel\":\"chat\"}')", s.channel)
	check(t, err)
	c.expect(`{"channel":"chat"}`)
}

func TestDatabaseURI(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	config, err := pgx.ParseConfig(uri)
	check(t, err)
	host, port, user, password, database := config.Host, strconv.Itoa(int(config.Port)), config.User, config.Password, config.Database
	address := "host=" + host + " port=" + port + " user=" + user
	cases := map[string]env{
		"a URI":          {"PGWS_DB_URI": uri},
		"keywords":       {"PGWS_DB_URI": address + " password='" + password + "' dbname=" + database + " sslmode=disable"},
		"a URI in @file": {"PGWS_DB_URI": "@" + writeFile(t, "\n  "+uri+" \r\n\n")},
		"libpq's variables": {"PGWS_DB_URI": "postgres://", "PGHOST": host, "PGPORT": port, "PGUSER": user,
			"PGPASSWORD": password, "PGDATABASE": database, "PGSSLMODE": "disable"},
		"a URI before libpq's variables": {"PGWS_DB_URI": uri, "PGHOST": "192.0.2.1", "PGPORT": "1", "PGUSER": "nobody",
			"PGPASSWORD": "none", "PGDATABASE": "none"},
		"a password file": {"PGWS_DB_URI": address + " dbname=" + database,
			"PGPASSFILE": writeFile(t, host+":"+port+":*:"+user+":"+password+"\n")},
		"a service file": {"PGWS_DB_URI": "service=ours", "PGSERVICEFILE": writeFile(t, "[ours]\nhost="+host+"\nport="+port+
			"\nuser="+user+"\npassword="+password+"\ndbname="+database+"\n")},
	}
	for name, settings := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, settings)
			s.secrets = append(s.secrets, password)
			s.uri = uri
			s.travel(t)
		})
	}
}

// Any name is quoted as an identifier: it is LISTENed to, NOTIFYed, and the websocket channel of what names no other.
func TestListenChannel(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	for name, channel := range map[string]string{
		"quotes":           `it's "quoted"; drop table students; --`,
		"upper case":       "Chat",
		"a keyword":        "select",
		"spaces":           "  two  words ",
		"beyond ASCII":     "größe-日本語-🎈",
		"backslash":        `back\slash`,
		"a slash":          "a/b",
		"a percent sign":   "100%41",
		"63 bytes":         strings.Repeat("x", 63),
		"63 bytes, ä last": strings.Repeat("x", 61) + "ä",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, env{"PGWS_DB_URI": uri, "PGWS_LISTEN_CHANNEL": channel})
			heard := s.listen(t)
			chat := s.dial(t, "/chat/"+token(`{"mode":"rw"}`))
			chat.send("hello")
			text := heard.receive()
			chat.expect(text)
			other := s.dial(t, "/"+token(`{"mode":"r","channel":`+strconv.Quote(channel)+`}`))
			s.notify(t, "not JSON")
			other.expect("not JSON")
		})
	}
}

// A port can be named. Without a port, and for what the other variables are when they are unset, see TestHelp.
func TestPort(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	check(t, err)
	s := start(t, env{"PGWS_PORT": port})
	if diff := cmp.Diff(address, s.addr); diff != "" {
		t.Errorf("it listens elsewhere (-want +got):\n%s", diff)
	}
	s.travel(t)
}

// freeAddress returns a loopback address with a port that is free now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestHost(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6:", err)
	}
	check(t, l.Close())
	uri := pgtest.Database(t)
	cases := map[string]struct{ v4, v6 bool }{
		"*":         {v4: true, v6: true},
		"*4":        {v4: true},
		"!4":        {v4: true},
		"*6":        {v6: true},
		"!6":        {v6: true},
		"127.0.0.1": {v4: true},
		"::1":       {v6: true},
		"0.0.0.0":   {v4: true},
		"::":        {v6: true},
		"localhost": {},
	}
	for host, want := range cases {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			s := start(t, env{"PGWS_DB_URI": uri, "PGWS_HOST": host})
			_, port, err := net.SplitHostPort(s.addr)
			check(t, err)
			reached := struct{ v4, v6 bool }{s.reaches(t, "127.0.0.1", port), s.reaches(t, "::1", port)}
			if !reached.v4 && !reached.v6 {
				t.Error("it is reached by no address")
			}
			// Only those with an exclamation mark, and addresses, must not be reached by the other family.
			exact := host[0] != '*' && host != "localhost" && host != "::"
			if want.v4 && !reached.v4 || want.v6 && !reached.v6 || exact && reached != want {
				t.Errorf("reached %+v, want %+v", reached, want)
			}
		})
	}
}

// reaches reports whether a websocket can be opened at an address.
func (s *server) reaches(t *testing.T, host, port string) bool {
	t.Helper()
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), patience)
	if err != nil {
		return false
	}
	check(t, conn.Close())
	there := &server{program: s.program, addr: net.JoinHostPort(host, port), uri: s.uri, channel: s.channel}
	there.dial(t, "/chat/"+token(`{"mode":"rw"}`)).expectPong()
	return true
}
