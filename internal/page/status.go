package page

import (
	"crypto/sha256"
	_ "embed" // The page and its style are embedded as strings.
	"encoding/base64"
	"html/template"
	"net/http"
)

//go:embed status/index.html
var statusHTML string

//go:embed status/page.css
var statusCSS string

var statusTemplate = template.Must(template.New("status").Parse(statusHTML))

// StatusOptions say what the status page shows.
type StatusOptions struct {
	// Version of the server.
	Version string
	// Ready returns nil while the server can deliver messages. It is called concurrently. Its error is not shown.
	Ready func() error
}

// Status is the small page at / of a server that serves no files of its own: name, version, whether it is ready, how to
// connect. Any other path is 404.
func Status(o StatusOptions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		render(w, statusTemplate, struct {
			Version, Address string
			Ready            bool
			Style            template.CSS
		}{
			Version: o.Version,
			Address: websocketScheme(r) + "://" + r.Host,
			Ready:   o.Ready() == nil,
			Style:   template.CSS(statusCSS), //nolint:gosec // The style is embedded: nobody else has a say in it.
		})
	})
	// The style stands in the page, because this server has no other path to give it by. Its hash lets it through.
	hash := sha256.Sum256([]byte(statusCSS))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return secured(mux, func(*http.Request) string { return policy })
}

// websocketScheme is what the browser must use to reach the server by the way this request came. A proxy that ends
// TLS says so in X-Forwarded-Proto; nothing but the text of the page depends on it.
func websocketScheme(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "wss"
	}
	return "ws"
}
