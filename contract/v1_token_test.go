package contract_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// A token may come as the first message. The answer has what ready has.
func TestV1FirstMessage(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for name, tc := range map[string]struct {
		path, claims string
		want         v1Frame
	}{
		"no channel":            {"/", `{"mode":"rw"}`, v1Frame{Op: "ok", Mode: "rw", Channels: []string{}}},
		"the address's":         {"/a", `{"mode":"r","channels":["a","b"],"exp":4000000000}`, v1Frame{Op: "ok", Mode: "r", Expires: "4000000000", Channels: []string{"a"}}},
		"dots in the address's": {"/a.b.c", `{"mode":"r"}`, v1Frame{Op: "ok", Mode: "r", Channels: []string{"a.b.c"}}},
	} {
		c := s.connectV1(t, tc.path, "")
		answer := c.ask(authorizing(token(tc.claims)))
		if answer.Position == "" {
			t.Errorf("%s: there is no position", name)
		}
		tc.want.Position = answer.Position
		if diff := cmp.Diff(tc.want, answer); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		c.expectOK(subscribing("a"))
		s.notify(t, numberFor("a", 1))
		c.expectNotification("a", numberFor("a", 1))
		c.expectQuiet()
	}
	t.Log("A long token is one, and the next messages may be longer.")
	c := s.connectV1(t, "/a", "")
	c.expectOK(authorizing(token(`{"mode":"rw","long":"` + strings.Repeat("x", 7000) + `"}`)))
	c.expectError(publishing("a", strings.Repeat("x", 100_000)), "too_large")
	c.expectQuiet()
}

// Whose first message is not a good token is turned away.
func TestV1BadFirstMessage(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	const unauthorized, forbidden, tooBig = 3000, 3003, ws.StatusMessageTooBig
	first := func(members string) []byte { return frame(fin|opText, `{"id":1,`+members+`}`) }
	auth := func(claims string) []byte { return first(authorizing(token(claims))) }
	long := authorizing(strings.Repeat("x", 16<<10))
	for name, tc := range map[string]struct {
		data []byte
		code ws.StatusCode
	}{
		"no token":                  {first(`"op":"auth"`), unauthorized},
		"an empty one":              {first(authorizing("")), unauthorized},
		"no JWT":                    {first(authorizing("x")), unauthorized},
		"another's":                 {first(authorizing(jwt(`{"alg":"HS256"}`, anybody, hs256([]byte("another"))))), unauthorized},
		"unsigned":                  {first(authorizing(jwt(`{"alg":"none"}`, anybody, unsigned))), unauthorized},
		"expired":                   {auth(`{"mode":"rw","exp":1}`), unauthorized},
		"no mode":                   {auth(`{}`), forbidden},
		"not the address's channel": {auth(`{"mode":"rw","channel":"b"}`), forbidden},
		"subscribe":                 {first(subscribing("a")), unauthorized},
		"publish":                   {first(publishing("a", "x")), unauthorized},
		"ping":                      {first(`"op":"ping"`), unauthorized},
		"an unknown op":             {first(`"op":"dance"`), unauthorized},
		"no JSON":                   {frame(fin|opText, "hello"), unauthorized},
		"a list":                    {frame(fin|opText, "[]"), unauthorized},
		"empty":                     {frame(fin|opText, ""), unauthorized},
		"the bare token":            {frame(fin|opText, token(anybody)), unauthorized},
		"no id":                     {frame(fin|opText, `{`+authorizing(token(anybody))+`}`), unauthorized},
		"too long":                  {first(long), tooBig},
		"the promise of one":        {first(long)[:8], tooBig},
		"too long, in fragments":    {join(frame(opText, long[:10_000]), frame(fin|opContinuation, long[10_000:])), tooBig},
		"a good one after another":  {join(first(`"op":"ping"`), auth(anybody)), unauthorized},
	} {
		t.Log(name)
		c := s.connectV1(t, "/a", "")
		c.raw(tc.data)
		c.expectTurnedAway(tc.code)
	}
	s.notify(t, numberFor("a", 1)) // Nobody is there.
}

