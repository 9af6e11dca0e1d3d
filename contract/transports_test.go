package contract_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A source is a place that a token comes from.
type source struct {
	name    string
	address string // CHANNEL and TOKEN stand for themselves
	fits    func(transport) bool
	carry   func(a *attempt, token string)
}

func always(transport) bool { return true }

var sources = []source{
	{"/CHANNEL/TOKEN", "/CHANNEL/TOKEN", always, func(*attempt, string) {}},
	{"/TOKEN", "/TOKEN", always, func(*attempt, string) {}},
	{"header, /CHANNEL", "/CHANNEL", always, byHeader},
	{"header, /", "/", always, byHeader},
	{"subprotocol, /CHANNEL", "/CHANNEL", canOffer, bySubprotocol},
	{"subprotocol, /", "/", canOffer, bySubprotocol},
	{"cookie, /CHANNEL", "/CHANNEL", always, byCookie},
	{"cookie, /", "/", always, byCookie},
	{"first message, /CHANNEL", "/CHANNEL", canAuth, byMessage},
	{"first message, /", "/", canAuth, byMessage},
}

func byHeader(a *attempt, token string)      { a.add("Authorization", "Bearer "+token) }
func byCookie(a *attempt, token string)      { a.add("Cookie", "theme=dark; pgws_token="+token) }
func bySubprotocol(a *attempt, token string) { a.bearers = append(a.bearers, "pgws.bearer."+token) }
func byMessage(a *attempt, token string)     { a.first = token }

func canOffer(tr transport) bool { return tr.subprotocol != "" }
func canAuth(tr transport) bool  { return tr.subprotocol == "pgws.v1" }

func (a *attempt) add(name, value string) {
	if a.header = a.header.Clone(); a.header == nil {
		a.header = http.Header{}
	}
	a.header.Add(name, value)
}

// namesChannel tells whether a source's address does.
func (src source) namesChannel() bool { return strings.Contains(src.address, "CHANNEL") }

func (src source) attempt(tr transport, channel, token string) attempt {
	a := attempt{transport: tr, channel: channel}
	a.address = strings.NewReplacer("CHANNEL", url.PathEscape(channel), "TOKEN", token).Replace(src.address)
	src.carry(&a, token)
	return a
}

// everywhere runs a test for each transport with each source that it has, all at once. The channel is the test's own.
func everywhere(t *testing.T, test func(t *testing.T, tr transport, src source, channel string)) {
	t.Helper()
	for i, tr := range transports {
		for j, src := range sources {
			if src.fits(tr) {
				t.Run(tr.name+", "+src.name, func(t *testing.T) {
					t.Parallel()
					test(t, tr, src, fmt.Sprintf("chat-%d-%d", i, j))
				})
			}
		}
	}
}

// guarded are settings under which a cookie is read, too.
func guarded(more env) env {
	settings := env{"PGWS_ALLOWED_ORIGINS": "https://app.example.com", "PGWS_TOKEN_COOKIE": "pgws_token"}
	maps.Copy(settings, more)
	return settings
}

// A good token opens every transport, wherever it comes from.
func TestEveryWayIn(t *testing.T) {
	t.Parallel()
	s := start(t, guarded(nil))
	everywhere(t, func(t *testing.T, tr transport, src source, channel string) {
		src.attempt(tr, channel, token(`{"mode":"rw","channel":"`+channel+`"}`)).works(t, s)
	})
}

