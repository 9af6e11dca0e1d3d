package contract_test

import (
	"net/http"
	"strings"
	"testing"
)

const page = "https://app.example.com" // the origin of the pages that guarded allows

// Where origins are set, the pages of others open nothing, by whichever transport, and are told so in plain text.
func TestOrigins(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_ALLOWED_ORIGINS": "https://app.example.com, https://*.pages.example.org http://localhost:8080"})
	anyone := start(t, nil)
	for origin, allowed := range map[string]bool{
		"":                                                 true, // no browser's
		"https://app.example.com":                          true,
		"https://a.pages.example.org":                      true,
		"https://b.a.pages.example.org":                    true,
		"http://localhost:8080":                            true,
		"null":                                             false,
		"http://app.example.com":                           false,
		"https://app.example.com:8443":                     false,
		"https://app.example.com.evil.io":                  false,
		"https://evil.io":                                  false,
		"https://example.com":                              false,
		"https://www.app.example.com":                      false,
		"https://pages.example.org":                        false,
		"https://.pages.example.org":                       false,
		"https://evilpages.example.org":                    false,
		"http://a.pages.example.org":                       false,
		"https://a.pages.example.org:444":                  false,
		"https://a.pages.example.org.io":                   false,
		"http://localhost":                                 false,
		"https://app.example.com, https://app.example.com": false,
		"file://":                                          false,
	} {
		for _, tr := range transports {
			t.Run(tr.name+" "+origin, func(t *testing.T) {
				t.Parallel()
				a := attempt{transport: tr, channel: "chat", address: "/chat"}
				byHeader(&a, token(`{"mode":"rw","channel":"chat"}`))
				if origin != "" {
					a.add("Origin", origin)
				}
				a.succeeds(t, anyone)
				if allowed {
					a.succeeds(t, s)
				} else {
					a.fails(t, s, refused{http.StatusForbidden, "Error: this origin is not allowed", true})
				}
			})
		}
	}
}

// succeeds carries an attempt out until it is granted.
func (a attempt) succeeds(t *testing.T, s *server) {
	t.Helper()
	if a.way != websocket {
		if got := s.ask(t, a.request()); got.status != http.StatusOK {
			t.Errorf("answered %d: %s", got.status, got.text())
		}
		return
	}
	c := &v1Client{client: a.upgraded(t, s)}
	if !a.v1 {
		return
	}
	if ready := c.hear(); ready.Op != "ready" { // Without a token it would be opened, too.
		t.Errorf("got %+v, want ready", ready)
	}
}

// A page may read the answers that it may have, refusals too, and with a cookie where there is one.
func TestSharing(t *testing.T) {
	t.Parallel()
	anyone, some, cookies := start(t, nil), start(t, env{"PGWS_ALLOWED_ORIGINS": page}), start(t, guarded(nil))
	headers := func(origin, credentials, exposed, vary string) http.Header {
		return http.Header{"Access-Control-Allow-Origin": {origin}, "Access-Control-Allow-Credentials": {credentials},
			"Access-Control-Expose-Headers": {exposed}, "Vary": {vary}}
	}
	all, none := headers("*", "", "Retry-After", ""), headers("", "", "", "Origin")
	this, cookie := headers(page, "", "Retry-After", "Origin"), headers(page, "true", "Retry-After", "Origin")
	for name, tc := range map[string]struct {
		server *server
		origin string
		want   http.Header
	}{
		"any origin, a page":     {anyone, page, all},
		"any origin, no page":    {anyone, "", all},
		"any origin, null":       {anyone, "null", all},
		"some, an allowed page":  {some, page, this},
		"some, another":          {some, "https://evil.io", none},
		"some, no page":          {some, "", none},
		"with a cookie":          {cookies, page, cookie},
		"with a cookie, another": {cookies, "https://evil.io", none},
	} {
		for _, tr := range transports {
			if tr.way == websocket {
				continue // Pages of any origin may read a websocket: it is for the server to refuse it.
			}
			for kind, claims := range map[string]string{"good": `{"mode":"rw"}`, "expired": `{"mode":"rw","exp":1}`, "no mode": `{}`} {
				t.Run(name+", "+tr.name+", "+kind, func(t *testing.T) {
					t.Parallel()
					a := attempt{transport: tr, channel: "chat", address: "/chat"}
					byHeader(&a, token(claims))
					if tc.origin != "" {
						a.add("Origin", tc.origin)
					}
					got := tc.server.ask(t, a.request())
					got.expectHeaders(tc.want)
				})
			}
		}
	}
}

// expectHeaders wants headers to have these values; those with an empty one are not there.
func (a *answer) expectHeaders(want http.Header) {
	a.t.Helper()
	for name, values := range want {
		if got := strings.Join(a.header.Values(name), "; "); got != strings.Join(values, "; ") {
			a.t.Errorf("%d with %s: %q, want %q", a.status, name, got, values)
		}
	}
}

