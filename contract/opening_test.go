package contract_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// in returns a moment that is so many seconds away, as a claim writes it.
func in(seconds float64) string {
	return fmt.Sprintf("%.3f", float64(time.Now().UnixMilli())/1000+seconds)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	const unauthorized, forbidden = http.StatusUnauthorized, http.StatusForbidden
	good := token(anybody)
	header, rest, _ := strings.Cut(good, ".")
	cases := map[string]struct {
		path   string
		status int
		body   string // … at its end: only the beginning matters
	}{
		"no path":                     {"/", unauthorized, "Error: …"},
		"no token":                    {"/chat/", unauthorized, "Error: …"},
		"no JWT":                      {"/chat/token", unauthorized, "Error: …"},
		"two parts":                   {"/chat/" + header + "." + header, unauthorized, "Error: …"},
		"four parts":                  {"/chat/" + good + "." + header, unauthorized, "Error: …"},
		"no base64":                   {"/chat/!" + good, unauthorized, "Error: …"},
		"a header that is no JSON":    {"/chat/" + jwt("header", anybody, hs256([]byte(secret))), unauthorized, "Error: …"},
		"another header":              {"/chat/" + base64URL([]byte(`{"alg":"HS256"}`)) + "." + rest, unauthorized, "Error: …"},
		"no signature":                {"/chat/" + good[:strings.LastIndex(good, ".")+1], unauthorized, "Error: …"},
		"half a signature":            {"/chat/" + good[:len(good)-10], unauthorized, "Error: …"},
		"another's signature":         {"/chat/" + jwt(`{"alg":"HS256"}`, anybody, hs256([]byte("another"))), unauthorized, "Error: …"},
		"claims that are no JSON":     {"/chat/" + token(`claims`), unauthorized, "Error: …"},
		"claims that are a list":      {"/chat/" + token(`["rw"]`), unauthorized, "Error: …"},
		"claims that are null":        {"/chat/" + token(`null`), unauthorized, "Error: …"},
		"expired":                     {"/chat/" + token(`{"mode":"rw","exp":`+in(-1)+`}`), unauthorized, "Token expired"},
		"expired long ago":            {"/chat/" + token(`{"mode":"rw","exp":0}`), unauthorized, "Token expired"},
		"expired, by /TOKEN":          {"/" + token(`{"mode":"rw","channel":"chat","exp":1}`), unauthorized, "Token expired"},
		"exp that is a string":        {"/chat/" + token(`{"mode":"rw","exp":"never"}`), unauthorized, "Error: …"},
		"not yet valid":               {"/chat/" + token(`{"mode":"rw","nbf":`+in(3600)+`}`), unauthorized, "Error: …"},
		"nbf that is a string":        {"/chat/" + token(`{"mode":"rw","nbf":"tomorrow"}`), unauthorized, "Error: …"},
		"no mode":                     {"/chat/" + token(`{}`), forbidden, "Missing mode"},
		"no mode but claims":          {"/chat/" + token(`{"channel":"chat","modes":"rw"}`), forbidden, "Missing mode"},
		"an unknown mode":             {"/chat/" + token(`{"mode":"x"}`), forbidden, "Error: …"},
		"mode wr":                     {"/chat/" + token(`{"mode":"wr"}`), forbidden, "Error: …"},
		"mode RW":                     {"/chat/" + token(`{"mode":"RW"}`), forbidden, "Error: …"},
		"an empty mode":               {"/chat/" + token(`{"mode":""}`), forbidden, "Error: …"},
		"another channel":             {"/other/" + token(`{"mode":"rw","channel":"chat"}`), forbidden, "No allowed channels"},
		"another than the list's":     {"/other/" + token(`{"mode":"rw","channels":["chat","talk"]}`), forbidden, "No allowed channels"},
		"the channel's beginning":     {"/cha/" + token(`{"mode":"rw","channel":"chat"}`), forbidden, "No allowed channels"},
		"the channel in upper case":   {"/CHAT/" + token(`{"mode":"rw","channel":"chat"}`), forbidden, "No allowed channels"},
		"no channel anywhere":         {"/" + token(anybody), forbidden, "No allowed channels"},
		"no channel in the list":      {"/" + token(`{"mode":"rw","channels":[]}`), forbidden, "No allowed channels"},
		"a channel that is no string": {"/chat/" + token(`{"mode":"rw","channel":["chat"]}`), unauthorized, "Error: …"},
		"channels that are a string":  {"/chat/" + token(`{"mode":"rw","channels":"chat"}`), unauthorized, "Error: …"},
		"channels of numbers":         {"/1/" + token(`{"mode":"rw","channels":[1]}`), unauthorized, "Error: …"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.refuse(t, tc.path)
			beginning, open := strings.CutSuffix(tc.body, "…")
			if got.status != tc.status || !strings.HasPrefix(got.body, beginning) || !open && got.body != tc.body {
				t.Errorf("refused with %d %q, want %d %q", got.status, got.body, tc.status, tc.body)
			}
			if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
				t.Errorf("the body is %q", kind)
			}
			want := ""
			if tc.status == unauthorized {
				want = "Bearer"
			}
			if scheme := got.header.Get("WWW-Authenticate"); scheme != want {
				t.Errorf("WWW-Authenticate: %q, want %q", scheme, want)
			}
			if strings.Contains(got.body, "eyJ") || strings.Contains(got.body, secret) {
				t.Errorf("the body shows a token or the secret: %q", got.body)
			}
		})
	}
}

