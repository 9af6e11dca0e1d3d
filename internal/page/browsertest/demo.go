package browsertest

import (
	"fmt"
	"testing"
)

// Newest is, in JavaScript, the last message in the stream of the demo page.
const Newest = `[...document.querySelectorAll("#messages article")].at(-1)`

// OpenDemo opens the demo page at url and waits until it has joined chat, which it does by itself.
func OpenDemo(t *testing.T, url string) *Tab {
	t.Helper()
	p := Open(t, url)
	p.WaitState("chat", "open")
	return p
}

// WaitState waits, in a window with the demo page, until a channel's connection is connecting, open, waiting or closed.
func (p *Tab) WaitState(channel, state string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf(`document.querySelector("[data-connection=" + CSS.escape(%q) + "]")?.dataset.state === %q`, channel, state))
}

// WaitNewest waits, in a window with the demo page, until the last message reads text.
func (p *Tab) WaitNewest(text string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf(`%s?.querySelector(".text").textContent === %q`, Newest, text))
}

// WantNewest fails the test, and goes on with it, unless the last message is like this: JavaScript that follows Newest.
func (p *Tab) WantNewest(like string) {
	p.t.Helper()
	p.Want(Newest + like)
}

// Join joins a channel; empty: all channels of the token.
func (p *Tab) Join(channel string) {
	p.t.Helper()
	p.Enter("#join-channel", channel)
	p.Click("#join")
}

// Send sends text to the channel that is chosen.
func (p *Tab) Send(text string) {
	p.t.Helper()
	p.Enter("#text", text)
	p.Click("#send")
}

// Claim has other claims signed, and waits until the channels are being joined with them.
func (p *Tab) Claim(claims string) {
	p.t.Helper()
	before := Eval[string](p, `document.querySelector("#token").textContent`)
	p.Enter("#claims", claims)
	p.Click("#claims-apply")
	p.Wait(fmt.Sprintf(`document.querySelector("#token").textContent !== %q`, before))
}
