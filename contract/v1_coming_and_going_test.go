package contract_test

import (
	"slices"
	"testing"
)

// A wanderer is a connection that opens and closes channels while numbers flow for them, a and b in turn.
type wanderer struct {
	*v1Client
	last     map[string]int    // number heard of each channel
	position map[string]string // of that
}

// do carries out a request and checks the messages that come before its answer.
func (w *wanderer) do(members string) v1Frame {
	w.t.Helper()
	text, id := w.request(members)
	w.send(text)
	for {
		f := w.hear()
		if f.Op == "message" {
			w.note(f)
			continue
		}
		if string(f.ID) != id || f.Op != "ok" {
			w.t.Fatalf("%s is answered %+v", text, f)
		}
		return f
	}
}

// note checks that a channel's message is the next of that channel.
func (w *wanderer) note(f v1Frame) {
	w.t.Helper()
	n, err := numberIn(f)
	check(w.t, err)
	if last := w.last[f.Channel]; n != last+2 {
		w.t.Fatalf("%s: after %d came %d", f.Channel, last, n)
	}
	w.last[f.Channel], w.position[f.Channel] = n, f.Position
}

// Connections that close a channel and open it again from where they were lose nothing of it, and nothing of the one that
// stays open.
func TestV1ComingAndGoing(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	var wanderers []*wanderer
	for range 5 {
		c, _ := s.speak(t, "/a", token(anybody))
		position := c.expectOK(subscribing("b")).Position
		wanderers = append(wanderers, &wanderer{c, map[string]int{"a": -2, "b": -1}, map[string]string{"b": position}})
	}
	numbers := s.keepNotifying(t, "a", "b")
	for round := range 100 {
		for i, w := range wanderers {
			w.do(unsubscribing("b"))
			if round%5 == i {
				w.do(publishing("c", "x"))
			}
			f := w.do(subscribing("b") + since(w.position["b"]))
			if f.Resumed == nil || !*f.Resumed {
				t.Fatalf("answered %+v", f)
			}
		}
		numbers.heard(slices.MinFunc(wanderers, func(v, w *wanderer) int { return v.last["a"] - w.last["a"] }).last["a"])
	}
	end := numbers.stop()
	for _, w := range wanderers {
		for w.last["a"] < end-2 || w.last["b"] < end-2 {
			w.note(w.hear())
		}
		w.expectQuiet()
	}
}