// Which channels a path and a token open. The meta channel tells.
func TestChannels(t *testing.T) { //nolint:tparallel // The meta channel tells of one after the other.
	t.Parallel()
	s := start(t, env{"PGWS_META_CHANNEL": "meta"})
	all := token(`{"mode":"r","channels":["b","c","b"],"channel":"a"}`)
	for name, tc := range map[string]struct {
		path string
		want string
	}{
		"any":                         {"/chat/" + token(anybody), "chat"},
		"any, with an empty list":     {"/chat/" + token(`{"mode":"rw","channels":[]}`), "chat"},
		"the allowed one":             {"/chat/" + token(`{"mode":"rw","channel":"chat"}`), "chat"},
		"channel, then channels":      {"/" + all, "a,b,c"},
		"one of them":                 {"/c/" + all, "c"},
		"channel again in channels":   {"/" + token(`{"mode":"r","channel":"b","channels":["a","b","c","a"]}`), "b,a,c"},
		"channels alone":              {"/" + token(`{"mode":"r","channels":["z","y"]}`), "z,y"},
		"percent-decoded":             {"/a%2Fb%20%C3%A4%25%3F/" + token(anybody), "a/b ä%?"},
		"percent-decoded and allowed": {"/a%2fb/" + token(`{"mode":"rw","channel":"a/b"}`), "a/b"},
		"a plus is a plus":            {"/a+b/" + token(anybody), "a+b"},
		"beyond ASCII":                {"/日本/" + token(anybody), "日本"},
		"a query":                     {"/chat/" + token(anybody) + "?a=b&token=c", "chat"},
		"a query by /TOKEN":           {"/" + all + "?a/b", "a,b,c"},
		"an empty query":              {"/chat/" + token(anybody) + "?", "chat"},
		"elements after":              {"/chat/" + token(anybody) + "/these/are/ignored", "chat"},
		"a slash after":               {"/chat/" + token(anybody) + "/", "chat"},
		"a slash after /TOKEN":        {"/" + all + "/", "a,b,c"},
		"a comma in a name":           {"/" + token(`{"mode":"r","channels":["a,b","c"]}`), "a,b,c"},
		"quotes in a name":            {"/" + token(`{"mode":"r","channel":"\"'\\\n"}`), "\"'\\\n"},
		"a percent-encoded token":     {"/chat/" + strings.ReplaceAll(token(anybody), ".", "%2E"), "chat"},
	} {
		t.Run(name, func(t *testing.T) {
			meta := s.dial(t, "/meta/"+token(`{"mode":"r"}`))
			meta.receiveMessage() // of itself
			s.dial(t, tc.path)
			if got := meta.receiveMessage().Payload; got != tc.want {
				t.Errorf("opened %q, want %q", got, tc.want)
			}
		})
	}
}

// Only the channel in the path is opened, or all by /TOKEN on one connection.
func TestOpenedChannelsReceive(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	claims := `{"mode":"r","channel":"a","channels":["b","c"]}`
	one, all := s.dial(t, "/b/"+token(claims)), s.dial(t, "/"+token(claims))
	messages := []string{`{"channel":"a","n":1}`, `{"channel":"c","n":2}`, `{"channel":"d","n":3}`, `{"channel":"b","n":4}`, `{"channel":"a","n":5}`}
	s.notify(t, messages...)
	one.expect(messages[3])
	all.expect(messages[0], messages[1], messages[3], messages[4])
	one.expectPong()
	all.expectPong()
}

