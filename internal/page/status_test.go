package page_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"pgws/internal/page"
	"pgws/internal/page/browsertest"
)

func TestStatusAnswers(t *testing.T) {
	t.Parallel()
	ready := func() error { return nil }
	away := func() error { return errors.New("dial postgres://secret@db") }
	tests := map[string]struct {
		method, path string
		ready        func() error
		header       []string // One name and value.
		status       int
		contains     string
	}{
		"ready":             {"GET", "/", ready, nil, 200, "Running, ready."},
		"not ready":         {"GET", "/", away, nil, 200, "Running, not ready"},
		"the version":       {"GET", "/", ready, nil, 200, "1.2.3 &lt;b&gt;"},
		"how to connect":    {"GET", "/", ready, nil, 200, "ws://pgws.example:3000/CHANNEL/TOKEN"},
		"behind a proxy":    {"GET", "/", ready, []string{"X-Forwarded-Proto", "https"}, 200, "wss://pgws.example:3000/CHANNEL/TOKEN"},
		"its head":          {"HEAD", "/", ready, nil, 200, ""},
		"a post":            {"POST", "/", ready, nil, 405, "Method Not Allowed"},
		"any other path":    {"GET", "/index.html", ready, nil, 404, "404 page not found"},
		"no demo page here": {"GET", "/.pgws/main.js", ready, nil, 404, "404 page not found"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
			r.Host = "pgws.example:3000"
			if tt.header != nil {
				r.Header.Set(tt.header[0], tt.header[1])
			}
			w := httptest.NewRecorder()
			page.Status(page.StatusOptions{Version: "1.2.3 <b>", Ready: tt.ready}).ServeHTTP(w, r)
			body := w.Body.String()
			if w.Code != tt.status || !strings.Contains(body, tt.contains) {
				t.Errorf("answer %d, want %d with %q:\n%s", w.Code, tt.status, tt.contains, body)
			}
			if strings.Contains(body, "secret") {
				t.Error("the page shows why it is not ready")
			}
			if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") {
				t.Errorf("the policy is %s", policy)
			}
		})
	}
}

// The browser fails this test when the policy's hash does not let the style through.
func TestStatusInTheBrowser(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(page.Status(page.StatusOptions{Version: "1.2.3", Ready: func() error { return nil }}))
	t.Cleanup(server.Close)
	p := browsertest.Open(t, server.URL)
	if got := browsertest.Eval[string](p, `getComputedStyle(document.querySelector("main")).borderRadius`); got != "14px" {
		t.Errorf("the style is not in use: border radius %s", got)
	}
	if got := browsertest.Eval[string](p, `document.querySelector("#state").dataset.ready`); got != "true" {
		t.Errorf("data-ready is %q", got)
	}
	p.Theme("dark")
	p.Size(390, 844, 1)
	p.Want(`document.documentElement.scrollWidth <= 390`)
}
