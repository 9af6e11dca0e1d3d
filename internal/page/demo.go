package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"time"

	js "pgws/clients/js"
)

//go:embed demo
var demoFiles embed.FS

var demoTemplate = template.Must(template.ParseFS(demoFiles, "demo/index.html"))

// DemoOptions say what the demo page shows and who signs its tokens.
type DemoOptions struct {
	// ListenChannel is the database channel that the server LISTENs to: the first argument of pg_notify.
	ListenChannel string
	// MetaChannel is the websocket channel of server events. Empty: the page says that there is none.
	MetaChannel string
	// Sign makes a token out of a JSON object of claims. It is called concurrently. The page shows the text of its error
	// to the user, so the error must hold no secret.
	Sign func(claims []byte) (token string, err error)
	// Psql is a line that opens psql on the server's database, ready for a shell.
	Psql string
	// Version of the server.
	Version string
}

// DemoPrefix is the beginning of the paths that are the demo page's own, whatever the method.
const DemoPrefix = "/.pgws/"

// Demo is the page of `pgws dev`: GET /, its assets under /.pgws/, and POST /.pgws/token, which answers
// {"token":"…"} for a posted JSON object of claims of at most 8 kB. Any other path is 404.
//
// It signs whatever it is asked to, so it answers only requests that no foreign site can have made: to localhost or an
// IP address by name (a name could be rebound by its owner), and never from another origin.
func Demo(o DemoOptions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { render(w, demoTemplate, o) })
	mux.Handle("POST "+DemoPrefix+"token", token(o.Sign))
	for name, serve := range demoAssets() {
		mux.Handle("GET "+DemoPrefix+name, serve)
	}
	return secured(localOnly(http.NewCrossOriginProtection().Handler(mux)), demoPolicy)
}

// demoPolicy allows what the page needs: its own files, and a websocket or fetch to the host it came from. Trusted types are
// demanded and none is defined, so that no script can turn a string into markup.
func demoPolicy(r *http.Request) string {
	connect := "'self'"
	if isLocal(r.Host) {
		// Some browsers do not count a websocket to the same host as 'self'.
		connect += " ws://" + r.Host + " wss://" + r.Host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src " + connect +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r.Host) {
			http.Error(w, "The demo page answers only as localhost or by an IP address, because it signs tokens for whoever asks.",
				http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal reports whether host, of the form name or name:port, is localhost or an IP literal.
func isLocal(host string) bool {
	u, err := url.Parse("http://" + host)
	if err != nil || u.Host != host {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.Zone() == ""
}

// demoAssets holds a handler for each embedded file but the page itself, and for the client that npm has too, by name.
func demoAssets() map[string]http.Handler {
	entries, err := demoFiles.ReadDir("demo")
	if err != nil {
		panic("page: reading the embedded demo: " + err.Error())
	}
	contentTypes := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	assets := make(map[string]http.Handler)
	for _, entry := range entries {
		contentType, isAsset := contentTypes[path.Ext(entry.Name())]
		if !isAsset {
			continue
		}
		body, err := demoFiles.ReadFile("demo/" + entry.Name())
		if err != nil {
			panic("page: reading the embedded demo: " + err.Error())
		}
		assets[entry.Name()] = asset(contentType, body)
	}
	assets["pgws.js"] = asset(contentTypes[".js"], js.Source)
	return assets
}

// asset serves an embedded file. A browser keeps it and asks each time whether it is still good.
func asset(contentType string, body []byte) http.Handler {
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(body))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
}