// A bad token opens none, and each transport says in its words why.
func TestEveryRefusal(t *testing.T) {
	t.Parallel()
	s := start(t, guarded(nil))
	const unauthorized, forbidden = http.StatusUnauthorized, http.StatusForbidden
	anyway := func(transport, source) bool { return true }
	cases := map[string]struct {
		token func(channel string) string
		want  refused
		where func(transport, source) bool
	}{
		"malformed": {func(string) string { return base64URL([]byte(`{"alg":"HS256"}`)) + ".e.e" },
			refused{unauthorized, "Error: not a JWT", false}, anyway},
		"unsigned": {func(channel string) string {
			return jwt(`{"alg":"none"}`, `{"mode":"rw","channel":"`+channel+`"}`, unsigned)
		},
			refused{unauthorized, "Error: …", false}, anyway},
		"wrong key": {func(channel string) string {
			return jwt(`{"alg":"HS256"}`, `{"mode":"rw","channel":"`+channel+`"}`, hs256([]byte("another")))
		}, refused{unauthorized, "Error: …", false}, anyway},
		"expired":          {claiming(`"mode":"rw","exp":` + in(-1)), refused{unauthorized, "Token expired", false}, anyway},
		"not yet valid":    {claiming(`"mode":"rw","nbf":` + in(3600)), refused{unauthorized, "Error: token not valid yet", false}, anyway},
		"a claim's type":   {claiming(`"mode":"rw","exp":"never"`), refused{unauthorized, "Error: …", false}, anyway},
		"no mode":          {claiming(`"sub":"ann"`), refused{forbidden, "Missing mode", false}, anyway},
		"an unknown mode":  {claiming(`"mode":"wr"`), refused{forbidden, "Error: mode must be r, w or rw", false}, anyway},
		"POST with mode r": {claiming(`"mode":"r"`), refused{forbidden, "Error: the token's mode does not send", false}, of(post)},
		"events, mode w":   {claiming(`"mode":"w"`), refused{forbidden, "Error: the token's mode does not receive", false}, of(eventStream)},
		"another channel": {func(string) string { return token(`{"mode":"rw","channels":["other","others"]}`) },
			refused{forbidden, "No allowed channels", false},
			func(tr transport, src source) bool { return src.namesChannel() || tr.way == post && tr.v1 }},
		"no channel at all": {func(string) string { return token(anybody) }, refused{forbidden, "No allowed channels", false},
			func(tr transport, src source) bool { return !src.namesChannel() && (!tr.v1 || tr.way == eventStream) }},
	}
	everywhere(t, func(t *testing.T, tr transport, src source, channel string) {
		for name, tc := range cases {
			if tc.where(tr, src) {
				t.Log(name)
				src.attempt(tr, channel, tc.token(channel)).fails(t, s, tc.want)
			}
		}
	})
}

// claiming makes tokens for a channel with more claims.
func claiming(claims string) func(channel string) string {
	return func(channel string) string { return token(`{"channel":"` + channel + `",` + claims + `}`) }
}

func of(w way) func(transport, source) bool {
	return func(tr transport, _ source) bool { return tr.way == w }
}

// In strict mode a token that names no channels opens none, by whichever way it comes.
func TestStrictModeEverywhere(t *testing.T) {
	t.Parallel()
	s := start(t, guarded(env{"PGWS_REQUIRE_CHANNELS": "True"}))
	everywhere(t, func(t *testing.T, tr transport, src source, channel string) {
		src.attempt(tr, channel, token(`{"mode":"rw","channels":["`+channel+`"]}`)).works(t, s)
		if src.namesChannel() || tr.way == post && tr.v1 {
			src.attempt(tr, channel, token(anybody)).fails(t, s, refused{http.StatusForbidden, "No allowed channels", false})
		}
	})
}

// A token in the path can be forbidden; then each other place is as good as ever.
func TestTokenInPathForbidden(t *testing.T) {
	t.Parallel()
	s := start(t, guarded(env{"PGWS_TOKEN_IN_PATH": "False"}))
	everywhere(t, func(t *testing.T, tr transport, src source, channel string) {
		a := src.attempt(tr, channel, token(`{"mode":"rw","channel":"`+channel+`"}`))
		if !strings.Contains(src.address, "TOKEN") {
			a.works(t, s)
			return
		}
		want := refused{http.StatusUnauthorized, "Error: a token in the path is not accepted here", false}
		a.fails(t, s, want)
		t.Log("It is no better beside a good one.")
		byHeader(&a, token(`{"mode":"rw","channel":"`+channel+`"}`))
		a.fails(t, s, want)
	})
}

