package contract_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const quiet = `,"echo":false`

// A message whose sender does not want it back comes to everybody else, also to those with the same token.
func TestV1Echo(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for name, tc := range map[string]struct {
		claims string
		hears  []string // of what it says itself
	}{
		"by default":   {anybody, []string{"no member", "true", "null"}},
		"claim: true":  {`{"mode":"rw","echo":true}`, []string{"no member", "true", "null"}},
		"claim: null":  {`{"mode":"rw","echo":null}`, []string{"no member", "true", "null"}},
		"claim: false": {`{"mode":"rw","echo":false}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "/" + element(name)
			channel := path[1:]
			sender, _ := s.speak(t, path, token(tc.claims))
			same, _ := s.speak(t, path, token(tc.claims))
			classic := s.dial(t, path+"/"+token(tc.claims))
			for _, member := range []struct{ name, json string }{{"no member", ``}, {"false", quiet}, {"true", `,"echo":true`}, {"null", `,"echo":null`}} {
				text, _ := sender.request(publishing(channel, member.name) + member.json)
				sender.send(text)
				same.expectSaid(member.name)
				if got := classic.receiveMessage().Payload; got != member.name {
					t.Errorf("got %q", got)
				}
			}
			s.notify(t, numberFor(channel, 1))
			var got []string
			for answers, told := 0, false; answers < 4 || !told; {
				switch f := sender.hear(); {
				case f.Op == "ok":
					answers++
				case string(f.Payload) == numberFor(channel, 1):
					told = true
				default:
					got = append(got, parseMessage(t, string(f.Payload)).Payload)
				}
			}
			if diff := cmp.Diff(tc.hears, got); diff != "" {
				t.Errorf("it hears of itself (-want +got):\n%s", diff)
			}
			same.expectNotification(channel, numberFor(channel, 1))
			same.expectQuiet()
			sender.expectQuiet()
		})
	}
}

// The claim holds for the classic protocol, too, for each channel of the connection.
func TestClassicEcho(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	const claims = `{"mode":"rw","channels":["a","b"],"echo":false}`
	sender, same, one := s.dial(t, "/"+token(claims)), s.dial(t, "/"+token(claims)), s.dial(t, "/a/"+token(claims))
	texts := numbered("message", 100)
	sender.send(texts...)
	for _, text := range texts {
		if got := payloads(same.receiveMessage(), same.receiveMessage(), one.receiveMessage()); got != text+","+text+","+text {
			t.Fatalf("got %q, want %q", got, text)
		}
	}
	one.send("by one")
	for _, c := range []*client{sender, same} {
		if got := c.receiveMessage().Payload; got != "by one" {
			t.Errorf("got %q", got)
		}
	}
	s.notify(t, numberFor("b", 1))
	for _, c := range []*client{sender, same} {
		c.expect(numberFor("b", 1))
		c.expectPong()
	}
	one.expectPong()
}

// What its sender did not want back does not come when it goes on from an earlier position either.
func TestV1EchoOfThePast(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c, ready := s.speak(t, "/", token(anybody))
	other, _ := s.speak(t, "/", token(anybody))
	for i := range 5 {
		c.expectOK(publishing("a", fmt.Sprint("own ", i)) + quiet)
		other.expectOK(publishing("a", fmt.Sprint("of another ", i)))
	}
	f := c.expectOK(subscribing("a") + since(ready.Position))
	if f.Resumed == nil || !*f.Resumed {
		t.Errorf("answered %+v", f)
	}
	for i := range 5 {
		c.expectSaid(fmt.Sprint("of another ", i))
	}
	c.expectQuiet()
}

// A claim of another type is a bad token.
func TestEchoOfAnotherType(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, value := range []any{"false", 0, []bool{false}} {
		claims, err := json.Marshal(map[string]any{"mode": "rw", "echo": value})
		check(t, err)
		if got := s.refuse(t, "/chat/"+token(string(claims))); got.status != 401 {
			t.Errorf("%s is refused with %d %s", claims, got.status, got.body)
		}
		s.connectV1(t, "/chat", token(string(claims))).expectTurnedAway(3000)
	}
}
