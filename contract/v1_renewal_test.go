package contract_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A new token changes what the connection may do. The connection stays, and so do the channels that it still grants.
func TestV1Renewal(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	heard := s.listen(t)
	narrow, wide := token(`{"mode":"rw","channels":["a"],"v":1}`), token(`{"mode":"rw","channels":["a","b"],"v":2,"exp":4000000000}`)
	c, _ := s.speak(t, "/a", narrow)
	c.expectError(subscribing("b"), "forbidden")
	answer := c.expectOK(authorizing(wide))
	want := v1Frame{Op: "ok", Mode: "rw", Channels: []string{"a"}, Expires: "4000000000", Position: answer.Position}
	if diff := cmp.Diff(want, answer); diff != "" || answer.Position == "" {
		t.Errorf("auth is answered (-want +got):\n%s", diff)
	}
	c.expectOK(subscribing("b"))
	text, _ := c.request(publishing("b", "by the second token") + quiet)
	c.send(text)
	if m := parseMessage(t, heard.receive()); fmt.Sprint(m.Claims["v"]) != "2" {
		t.Errorf("sent with the claims %v", m.Claims)
	}
	c.hear()
	s.tell(t, numberFor("a", 1), numberFor("b", 2))
	c.expectNotification("a", numberFor("a", 1))
	c.expectNotification("b", numberFor("b", 2))

	t.Log("It grants less, the address's channel too.")
	c.renewed(t, token(`{"mode":"rw","channel":"b"}`), "a")
	s.tell(t, numberFor("a", 3), numberFor("b", 4))
	c.expectNotification("b", numberFor("b", 4))
	c.expectError(publishing("a", "x"), "forbidden")
	c.expectError(subscribing("a"), "forbidden")

	t.Log("It does not say whether one may send, receive.")
	c.renewed(t, token(`{"mode":"r","channels":["a","b"]}`))
	c.expectError(publishing("b", "x"), "forbidden")
	c.renewed(t, token(`{"mode":"w"}`), "b")
	c.expectError(subscribing("b"), "forbidden")
	c.expectOK(publishing("b", "x"))
	s.tell(t, numberFor("a", 5), numberFor("b", 6))
	c.expectQuiet()

	t.Log("It grants more again: what was closed stays so until it is asked for.")
	c.renewed(t, token(`{"mode":"rw","echo":false}`))
	s.tell(t, numberFor("b", 7))
	c.expectQuiet()
	c.expectOK(subscribing("a", "b"))
	c.expectOK(publishing("a", "not for itself"))
	c.expectQuiet()
}

// renewed sends a new token, and wants to be told of the channels that it takes.
func (c *v1Client) renewed(t *testing.T, token string, lost ...string) {
	t.Helper()
	text, id := c.request(authorizing(token))
	c.send(text)
	answered, told := false, len(lost) == 0
	for !answered || !told {
		switch f := c.hear(); {
		case f.Op == "unsubscribed" && !told:
			told = true
			if diff := cmp.Diff(v1Frame{Op: "unsubscribed", Code: "forbidden", Channels: lost}, f); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		case f.Op == "ok" && string(f.ID) == id && !answered:
			answered = true
			if slices.ContainsFunc(lost, func(name string) bool { return slices.Contains(f.Channels, name) }) {
				t.Errorf("auth is answered %+v, and %q are lost", f, lost)
			}
		default:
			t.Fatalf("got %+v", f)
		}
	}
	c.expectQuiet()
}

// A token that is refused leaves all as it was.
func TestV1BadRenewal(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, _ := s.speak(t, "/a", token(`{"mode":"rw","channels":["a","b"],"exp":4000000000}`))
	c.expectOK(subscribing("b"))
	for name, tc := range map[string]struct{ members, code string }{
		"no token":        {`"op":"auth"`, "unauthorized"},
		"an empty one":    {authorizing(""), "unauthorized"},
		"no JWT":          {authorizing("x"), "unauthorized"},
		"expired":         {authorizing(token(`{"mode":"rw","exp":1}`)), "unauthorized"},
		"not yet valid":   {authorizing(token(`{"mode":"rw","nbf":` + in(3600) + `}`)), "unauthorized"},
		"another's":       {authorizing(jwt(`{"alg":"HS256"}`, anybody, hs256([]byte("another")))), "unauthorized"},
		"unsigned":        {authorizing(jwt(`{"alg":"none"}`, anybody, unsigned)), "unauthorized"},
		"no mode":         {authorizing(token(`{}`)), "forbidden"},
		"an unknown mode": {authorizing(token(`{"mode":"x"}`)), "forbidden"},
	} {
		t.Log(name)
		c.expectError(tc.members, tc.code)
	}
	s.tell(t, numberFor("a", 1), numberFor("b", 2))
	c.expectNotification("a", numberFor("a", 1))
	c.expectNotification("b", numberFor("b", 2))
	c.expectError(subscribing("c"), "forbidden")
	c.expectOK(publishing("a", "x") + quiet)
	c.expectQuiet()
}