// Without a token, or with two where there can be one, no transport opens anything.
func TestWrongAddresses(t *testing.T) {
	t.Parallel()
	s := start(t, guarded(nil))
	good := token(`{"mode":"rw","channel":"chat"}`)
	none := refused{http.StatusUnauthorized, "Error: no token", false}
	noJWT := refused{http.StatusUnauthorized, "Error: not a JWT", false}
	bad := refused{http.StatusBadRequest, "Error: …", false}
	waits := func(tr transport) bool { return !canAuth(tr) } // a websocket of pgws.v1 waits for its token
	opens := func(tr transport) bool { return tr.way == websocket }
	for name, tc := range map[string]struct {
		address string
		fits    func(transport) bool
		change  func(a *attempt)
		want    refused
	}{
		"no token":                    {"/", waits, func(*attempt) {}, none},
		"a channel alone":             {"/chat", waits, func(*attempt) {}, noJWT},
		"a channel and a slash":       {"/chat/", waits, func(*attempt) {}, noJWT},
		"no token after a channel":    {"/chat/none", always, func(*attempt) {}, noJWT},
		"another scheme":              {"/", waits, func(a *attempt) { a.add("Authorization", "Basic "+good) }, none},
		"no scheme":                   {"/", waits, func(a *attempt) { a.add("Authorization", good) }, none},
		"another cookie":              {"/", waits, func(a *attempt) { a.add("Cookie", "token="+good) }, none},
		"a token in the query":        {"/?token=" + good, waits, func(a *attempt) { a.v1 = false }, none},
		"two tokens, one in a header": {"/" + good, always, func(a *attempt) { byHeader(a, good) }, bad},
		"two tokens, one a bearer":    {"/" + good, canOffer, func(a *attempt) { bySubprotocol(a, good) }, bad},
		"two tokens, one a cookie":    {"/" + good, always, func(a *attempt) { byCookie(a, good) }, bad},
		"two bearers":                 {"/chat", canOffer, func(a *attempt) { bySubprotocol(a, good); bySubprotocol(a, good) }, bad},
		"two bearers, beside a header": {"/chat", canOffer,
			func(a *attempt) { bySubprotocol(a, good); bySubprotocol(a, good); byHeader(a, good) }, bad},
		"a bearer alone": {"/chat", opens, func(a *attempt) { a.subprotocol, a.v1 = "", false; bySubprotocol(a, good) }, bad},
		"a bearer beside a stranger": {"/chat", opens,
			func(a *attempt) { a.subprotocol, a.v1 = "", false; a.bearers = []string{"mqtt", "pgws.bearer." + good} }, bad},
		"a channel not in UTF-8": {"/%ff/" + token(anybody), always, func(*attempt) {}, bad},
		"a bad origin": {"/chat/" + good, always, func(a *attempt) { a.add("Origin", "https://evil.example.com") },
			refused{http.StatusForbidden, "Error: this origin is not allowed", true}},
	} {
		for _, tr := range transports {
			if !tc.fits(tr) {
				continue
			}
			t.Run(name+", "+tr.name, func(t *testing.T) {
				t.Parallel()
				a := attempt{transport: tr, channel: "chat", address: tc.address}
				tc.change(&a)
				a.fails(t, s, tc.want)
			})
		}
	}
}

// Of several tokens the first counts, good or bad: path, header, subprotocol, cookie, message.
func TestOrderOfTokens(t *testing.T) {
	t.Parallel()
	s := start(t, guarded(nil))
	places := []func(a *attempt, token string){
		func(a *attempt, token string) { a.address += "/" + token }, byHeader, bySubprotocol, byCookie,
	}
	for n, tr := range transports {
		for i := range places[:len(places)-1] {
			if i == 2 && !canOffer(tr) {
				continue // It has no subprotocol.
			}
			t.Run(fmt.Sprint(tr.name, ", ", i), func(t *testing.T) {
				t.Parallel()
				channel := fmt.Sprintf("order-%d-%d", n, i)
				fill := func(first, others string) attempt {
					a := attempt{transport: tr, channel: channel, address: "/" + channel}
					for j, carry := range places[i:] {
						token := others
						if j == 0 {
							token = first
						}
						if i+j != 2 || canOffer(tr) {
							carry(&a, token)
						}
					}
					return a
				}
				good, bad := token(`{"mode":"rw","channel":"`+channel+`"}`), token(`{"mode":"rw","exp":1}`)
				fill(good, bad).works(t, s)
				fill(bad, good).fails(t, s, refused{http.StatusUnauthorized, "Token expired", false})
			})
		}
	}
}

// Who opens a websocket of pgws.v1 and brings no token is let go.
func TestTokenThatNeverComes(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, address := range []string{"/", "/chat"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			a := attempt{transport: v1Socket, address: address}
			if reason := a.upgraded(t, s).expectClose(3008); reason == "" {
				t.Error("closed without a reason")
			}
		})
	}
}

