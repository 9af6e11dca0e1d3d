package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/page"
)

func TestDemoAnswers(t *testing.T) {
	t.Parallel()
	demo := page.Demo(demoOptions())
	tests := map[string]struct {
		method, host, path string
		status             int
		contentType, allow string
	}{
		"the page":                    {"GET", "localhost:3000", "/", 200, "text/html; charset=utf-8", ""},
		"the page, its head":          {"HEAD", "localhost:3000", "/", 200, "text/html; charset=utf-8", ""},
		"the page by IPv4":            {"GET", "127.0.0.1:3000", "/", 200, "text/html; charset=utf-8", ""},
		"the page by IPv6":            {"GET", "[::1]:3000", "/", 200, "text/html; charset=utf-8", ""},
		"the page without a port":     {"GET", "192.168.1.2", "/", 200, "text/html; charset=utf-8", ""},
		"the page by a name":          {"GET", "evil.example:3000", "/", 403, "text/plain; charset=utf-8", ""},
		"a host that is policy":       {"GET", "localhost:1;script-src", "/", 403, "text/plain; charset=utf-8", ""},
		"a name that begins locally":  {"GET", "127.0.0.1.evil.example", "/", 403, "text/plain; charset=utf-8", ""},
		"no host":                     {"GET", "", "/", 403, "text/plain; charset=utf-8", ""},
		"a script":                    {"GET", "localhost", "/.pgws/main.js", 200, "text/javascript; charset=utf-8", ""},
		"the client that npm has":     {"GET", "localhost", "/.pgws/pgws.js", 200, "text/javascript; charset=utf-8", ""},
		"the style":                   {"GET", "localhost", "/.pgws/page.css", 200, "text/css; charset=utf-8", ""},
		"the icon":                    {"HEAD", "localhost", "/.pgws/icon.svg", 200, "image/svg+xml", ""},
		"the template is no asset":    {"GET", "localhost", "/.pgws/index.html", 404, "text/plain; charset=utf-8", ""},
		"an unknown asset":            {"GET", "localhost", "/.pgws/none.js", 404, "text/plain; charset=utf-8", ""},
		"an unknown path":             {"GET", "localhost", "/chat/token", 404, "text/plain; charset=utf-8", ""},
		"posting to the page":         {"POST", "localhost", "/", 405, "text/plain; charset=utf-8", "GET, HEAD"},
		"deleting an asset":           {"DELETE", "localhost", "/.pgws/main.js", 405, "text/plain; charset=utf-8", "GET, HEAD"},
		"a token is not to be gotten": {"GET", "localhost", "/.pgws/token", 405, "text/plain; charset=utf-8", "POST"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
			r.Host = tt.host
			w := httptest.NewRecorder()
			demo.ServeHTTP(w, r)
			got := []any{w.Code, w.Header().Get("Content-Type"), w.Header().Get("Allow")}
			if diff := cmp.Diff([]any{tt.status, tt.contentType, tt.allow}, got); diff != "" {
				t.Errorf("status, Content-Type, Allow (-want +got):\n%s", diff)
			}
			policy := w.Header().Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"} {
				if !strings.Contains(policy, part) {
					t.Errorf("the policy lacks %s: %s", part, policy)
				}
			}
			if connects := strings.Contains(policy, "ws://"+tt.host+" wss://"+tt.host+";"); connects != (tt.status != 403) {
				t.Errorf("the policy for %s: %s", tt.host, policy)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("headers are missing: %v", w.Header())
			}
		})
	}
}

func TestDemoCaching(t *testing.T) {
	t.Parallel()
	demo := page.Demo(demoOptions())
	get := func(path, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost"+path, nil)
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
		w := httptest.NewRecorder()
		demo.ServeHTTP(w, r)
		return w
	}
	if got := get("/", "").Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of the page is %q, want no-store", got)
	}
	first := get("/.pgws/main.js", "")
	if got := first.Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control of an asset is %q, want no-cache", got)
	}
	if again := get("/.pgws/main.js", first.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("an asset that the browser has: status %d, want 304", again.Code)
	}
}

func TestDemoEscapesItsOptions(t *testing.T) {
	t.Parallel()
	o := demoOptions()
	o.ListenChannel = `"><script>alert(1)</script>`
	o.Psql = `psql '<b>'`
	w := httptest.NewRecorder()
	page.Demo(o).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/", nil))
	if body := w.Body.String(); strings.Contains(body, "<script>alert") || strings.Contains(body, "<b>") {
		t.Error("an option stands in the page as markup")
	}
}