// A refused token of the handshake opens a websocket that is closed at once, so that a page sees why.
func TestV1RefusedHandshake(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for name, tc := range map[string]struct {
		path, token string
		code        ws.StatusCode
		reason      string
	}{
		"expired":                         {"/a", token(`{"mode":"rw","exp":1}`), 3000, "Token expired"},
		"another's":                       {"/a", jwt(`{"alg":"HS256"}`, anybody, hs256([]byte("another"))), 3000, ""},
		"no JWT":                          {"/", "x.y.z", 3000, ""},
		"in the path":                     {"/a/" + token(`{"mode":"rw","exp":1}`), "", 3000, "Token expired"},
		"alone in the path":               {"/" + token(`{"mode":"rw","exp":1}`), "", 3000, "Token expired"},
		"no mode":                         {"/a", token(`{}`), 3003, "Missing mode"},
		"an unknown mode":                 {"/", token(`{"mode":"x"}`), 3003, "mode must be "},
		"not the channel":                 {"/a", token(`{"mode":"rw","channel":"b"}`), 3003, "the token does not grant the channel a"},
		"not the path's":                  {"/a/" + token(`{"mode":"rw","channel":"b"}`), "", 3003, "the token does not grant the channel a"},
		"not the path's, not its token's": {"/a/" + token(`{"mode":"rw","channel":"b","exp":1}`), "", 3000, "Token expired"},
	} {
		c := s.connectV1(t, tc.path, tc.token)
		c.send(`{"id":1,"op":"ping"}`) // There is nobody to answer.
		if reason := c.expectTurnedAway(tc.code); !strings.HasPrefix(reason, tc.reason) || strings.HasPrefix(reason, "Error") {
			t.Errorf("%s: the reason is %q", name, reason)
		}
	}
}

// What takes its time, all at once: who brings no token is waited for, five seconds; a token's end is told of before, and
// then the connection ends.
func TestV1Deadlines(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	const lifetime = 6 // seconds
	began := time.Now()
	expires := began.Unix() + lifetime
	granted := token(fmt.Sprintf(`{"mode":"rw","exp":%d}`, expires))

	silent, chatty, halfway := s.connectV1(t, "/", ""), s.connectV1(t, "/a", ""), s.connectV1(t, "/", "")
	chatty.expectPong()
	halfway.raw(frame(fin|opText, `{"id":1,`+authorizing(granted)+`}`)[:50])
	mortal, ready := s.speak(t, "/a", granted)
	if ready.Expires.String() != fmt.Sprint(expires) {
		t.Errorf("ready: %+v", ready)
	}
	late := s.connectV1(t, "/a", "")
	late.expectOK(authorizing(granted))
	classic := s.dial(t, "/a/"+granted)
	immortal, _ := s.speak(t, "/a", token(anybody))

	// Half of what is left: the clocks of a start and of a token are not the same to the second.
	for _, c := range []*v1Client{mortal, late} {
		f := c.hear()
		if f.Op != "expiring" || f.In < 1 || f.In > (lifetime+1)/2 || f.ID != nil {
			t.Errorf("got %+v, want expiring", f)
		}
		if left := time.Until(time.Unix(expires, 0)).Seconds(); left > float64(f.In)+1 {
			t.Errorf("%.1f seconds before its end it is told of %d", left, f.In)
		}
	}
	silent.expectTurnedAway(3008)
	if waited := time.Since(began); waited < 5*time.Second {
		t.Errorf("who brings no token is waited for for %v", waited)
	}
	chatty.expectTurnedAway(3008)
	halfway.expectTurnedAway(3008)
	for _, c := range []*client{mortal.client, late.client, classic} {
		if reason := c.expectClose(3001); reason != "JWT expired" {
			t.Errorf("the reason is %q", reason)
		}
	}
	if time.Now().Before(time.Unix(expires, 0)) {
		t.Error("closed before its token had expired")
	}
	immortal.expectQuiet()
}
