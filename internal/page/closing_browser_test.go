package page_test

import (
	"fmt"
	"testing"

	"github.com/gobwas/ws"

	"pgws/internal/page/browsertest"
	"pgws/internal/protocol"
)

func TestReconnecting(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	p.Join("orders")
	p.WaitState("orders", "open")

	r.deaf.Store(true)
	r.end(1012, "restart")
	p.WaitState("chat", "waiting")
	p.WaitState("orders", "waiting")
	p.Wait(`document.querySelector("#messages").textContent.includes("lost: 1012 the server is restarting (“restart”); trying again")`)
	p.Wait(`document.querySelector("#connection").dataset.code === "1006"`) // It has tried again.
	p.Wait(`document.querySelector("#connection-state").textContent.startsWith("Trying again in ")`)
	p.Want(`!document.querySelector("#reconnect").hidden`)
	p.Wait(`document.querySelector("#announcer").textContent.includes("no connection: 1006")`)
	r.deaf.Store(false)
	browsertest.Eval[bool](p, reconnect)
	p.WaitState("chat", "open")
	p.Want(`document.querySelector("#reconnect").hidden && document.querySelector("#connection-detail").textContent === ""`)
	p.Wait(`document.querySelector("#events-state").dataset.state === "open"`)
	for _, channel := range []string{"chat", "orders"} {
		p.Wait(notice(channel, "resumed, nothing was missed"))
	}
	p.Want("!" + notice("chat", "gap: messages may have been missed"))
	p.Send("back again")
	p.WaitNewest("back again")
	p.WantNewest(`.dataset.own === "true"`)
}

// reconnect presses that button, whether it is still there or not: the page may have connected by itself.
const reconnect = `(document.querySelector("#reconnect").click(), true)`

// notice is true once the page has said this of a channel.
func notice(channel, words string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('#messages [data-kind="notice"]')].some((n) =>
		n.querySelector(".channel-tag").textContent === %q && n.querySelector(".text").textContent === %q)`, channel, words)
}

func TestGap(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	p.Join("orders")
	p.WaitState("orders", "open")
	const missed = "gap: messages may have been missed"

	t.Log("The server was away from PostgreSQL.")
	r.gap("orders")
	p.Wait(notice("orders", missed))
	p.Want("!" + notice("chat", missed))

	t.Log("The server has not kept what came meanwhile.")
	r.forgets.Store(true)
	r.end(1001, "")
	p.Wait(notice("chat", missed))
	p.Want("!" + notice("chat", "resumed, nothing was missed"))
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	for _, tt := range []struct {
		receipt protocol.Answer
		says    string
		kept    bool // The text stands in the field again.
	}{
		{protocol.Answer{Code: protocol.TooLarge, Message: "more than it holds"}, "Not sent: too_large: more than it holds.", true},
		{protocol.Answer{Code: protocol.Unavailable, Message: "try later"}, "Not sent: unavailable: try later.", true},
		{protocol.Answer{Code: protocol.Unavailable, Message: "no word", Uncertain: true}, "Uncertain: no word. It may have arrived.", false},
	} {
		tt.receipt.Op = protocol.OpError
		r.receipt.Store(&tt.receipt)
		p.Send("hello")
		p.Wait(fmt.Sprintf(`document.querySelector("#status").textContent === %q`, tt.says))
		p.Want(fmt.Sprintf(`(document.querySelector("#text").value === "hello") === %t`, tt.kept))
	}
	r.receipt.Store(nil)
	p.Send("at last")
	p.WaitNewest("at last")
	p.Wait(`document.querySelector("#status").textContent.startsWith("Committed after ")`)

	t.Log("What is sent without a connection waits for one.")
	r.deaf.Store(true)
	r.end(1001, "")
	p.WaitState("chat", "waiting")
	p.Send("patience")
	p.Wait(`document.querySelector("#status").textContent === "Waiting for a connection …"`)
	r.deaf.Store(false)
	browsertest.Eval[bool](p, reconnect)
	p.WaitNewest("patience")
	p.WantNewest(`.dataset.own === "true"`)
	p.Wait(`document.querySelector("#status").textContent.startsWith("Committed after ")`)
}

func TestRefusedChannel(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	p.Join(forbiddenChannel)
	p.WaitState(forbiddenChannel, "closed")
	p.Want(`document.querySelector('[data-connection="forbidden"] .channel-detail').textContent === "forbidden: not for you"`)
	p.Want(`document.querySelector('[data-connection="forbidden"] .channel-state').textContent === "closed"`)
	p.Wait(notice(forbiddenChannel, "closed: forbidden: not for you"))
	p.WaitState("chat", "open")
	p.Click(`[data-connection="forbidden"] .channel-reconnect`)
	p.Wait(`[...document.querySelectorAll("#messages .text")].filter((n) => n.textContent === "closed: forbidden: not for you").length === 2`)
}

// The close code that ends a connection is told in words, and the page comes back by itself from all but those
// that say that it would be refused again.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code   ws.StatusCode
		state  string
		detail string
	}{
		{1000, "waiting", "closed normally"},
		{1001, "waiting", "the server is going away"},
		{1002, "closed", "a frame broke the websocket protocol"},
		{1009, "waiting", "the message is too large"},
		{1011, "waiting", "the server failed"},
		{1012, "waiting", "the server is restarting"},
		{1013, "waiting", "too slow: this connection lagged too far behind"},
		{3000, "waiting", "the token is missing, bad or expired"},
		{3001, "waiting", "the token has expired"},
		{3003, "closed", "the token does not allow this"},
		{4321, "waiting", "closed by the server"},
	}
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	for _, tt := range tests {
		r.end(tt.code, "why")
		word := map[string]string{"waiting": "lost", "closed": "closed"}[tt.state]
		p.Wait(fmt.Sprintf(`document.querySelector("#messages").textContent.includes("%s: %d %s (“why”)")`, word, tt.code, tt.detail))
		if tt.state == "closed" {
			p.WaitState("chat", "closed")
		}
		browsertest.Eval[bool](p, reconnect)
		p.WaitState("chat", "open")
	}
}
