package pgws_test

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pgws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options pgws.Options
		want    string
	}{
		"nothing":      {pgws.Options{}, "PGWS_DB_URI"},
		"no secret":    {pgws.Options{DatabaseURI: "host=x"}, "PGWS_JWT_SECRET"},
		"short secret": {pgws.Options{DatabaseURI: "host=x", Secret: "short"}, "PGWS_JWT_SECRET"},
		"negative":     {pgws.Options{DatabaseURI: "host=x", Secret: secret, PoolSize: -1}, "PGWS_POOL_SIZE"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := pgws.New(test.options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s named", err, test.want)
			}
		})
	}
}

// TestEveryOptionCounts sets each option to something that no setting allows, or at
// least to something: one that is not handed on would go unnoticed.
func TestEveryOptionCounts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	wrong := map[string]string{ // Of options that are texts.
		"DatabaseURI": "postgres://[::1/", "Secret": "short", "SecretFallback": "short", "ClaimMode": "mode", "ClaimChannels": "channels", "DefaultMode": "x",
		"ListenChannel": long, "TokenCookie": "a b", "AdminAddress": "x",
	}
	free := []string{"Audience", "Issuer", "MetaChannel"} // Of which each value is allowed.
	options := reflect.TypeFor[pgws.Options]()
	for i := range options.NumField() {
		field := options.Field(i)
		t.Run(field.Name, func(t *testing.T) {
			t.Parallel()
			o := pgws.Options{DatabaseURI: "host=x", Secret: secret, Log: slog.New(slog.DiscardHandler)}
			value := reflect.ValueOf(&o).Elem().Field(i)
			before, want := o.Values(), ""
			switch field.Type {
			case reflect.TypeFor[int]():
				value.SetInt(-7)
				want = "-7"
			case reflect.TypeFor[time.Duration]():
				value.SetInt(int64(-7 * time.Millisecond))
				want = "-7"
			case reflect.TypeFor[bool]():
				value.SetBool(true)
			case reflect.TypeFor[[]string]():
				value.Set(reflect.ValueOf([]string{"https://a", "https://b/"}))
				want = "https://b/"
			case reflect.TypeFor[string]():
				value.SetString(long)
				if text, ok := wrong[field.Name]; ok {
					value.SetString(text)
					want = "PGWS_"
				} else if !slices.Contains(free, field.Name) {
					t.Fatal("an option that this test does not know")
				}
			default:
				return // Log.
			}
			if maps.Equal(before, o.Values()) {
				t.Error("is not handed on")
			}
			if _, err := pgws.New(o); want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestBeforeRun opens a websocket before the server runs, and after it has ended.
func TestBeforeRun(t *testing.T) {
	t.Parallel()
	server, err := pgws.New(pgws.Options{DatabaseURI: "host=127.0.0.1 port=1", Secret: secret, Retries: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	refused := func() int {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/chat/token", nil)
		request.Header.Set("Upgrade", "websocket")
		recorded := httptest.NewRecorder()
		server.Handler().ServeHTTP(recorded, request)
		return recorded.Code
	}
	if status := refused(); status != http.StatusServiceUnavailable {
		t.Errorf("before Run: %d", status)
	}
	if err := server.Run(context.Background()); err == nil {
		t.Error("runs without a database")
	}
	if status := refused(); status != http.StatusServiceUnavailable {
		t.Errorf("after Run: %d", status)
	}
	if err := server.Ready(); err == nil {
		t.Error("ready")
	}
}