// A new token ends later, or earlier. One that is refused changes nothing: who has sent it shows when the first time has
// passed.
func TestV1RenewalOfTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	const first = 6 // seconds
	short := token(`{"mode":"rw","exp":` + in(first) + `}`)
	witness, _ := s.speak(t, "/a", short)
	later, _ := s.speak(t, "/a", short)
	never, _ := s.speak(t, "/a", short)
	earlier, _ := s.speak(t, "/a", token(`{"mode":"rw","exp":`+in(3600)+`}`))
	atLast, _ := s.speak(t, "/a", token(anybody))

	witness.expectError(authorizing(jwt(`{"alg":"HS256"}`, `{"mode":"rw"}`, hs256([]byte("another")))), "unauthorized")
	later.expectOK(authorizing(token(`{"mode":"rw","exp":` + in(3600) + `}`)))
	never.expectOK(authorizing(token(anybody)))
	soon := in(first - 2)
	earlier.expectOK(authorizing(token(`{"mode":"rw","exp":` + soon + `}`)))
	atLast.expectOK(authorizing(token(`{"mode":"rw","exp":` + soon + `}`)))
	for _, c := range []*v1Client{witness, earlier, atLast} {
		if f := c.hear(); f.Op != "expiring" || f.In < 1 || f.In > first/2 {
			t.Errorf("got %+v, want expiring", f)
		}
	}
	for _, c := range []*v1Client{earlier, atLast, witness} {
		if reason := c.expectClose(3001); reason != "JWT expired" {
			t.Errorf("the reason is %q", reason)
		}
	}
	s.tell(t, numberFor("a", 1))
	for _, c := range []*v1Client{later, never} {
		c.expectNotification("a", numberFor("a", 1)) // It was not told of an end.
		c.expectQuiet()
	}
}

// While messages flow, a channel that is taken ends with the frame that says so, and those that stay lose nothing.
func TestV1ShrinkingAmongMessages(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	wide, narrow := token(`{"mode":"r","channels":["a","b"]}`), token(`{"mode":"r","channels":["a"]}`)
	c, _ := s.speak(t, "/a", wide)
	numbers := s.keepNotifying(t, "a", "b")
	last := -1
	// until reads up to the frame that is no message.
	until := func(members string, mayHear bool) v1Frame {
		if members != "" {
			text, _ := c.request(members)
			c.send(text)
		}
		for {
			f := c.hear()
			if f.Op != "message" {
				return f
			}
			n, err := numberIn(f)
			check(t, err)
			switch {
			case f.Channel == "b" && !mayHear:
				t.Fatalf("%d came for a channel that is closed", n)
			case f.Channel == "a" && last >= 0 && n != last+2:
				t.Fatalf("after %d came %d", last, n)
			case f.Channel == "a":
				last = n
				numbers.heard(n)
			}
		}
	}
	for range 100 {
		if f := until(authorizing(wide), false); f.Op != "ok" {
			t.Fatalf("got %+v", f)
		}
		if f := until(subscribing("b"), false); f.Op != "ok" {
			t.Fatalf("got %+v", f)
		}
		f := until(authorizing(narrow), true)
		if f.Op != "unsubscribed" || !cmp.Equal(f.Channels, []string{"b"}) {
			t.Fatalf("got %+v", f)
		}
		if f := until("", false); f.Op != "ok" || !cmp.Equal(f.Channels, []string{"a"}) {
			t.Fatalf("got %+v", f)
		}
	}
	end := numbers.stop()
	if f := until(`"op":"ping"`, false); f.Op != "ok" {
		t.Fatalf("got %+v", f)
	}
	for last < end-2 {
		f := c.hear()
		n, err := numberIn(f)
		check(t, err)
		if f.Channel != "a" || n != last+2 {
			t.Fatalf("after %d came %+v", last, f)
		}
		last = n
	}
	c.expectQuiet()
	if strings.Contains(s.Log.String(), "level=ERROR") {
		t.Error("the log has an error")
	}
}
