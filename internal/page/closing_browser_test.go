package page_test

import (
	"fmt"
	"testing"

	"github.com/gobwas/ws"

	"pgws/internal/page/browsertest"
)

func TestReconnecting(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := browsertest.OpenDemo(t, r.URL)

	r.deaf.Store(true)
	r.end(1012, "restart")
	p.WaitState("chat", "waiting")
	p.Wait(`document.querySelector("#messages").textContent.includes("lost: 1012 the server is restarting")`)
	p.Wait(`document.querySelector('[data-connection="chat"]').dataset.code === "1006"`) // It has tried again.
	p.Wait(`!document.querySelector('[data-connection="chat"] .channel-reconnect').hidden`)
	p.Wait(`document.querySelector("#announcer").textContent.includes("chat: lost: 1006")`)
	r.deaf.Store(false)
	p.WaitState("chat", "open")
	p.Wait(`document.querySelector("#events-state").dataset.state === "open"`)
	p.Send("back again")
	p.WaitNewest("back again")
	p.WantNewest(`.dataset.own === "true"`)
}

func TestCloseCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code   ws.StatusCode
		state  string
		detail string
	}{
		{1000, "closed", "closed normally"},
		{1001, "waiting", "the server is going away"},
		{1008, "closed", "refused by policy"},
		{1009, "closed", "the message is too big: a NOTIFY carries less than 8000 bytes"},
		{1011, "waiting", "the server failed"},
		{1012, "waiting", "the server is restarting"},
		{1013, "waiting", "too slow: this connection lagged too far behind"},
		{3001, "closed", "the token has expired"},
		{4321, "closed", "closed by the server"},
	}
	r := newRelay(t, nil)
	p := browsertest.OpenDemo(t, r.URL)
	for _, tt := range tests {
		r.end(tt.code, "why")
		text := fmt.Sprintf("%d %s", tt.code, tt.detail)
		p.Wait(fmt.Sprintf(`document.querySelector("#messages").textContent.includes(%q)`, text))
		p.Want(fmt.Sprintf(`document.querySelector("#messages").textContent.includes(%q)`, "(“why”)"))
		if tt.state == "closed" {
			p.WaitState("chat", "closed")
			p.Click(`[data-connection="chat"] .channel-reconnect`)
		}
		p.WaitState("chat", "open")
	}
}
