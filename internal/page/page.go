// Package page holds the two pages that pgws itself shows: the demo of `pgws dev` and the small status page of a server
// that serves no files of its own.
//
// Both are plain handlers without state, safe for concurrent use. Everything they send is embedded: no CDN, no build
// step. Of this module the package imports the JavaScript client alone.
package page

import (
	"bytes"
	"html/template"
	"net/http"
)

// secured sets the headers that every answer of this package carries, refusals included. policy is the
// Content-Security-Policy for a request.
func secured(next http.Handler, policy func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy(r))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// render answers with the page made from t and data. The page is made in memory first, so that a failing template
// becomes an honest 500 and not half a page.
func render(w http.ResponseWriter, t *template.Template, data any) {
	var page bytes.Buffer
	if err := t.Execute(&page, data); err != nil {
		http.Error(w, "page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	send(w, page.Bytes())
}

// send writes the body of an answer. A write fails only when the browser has gone, and then there is nobody to tell.
func send(w http.ResponseWriter, body []byte) {
	_, _ = w.Write(body)
}