// What follows the token is ignored; a channel is percent-encoded and may look like much.
func TestAddresses(t *testing.T) {
	t.Parallel()
	s := start(t, guarded(nil))
	hidden := start(t, guarded(env{"PGWS_TOKEN_IN_PATH": "False"}))
	inPath := func(*attempt, string) {}
	escaped := func(a *attempt, token string) { a.address += strings.ReplaceAll(token, ".", "%2E") }
	count := 0
	for name, tc := range map[string]struct {
		address string
		carry   func(a *attempt, token string)
		channel string // its beginning
	}{
		"more elements":               {"/CHANNEL/TOKEN/these/are/ignored", inPath, "chat"},
		"a slash":                     {"/CHANNEL/TOKEN/", inPath, "chat"},
		"a slash after /TOKEN":        {"/TOKEN/", inPath, "chat"},
		"an escaped token":            {"/CHANNEL/", escaped, "chat"},
		"an escaped token alone":      {"/", escaped, "chat"},
		"an escaped channel":          {"/CHANNEL/TOKEN", inPath, "a/b ä?"},
		"by header":                   {"/CHANNEL", byHeader, "a/b ä?"},
		"by header, and a slash":      {"/CHANNEL/", byHeader, "chat"},
		"a name with dots":            {"/CHANNEL", byHeader, "a.b.c"},
		"three parts, a list in JSON": {"/CHANNEL", byHeader, base64URL([]byte("[1]")) + ".e.e"},
		"two parts, JSON first":       {"/CHANNEL", byHeader, base64URL([]byte("{}")) + ".e"},
		"four parts, JSON first":      {"/CHANNEL", byHeader, base64URL([]byte("{}")) + ".e.e.e"},
	} {
		for _, tr := range transports {
			count++
			channel := fmt.Sprint(tc.channel, count)
			t.Run(name+", "+tr.name, func(t *testing.T) {
				t.Parallel()
				src := source{address: tc.address, carry: tc.carry}
				a := src.attempt(tr, channel, token(`{"mode":"rw","channels":[`+mustJSON(channel)+`]}`))
				a.works(t, s)
				if a.header != nil {
					a.works(t, hidden)
				}
			})
		}
	}
	for _, tr := range transports {
		t.Run("two elements where no token may be, "+tr.name, func(t *testing.T) {
			t.Parallel()
			src := source{address: "/CHANNEL/b", carry: byHeader}
			src.attempt(tr, "a", token(`{"mode":"rw","channel":"a"}`)).fails(t, hidden, refused{http.StatusBadRequest, "Error: …", false})
		})
	}
}

// A websocket has one of the subprotocols that it offers, pgws.v1 rather than pgws.classic, or none. A bearer is none.
func TestSubprotocols(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	good := token(`{"mode":"rw","channel":"chat"}`)
	bearer := "pgws.bearer." + good
	for name, tc := range map[string]struct {
		offers []string // a header each
		want   string
	}{
		"none":                  {nil, ""},
		"strangers":             {[]string{"mqtt, graphql-ws"}, ""},
		"classic":               {[]string{"pgws.classic"}, "pgws.classic"},
		"classic and strangers": {[]string{"mqtt, pgws.classic", "graphql-ws"}, "pgws.classic"},
		"v1 first":              {[]string{"pgws.v1, pgws.classic"}, "pgws.v1"},
		"v1 last":               {[]string{"pgws.classic, pgws.v1"}, "pgws.v1"},
		"in upper case":         {[]string{"PGWS.V1"}, ""},
		"a version to come":     {[]string{"pgws.v2"}, ""},
		"the bearer first":      {[]string{bearer + ", pgws.v1"}, "pgws.v1"},
		"the bearer last":       {[]string{"pgws.classic,mqtt," + bearer}, "pgws.classic"},
		"headers each":          {[]string{"mqtt", bearer, "pgws.v1"}, "pgws.v1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := attempt{address: "/chat"}
			if !strings.Contains(strings.Join(tc.offers, ","), bearer) {
				a.address += "/" + good
			}
			for _, offer := range tc.offers {
				a.add("Sec-WebSocket-Protocol", offer)
			}
			got := s.ask(t, a.request())
			selected := strings.Join(got.header["Sec-Websocket-Protocol"], ", ")
			if got.status != http.StatusSwitchingProtocols || selected != tc.want {
				t.Errorf("answered %d with the subprotocol %q, want %q", got.status, selected, tc.want)
			}
			c := newClient(t, got.conn, got.in)
			if tc.want == "pgws.v1" {
				if ready := (&v1Client{client: c}).hear(); ready.Op != "ready" {
					t.Errorf("got %+v", ready)
				}
				return
			}
			c.expectPong()
		})
	}
}
