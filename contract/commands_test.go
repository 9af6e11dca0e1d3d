package contract_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// documented are the settings of the contract, with their defaults.
var documented = map[string]string{
	"PGWS_DB_URI": "", "PGWS_JWT_SECRET": "", "PGWS_JWT_SECRET_BASE64": "False", "PGWS_HOST": "*4", "PGWS_PORT": "3000",
	"PGWS_LISTEN_CHANNEL": "postgres-websockets-listener", "PGWS_META_CHANNEL": "", "PGWS_ROOT_PATH": "",
	"PGWS_POOL_SIZE": "10", "PGWS_RETRIES": "5", "PGWS_CHECK_LISTENER_INTERVAL": "", "PGWS_CERTIFICATE_FILE": "", "PGWS_KEY_FILE": "",
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		status, stdout, _ := run(t, nil, arguments...)
		if status != 0 {
			t.Errorf("%v ends with status %d", arguments, status)
		}
		for name, value := range documented {
			_, after, found := strings.Cut(stdout, name+" ")
			if !found {
				_, after, found = strings.Cut(stdout, name+"\n")
			}
			line, _, _ := strings.Cut(after, "\n")
			if !found || value != "" && !strings.Contains(line, value) {
				t.Errorf("%v shows %s %q, want the default %q", arguments, name, line, value)
			}
		}
		for _, command := range []string{"serve", "dev", "token", "bench", "version"} {
			if !strings.Contains(stdout, command) {
				t.Errorf("%v does not show %s", arguments, command)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := run(t, nil, "version")
	if status != 0 || !strings.HasPrefix(stdout, "pgws ") || strings.Count(stdout, "\n") != 1 || stderr != "" {
		t.Errorf("status %d, standard output %q, standard error %q", status, stdout, stderr)
	}
}

func TestServeByName(t *testing.T) {
	t.Parallel()
	variables := defaults()
	variables["PGWS_DB_URI"], variables["PGWS_PORT"] = nowhere, "x"
	if status, _, stderr := run(t, variables, "serve"); status != 1 || !strings.Contains(stderr, "PGWS_PORT") {
		t.Errorf("status %d, standard error %q", status, stderr)
	}
}

// Wrong arguments end with status 2 and are named.
func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for name, arguments := range map[string][]string{
		"unknown command":       {"fly"},
		"unknown flag":          {"--fly"},
		"unknown flag of serve": {"serve", "--fly"},
		"one too many":          {"version", "fly"},
		"unknown mode":          {"token", "--mode", "fly"},
		"a time that is none":   {"token", "--ttl", "fly"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := defaults()
			status, stdout, stderr := run(t, variables, arguments...)
			if status != 2 || stdout != "" || !strings.Contains(stderr, "fly") {
				t.Errorf("status %d, standard output %q, standard error %q", status, stdout, stderr)
			}
		})
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	hour := time.Hour.Seconds()
	cases := map[string]struct {
		arguments []string
		claims    string
		ttl       float64 // 0: never expires
	}{
		"plain":            {nil, `{"mode":"rw"}`, hour},
		"as documented":    {[]string{"--mode", "rw", "--channel", "chat", "--ttl", "1h", "--claim", "k=v"}, `{"mode":"rw","channel":"chat","k":"v"}`, hour},
		"mode r":           {[]string{"--mode", "r"}, `{"mode":"r"}`, hour},
		"for ever":         {[]string{"--ttl", "0"}, `{"mode":"rw"}`, 0},
		"two days":         {[]string{"--ttl=48h"}, `{"mode":"rw"}`, 48 * hour},
		"several channels": {[]string{"--channel", "a,b", "--channel", "c"}, `{"mode":"rw","channels":["a,b","c"]}`, hour},
		"claims of any type": {[]string{"--claim", "n=1", "--claim", `o={"a":[null,true]}`, "--claim", "s=a=b, c", "--claim", `q="1"`, "--claim", "e="},
			`{"mode":"rw","n":1,"o":{"a":[null,true]},"s":"a=b, c","q":"1","e":""}`, hour},
	}
	s := start(t, nil)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := time.Now().Add(-time.Second)
			status, stdout, stderr := run(t, env{"PGWS_JWT_SECRET": secret}, append([]string{"token"}, tc.arguments...)...)
			if status != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
				t.Fatalf("status %d, standard output %q, standard error %q", status, stdout, stderr)
			}
			made := strings.TrimSpace(stdout)
			claims := decodeClaims(t, made)
			if tc.ttl > 0 {
				exp, _ := claims["exp"].(float64)
				if left := exp - unixSeconds(before); left < tc.ttl || left > tc.ttl+patience.Seconds() {
					t.Errorf("it expires in %v s", left)
				}
				delete(claims, "exp")
			}
			var want map[string]any
			check(t, json.Unmarshal([]byte(tc.claims), &want))
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			channel := "anything"
			if name, ok := want["channel"].(string); ok {
				channel = name
			}
			if _, ok := want["channels"]; ok {
				channel = "c"
			}
			s.dial(t, "/"+channel+"/"+made)
		})
	}
}

func decodeClaims(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %q", token)
	}
	decoded, err := base64.RawURLEncoding.DecodeString(parts[1])
	check(t, err)
	check(t, json.Unmarshal(decoded, &claims))
	return claims
}

// A token needs the secret, and a key that can sign.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		settings  env
		arguments []string
		named     string
	}{
		"no secret":               {nil, nil, "PGWS_JWT_SECRET"},
		"a short secret":          {env{"PGWS_JWT_SECRET": "thirty-one-bytes-are-not-enough"}, nil, "PGWS_JWT_SECRET"},
		"a public key":            {env{"PGWS_JWT_SECRET": rsaJWK(&keys().rsa.PublicKey, "")}, nil, "private key"},
		"keys elsewhere":          {env{"PGWS_JWT_SECRET": "https://localhost/keys"}, nil, "private key"},
		"a claim without a value": {env{"PGWS_JWT_SECRET": secret}, []string{"--claim", "name"}, "name"},
		"a claim without a name":  {env{"PGWS_JWT_SECRET": secret}, []string{"--claim", "=value"}, "=value"},
		"a time below zero":       {env{"PGWS_JWT_SECRET": secret}, []string{"--ttl=-1h"}, "time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := run(t, tc.settings, append([]string{"token"}, tc.arguments...)...)
			if status == 0 || stdout != "" || !strings.Contains(stderr, tc.named) {
				t.Errorf("status %d, standard output %q, standard error %q, which should name %s", status, stdout, stderr, tc.named)
			}
		})
	}
}
