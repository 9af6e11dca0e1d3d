package page_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/page"
)

func TestTokenSigning(t *testing.T) {
	t.Parallel()
	demo := page.Demo(demoOptions())
	const json = "application/json"
	tests := map[string]struct {
		host, contentType string
		header            []string // One name and value.
		body              string
		status            int
		answer            string // How the body begins.
	}{
		"claims":                     {"localhost:3000", json, nil, `{"mode":"rw"}`, 200, `{"token":"eyJtb2RlIjoicncifQ"}`},
		"with a charset":             {"localhost:3000", json + "; charset=utf-8", nil, `{}`, 200, `{"token":"e30"}`},
		"from the page itself":       {"127.0.0.1:3000", json, []string{"Origin", "http://127.0.0.1:3000"}, `{}`, 200, `{"token":"e30"}`},
		"said to be the same origin": {"localhost", json, []string{"Sec-Fetch-Site", "same-origin"}, `{}`, 200, `{"token":"e30"}`},
		"from another site":          {"localhost", json, []string{"Sec-Fetch-Site", "cross-site"}, `{}`, 403, "cross-origin request"},
		"from a site beside it":      {"localhost", json, []string{"Sec-Fetch-Site", "same-site"}, `{}`, 403, "cross-origin request"},
		"from another port":          {"localhost:3000", json, []string{"Origin", "http://localhost:8080"}, `{}`, 403, "cross-origin request"},
		"by a rebound name":          {"evil.example", json, []string{"Origin", "http://evil.example"}, `{}`, 403, "The demo page answers only as localhost"},
		"as a form":                  {"localhost", "text/plain", nil, `{}`, 415, "The content type must be application/json."},
		"of no type":                 {"localhost", "", nil, `{}`, 415, "The content type must be application/json."},
		"not JSON":                   {"localhost", json, nil, `{"mode"`, 400, "The claims are not a JSON object: unexpected end"},
		"JSON, not an object":        {"localhost", json, nil, `[1]`, 400, "The claims are not a JSON object: "},
		"null":                       {"localhost", json, nil, `null`, 400, "The claims are not a JSON object: null."},
		"nothing":                    {"localhost", json, nil, ``, 400, "The claims are not a JSON object: "},
		"what the signer refuses":    {"localhost", json, nil, `{"unsignable":1}`, 400, "The claims cannot be signed: this claim has the wrong type"},
		"as large as is allowed":     {"localhost", json, nil, `{}` + strings.Repeat(" ", 8<<10-2), 200, `{"token":"`},
		"too large":                  {"localhost", json, nil, `{}` + strings.Repeat(" ", 8<<10-1), 413, "The claims are larger than 8 kB."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/.pgws/token", strings.NewReader(tt.body))
			r.Host = tt.host
			r.Header.Set("Content-Type", tt.contentType)
			if tt.header != nil {
				r.Header.Set(tt.header[0], tt.header[1])
			}
			w := httptest.NewRecorder()
			demo.ServeHTTP(w, r)
			answer := w.Body.String()
			if w.Code != tt.status || !strings.HasPrefix(answer, tt.answer) {
				t.Errorf("answer %d %s, want %d %s…", w.Code, answer, tt.status, tt.answer)
			}
			want := map[bool]string{true: json, false: "text/plain; charset=utf-8"}[tt.status == 200]
			if diff := cmp.Diff([]string{want, "no-store"}, []string{w.Header().Get("Content-Type"), w.Header().Get("Cache-Control")}); diff != "" {
				t.Errorf("Content-Type, Cache-Control (-want +got):\n%s", diff)
			}
		})
	}
}