// A browser asks first whether a page of another origin may; the same address is a file for all others.
func TestPreflight(t *testing.T) {
	t.Parallel()
	anyone, some, cookies := start(t, nil), start(t, env{"PGWS_ALLOWED_ORIGINS": page}), start(t, guarded(nil))
	granted := http.Header{
		"Access-Control-Allow-Methods": {"GET, POST"},
		"Access-Control-Allow-Headers": {"Authorization, Content-Type, Last-Event-ID"},
		"Access-Control-Max-Age":       {"600"},
		"Access-Control-Allow-Origin":  {page},
		"Vary":                         {"Origin"},
	}
	denied := http.Header{
		"Access-Control-Allow-Methods": nil, "Access-Control-Allow-Headers": nil, "Access-Control-Allow-Origin": nil,
		"Access-Control-Allow-Credentials": nil, "Access-Control-Max-Age": nil,
	}
	with := func(h http.Header, name string, values ...string) http.Header {
		h = h.Clone()
		h[name] = values
		return h
	}
	for name, tc := range map[string]struct {
		server *server
		origin string
		method string // that the browser asks for
		status int    // 0: as a page answers that is not there, or does not know the method
		want   http.Header
	}{
		"any origin":        {anyone, page, "POST", 204, with(with(granted, "Access-Control-Allow-Origin", "*"), "Vary")},
		"an allowed page":   {some, page, "POST", 204, with(granted, "Access-Control-Allow-Credentials")},
		"for GET":           {some, page, "GET", 204, granted},
		"for DELETE":        {some, page, "DELETE", 204, granted}, // The browser reads that it is not among them.
		"with a cookie":     {cookies, page, "POST", 204, with(granted, "Access-Control-Allow-Credentials", "true")},
		"another page":      {some, "https://evil.io", "POST", 403, with(denied, "Vary", "Origin")},
		"another, a cookie": {cookies, "null", "POST", 403, with(denied, "Vary", "Origin")},
		"no page":           {anyone, "", "POST", 0, denied},
		"no question":       {anyone, page, "", 0, denied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, target := range []string{"/", "/chat", "/chat/" + token(anybody), "/chat?protocol=pgws.v1"} {
				r := request{method: http.MethodOptions, target: target}
				if tc.origin != "" {
					r = r.with("Origin", tc.origin)
				}
				if tc.method != "" {
					r = r.with("Access-Control-Request-Method", tc.method).with("Access-Control-Request-Headers", "authorization")
				}
				got := tc.server.ask(t, r)
				body := got.text()
				if tc.status == 0 && (got.status == 404 || got.status == 405) {
					got.status = 0
				}
				if got.status != tc.status || tc.status == 204 && body != "" {
					t.Errorf("%s is answered %d %q", target, got.status, body)
				}
				got.expectHeaders(tc.want)
			}
		})
	}
}

// A browser sends a cookie for whichever page asks: it counts only where the page is known to be an allowed one.
func TestCookies(t *testing.T) {
	t.Parallel()
	s, without := start(t, guarded(nil)), start(t, env{"PGWS_ALLOWED_ORIGINS": page})
	good := token(`{"mode":"rw","channel":"chat"}`)
	noToken := refused{http.StatusUnauthorized, "Error: …", false}
	noOrigin := refused{http.StatusForbidden, "Error: this origin is not allowed", true}
	for name, tc := range map[string]struct {
		server  *server
		headers [][2]string
		good    bool
		want    refused
	}{
		"no browser":             {s, [][2]string{}, true, refused{}},
		"an allowed page":        {s, [][2]string{{"Origin", page}}, true, refused{}},
		"and of the same site":   {s, [][2]string{{"Origin", page}, {"Sec-Fetch-Site", "same-site"}}, true, refused{}},
		"and of another site":    {s, [][2]string{{"Origin", page}, {"Sec-Fetch-Site", "cross-site"}}, true, refused{}},
		"our own page":           {s, [][2]string{{"Sec-Fetch-Site", "same-origin"}}, true, refused{}},
		"the address bar":        {s, [][2]string{{"Sec-Fetch-Site", "none"}}, true, refused{}},
		"another page":           {s, [][2]string{{"Origin", "https://evil.io"}}, false, noOrigin},
		"null":                   {s, [][2]string{{"Origin", "null"}}, false, noOrigin},
		"nameless, another site": {s, [][2]string{{"Sec-Fetch-Site", "cross-site"}}, false, noToken},
		"nameless, the same":     {s, [][2]string{{"Sec-Fetch-Site", "same-site"}}, false, noToken},
		"no cookie is read":      {without, [][2]string{{"Origin", page}}, false, noToken},
	} {
		for _, tr := range transports {
			t.Run(name+", "+tr.name, func(t *testing.T) {
				t.Parallel()
				a := attempt{transport: tr, channel: "chat", address: "/chat"}
				byCookie(&a, good)
				for _, header := range tc.headers {
					a.add(header[0], header[1])
				}
				switch {
				case tc.good:
					a.succeeds(t, tc.server)
				case tc.want.status == http.StatusUnauthorized && canAuth(tr):
					c := &v1Client{client: a.upgraded(t, tc.server)} // It waits for a token; this is none.
					c.send(`{"id":1,` + subscribing("chat") + `}`)
					c.expectTurnedAway(3000)
				default:
					a.fails(t, tc.server, tc.want)
				}
			})
		}
	}
}
