package pgws_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
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

// TestEveryOptionCounts sets each number to something no setting allows: one
// that is not handed on would go unnoticed.
func TestEveryOptionCounts(t *testing.T) {
	t.Parallel()
	options := reflect.TypeFor[pgws.Options]()
	for i := range options.NumField() {
		field := options.Field(i)
		t.Run(field.Name, func(t *testing.T) {
			t.Parallel()
			o := pgws.Options{DatabaseURI: "host=x", Secret: secret, Log: slog.New(slog.DiscardHandler)}
			value := reflect.ValueOf(&o).Elem().Field(i)
			switch field.Type {
			case reflect.TypeFor[int]():
				value.SetInt(-7)
			case reflect.TypeFor[time.Duration]():
				value.SetInt(int64(-7 * time.Millisecond))
			default:
				return
			}
			if _, err := pgws.New(o); err == nil || !strings.Contains(err.Error(), "-7") {
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