// In strict mode a token without channels opens none.
func TestStrictMode(t *testing.T) {
	t.Parallel()
	s := start(t, env{"PGWS_REQUIRE_CHANNELS": "True"})
	for _, claims := range []string{anybody, `{"mode":"rw","channels":[]}`} {
		for _, path := range []string{"/chat/", "/"} {
			if got := s.refuse(t, path+token(claims)); got.status != http.StatusForbidden || got.body != "No allowed channels" {
				t.Errorf("%s by %s is refused with %d %q", path, claims, got.status, got.body)
			}
		}
	}
	s.dial(t, "/chat/"+token(`{"mode":"rw","channel":"chat"}`))
	s.dial(t, "/"+token(`{"mode":"rw","channels":["chat"]}`))
}

// r receives, w sends, rw both.
func TestModes(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	r, w, rw := s.dial(t, "/chat/"+token(`{"mode":"r"}`)), s.dial(t, "/chat/"+token(`{"mode":"w"}`)), s.dial(t, "/chat/"+token(anybody))

	r.send("by r, ignored")
	r.expectPong()
	w.send("by w")
	first := heard.receive()
	rw.expect(first)
	rw.send("by rw")
	second := heard.receive()
	rw.expect(second)
	r.expect(first, second)
	if got := payloads(parseMessage(t, first), parseMessage(t, second)); got != "by w,by rw" {
		t.Errorf("got %q", got)
	}
	r.expectPong()
	w.expectPong() // It has received nothing.
}

// A token that expires ends its connection, also when the client ignores the close.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	const lifetime = 5 // seconds: ample for what comes before
	before := time.Now()
	polite := s.dial(t, "/chat/"+token(`{"mode":"rw","exp":`+in(lifetime)+`}`))
	deaf := s.dial(t, "/chat/"+token(`{"mode":"rw","exp":`+in(lifetime)+`}`))
	never := s.dial(t, "/chat/"+token(`{"mode":"rw","exp":1e300,"nbf":0}`))
	polite.send("in time")
	heard.receive()
	for _, c := range []*client{polite, deaf, never} {
		c.receiveMessage()
	}

	if reason := polite.expectClose(3001); reason != "JWT expired" {
		t.Errorf("the reason is %q", reason)
	}
	if early := lifetime*time.Second - time.Since(before); early > 2*time.Millisecond {
		t.Errorf("closed %v before the token expired", early)
	}
	if f := deaf.next(); string(f.Payload) != "\x0b\xb9JWT expired" {
		t.Errorf("got the frame %+v %q", f.Header, f.Payload)
	}
	// It does not answer, but goes on sending and hopes to receive.
	_, _ = deaf.conn.Write(masked(textFrame("too late")))
	s.notify(t, `{"channel":"chat","payload":"not for the expired"}`)
	deaf.expectEnd()

	never.expect(`{"channel":"chat","payload":"not for the expired"}`)
	never.send("last")
	if got := never.receiveMessage().Payload; got != "last" {
		t.Errorf("got %q", got)
	}
	if first, second := heard.receive(), heard.receive(); !strings.Contains(first, "not for") || !strings.Contains(second, `"last"`) {
		t.Errorf("PostgreSQL was sent %s and %s", first, second)
	}
}

// What is no websocket request is none, whatever its path; and a handshake that is wrong is refused.
func TestHandshake(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for name, change := range map[string]func(http.Header){
		"no key":          func(h http.Header) { h.Del("Sec-WebSocket-Key") },
		"a short key":     func(h http.Header) { h.Set("Sec-WebSocket-Key", "short") },
		"another version": func(h http.Header) { h.Set("Sec-WebSocket-Version", "8") },
		"no connection":   func(h http.Header) { h.Set("Connection", "keep-alive") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/chat/"+token(anybody), nil)
			check(t, err)
			request.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
				"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"}}
			change(request.Header)
			status, _, body := do(t, request)
			if status < 400 || status > 499 {
				t.Errorf("answered %d %q", status, body)
			}
		})
	}
}
