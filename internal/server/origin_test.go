package server

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	allowed := Origins{"https://app.example.com", "https://*.example.org", "http://localhost:8080", "https://*.example.net:8443"}
	for origin, want := range map[string]bool{
		"":                                   true, // no browser
		"https://app.example.com":            true,
		"https://a.example.org":              true,
		"https://a.b.example.org":            true,
		"http://localhost:8080":              true,
		"https://a.example.net:8443":         true,
		"null":                               false,
		"http://app.example.com":             false,
		"https://app.example.com:8443":       false,
		"https://app.example.com.evil.test":  false,
		"https://evil.test/app.example.com":  false,
		"https://APP.example.com":            false, // no browser writes it so
		"https://example.com":                false,
		"https://x.app.example.com":          false,
		"https://example.org":                false,
		"https://.example.org":               false,
		"https://evilexample.org":            false,
		"http://a.example.org":               false,
		"https://a.example.org:8443":         false,
		"https://a.example.org.evil.test":    false,
		"http://localhost":                   false,
		"https://a.example.net":              false,
		"https://app.example.com, null":      false,
		"https://*.example.org":              true, // is none, and gets what its like get
		"chrome-extension://app.example.com": false,
	} {
		r := &http.Request{Header: http.Header{"Origin": {origin}}}
		if got := allowed.allow(r); got != want {
			t.Errorf("%q: allowed %v", origin, got)
		}
		if !Origins(nil).allow(r) {
			t.Errorf("%q is not allowed where any is", origin)
		}
	}
}

// TestSharing has what a browser is told of an answer, good or bad.
func TestSharing(t *testing.T) {
	t.Parallel()
	const ours, others = "https://app.example.com", "https://evil.test"
	open := newRig(t, nil).serveAll(t)
	closed := newRig(t, func(o *Options) { o.AllowedOrigins = Origins{ours} }).serveAll(t)
	cookies := newRig(t, func(o *Options) { o.AllowedOrigins, o.TokenCookie = Origins{ours}, "tok" }).serveAll(t)
	methods := map[string]string{"Methods": "GET, POST", "Headers": "Authorization, Content-Type, Last-Event-ID", "Max-Age": "600"}
	anybody := map[string]string{"Origin": "*", "Expose": "Retry-After"}
	one := map[string]string{"Origin": ours, "Expose": "Retry-After", "Vary": "Origin"}
	with := func(these map[string]string, more ...string) map[string]string {
		both := maps.Clone(these)
		for i := 0; i < len(more); i += 2 {
			both[more[i]] = more[i+1]
		}
		return both
	}
	ask := "Access-Control-Request-Method: POST\r\n"
	for name, test := range map[string]struct {
		r                       *rig
		method, origin, headers string
		status                  int
		want                    map[string]string
	}{
		"any, asks":            {open, "OPTIONS", others, ask, 204, with(anybody, "Methods", methods["Methods"], "Headers", methods["Headers"], "Max-Age", methods["Max-Age"])},
		"any, POST":            {open, "POST", others, "", 401, anybody},
		"any, events":          {open, "GET", others, askEvents, 401, anybody},
		"one, asks":            {closed, "OPTIONS", ours, ask, 204, with(one, "Methods", methods["Methods"], "Headers", methods["Headers"], "Max-Age", methods["Max-Age"])},
		"one, POST":            {closed, "POST", ours, "", 401, one},
		"one, events":          {closed, "GET", ours, askEvents, 401, one},
		"another asks":         {closed, "OPTIONS", others, ask, 403, map[string]string{"Vary": "Origin"}},
		"another, POST":        {closed, "POST", others, "", 403, map[string]string{"Vary": "Origin"}},
		"another, events":      {closed, "GET", others, askEvents, 403, map[string]string{"Vary": "Origin"}},
		"no page, POST":        {closed, "POST", "", "", 401, map[string]string{"Vary": "Origin"}},
		"cookies":              {cookies, "POST", ours, "", 401, with(one, "Credentials", "true")},
		"cookies, another":     {cookies, "POST", others, "Cookie: tok=x\r\n", 403, map[string]string{"Vary": "Origin"}},
		"asks for nothing":     {open, "OPTIONS", others, "", 404, map[string]string{}},
		"asks from nowhere":    {open, "OPTIONS", "", ask, 404, map[string]string{}},
		"a file of this place": {closed, "GET", others, "", 404, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := test.headers
			if test.origin != "" {
				headers += "Origin: " + test.origin + "\r\n"
			}
			response := test.r.connect(t).ask(t, test.method+" /a HTTP/1.1\r\nHost: x\r\n"+headers+"\r\n")
			if response.StatusCode != test.status {
				t.Errorf("status %s", response.Status)
			}
			got := map[string]string{}
			for header, values := range response.Header {
				if short, ok := strings.CutPrefix(header, "Access-Control-"); ok {
					short = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(short, "Allow-"), "-Headers"), "-Header")
					got[short] = strings.Join(values, ", ")
				}
			}
			if vary := response.Header.Values("Vary"); slices.Contains(vary, "Origin") {
				got["Vary"] = "Origin"
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
