package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgws/internal/page/browsertest"
)

// What the server does with a token, the page explains. The windows share chat, but each test stays silent there or looks
// for its own words.
func TestClosedAndIgnored(t *testing.T) {
	t.Parallel()
	d := startDev(t)

	t.Run("mode r only receives", func(t *testing.T) {
		t.Parallel()
		p := browsertest.OpenDemo(t, d.page)
		p.Join("quiet")
		p.WaitState("quiet", "open")
		p.Claim(`{"mode":"r","sub":"reader"}`)
		p.WaitState("quiet", "open")
		p.Send("not sent")
		p.Wait(`document.querySelector("#status").textContent === "Not sent: forbidden: the token's mode does not send."`)
		p.Want(`document.querySelector("#text").value === "not sent"`)

		t.Log("Of the classic protocol it is ignored. The close is answered after what came before.")
		closed := browsertest.Eval[int](p, `new Promise((closed) => {
			const socket = new WebSocket("ws://" + location.host + "/quiet/" + document.querySelector("#token").textContent);
			socket.onopen = () => { socket.send("ignored"); socket.close(1000); };
			socket.onclose = (event) => closed(event.code);
		})`)
		if closed != 1000 {
			t.Errorf("closed with %d, want 1000", closed)
		}
		execute(t, d.psql, browsertest.Eval[string](p, `document.querySelector("#sql").textContent`))
		p.WaitNewest("hello from SQL")
		p.Want(`document.querySelectorAll("#messages article").length === 1`)
		wantNoErrors(t, p)
	})

	t.Run("mode w only sends", func(t *testing.T) {
		t.Parallel()
		p := browsertest.OpenDemo(t, d.page)
		p.Claim(`{"mode":"w","sub":"writer"}`)
		p.WaitState("chat", "closed")
		p.Want(`document.querySelector('[data-connection="chat"] .channel-detail').textContent === "forbidden: the token's mode does not receive"`)
		p.Send("heard by others")
		p.Wait(`document.querySelector("#status").textContent.startsWith("Committed after ")`)
		wantNoErrors(t, p)
	})

	t.Run("a channel that the token does not name", func(t *testing.T) {
		t.Parallel()
		p := browsertest.OpenDemo(t, d.page)
		p.Claim(`{"mode":"rw","channels":["a","b"]}`)
		p.WaitState("chat", "closed")
		p.Want(`document.querySelector('[data-connection="chat"] .channel-detail').textContent.startsWith("forbidden: ")`)
		p.Send("hello")
		p.Wait(`document.querySelector("#status").textContent.startsWith("Not sent: forbidden: ")`)
		p.Join("")
		p.WaitState("a", "open")
		p.WaitState("b", "open")
		wantNoErrors(t, p)
	})

	for name, tt := range map[string]struct{ claims, detail string }{
		"a token without a mode":       {`{}`, "3003 the token does not allow this (“Missing mode”)"},
		"a token that has expired":     {`{"mode":"rw","exp":1}`, "3000 the token is missing, bad or expired (“Token expired”)"},
		"a token that is not good yet": {`{"mode":"rw","nbf":4000000000}`, "3000 the token is missing, bad or expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := browsertest.OpenDemo(t, d.page)
			p.Claim(tt.claims)
			p.Wait(fmt.Sprintf(`document.querySelector("#connection-detail").textContent.startsWith(%q)`, tt.detail))
			p.Wait(`!document.querySelector("#reconnect").hidden`)
			wantNoErrors(t, p)
		})
	}

	t.Run("a token that expires", func(t *testing.T) {
		t.Parallel()
		p := browsertest.OpenDemo(t, d.page)
		// A busy machine may take so long that the token has expired before the page connects. Then the server refuses it.
		for {
			p.Click("#preset-expire")
			p.Wait(`/^Expires in .*s$/.test(document.querySelector("#token-life").textContent) && !document.querySelector("#renew").checked`)
			p.WaitState("chat", "closed")
			if browsertest.Eval[string](p, `document.querySelector("#connection").dataset.code`) == "3001" {
				break
			}
		}
		p.Want(`document.querySelector("#connection-detail").textContent === "3001 the token has expired (“JWT expired”)"`)
		p.Wait(`document.querySelector("#messages").textContent.includes("closed: 3001 the token has expired (“JWT expired”)")`)
		p.Wait(`document.querySelector("#token-life").textContent === "Expired"`)
		p.Click("#reconnect")
		p.WaitState("chat", "open")
		p.Want(`document.querySelector("#status").textContent.startsWith("The token had expired")`)
	})

	t.Run("a token that is renewed", func(t *testing.T) {
		t.Parallel()
		p := browsertest.OpenDemo(t, d.page)
		exp := time.Now().Unix() + 10
		p.Claim(fmt.Sprintf(`{"mode":"rw","exp":%d}`, exp))
		p.Wait(fmt.Sprintf(`Date.now() / 1000 > %d`, exp+1))
		p.Want(`document.querySelector("#status").textContent === "The token is renewed. The connection stays."`)
		p.Want(`document.querySelector('[data-connection="chat"]').dataset.state === "open"`)
		p.Want(`!document.querySelector("#messages").textContent.includes("lost")`)
		p.Send("still here")
		p.Wait(`document.querySelector("#status").textContent.startsWith("Committed after ")`)
		wantNoErrors(t, p)
	})

	t.Run("a message too big for a NOTIFY", func(t *testing.T) {
		t.Parallel()
		p := browsertest.OpenDemo(t, d.page)
		p.Join("big")
		p.WaitState("big", "open")
		for _, size := range []int{9000, 7990} { // The client knows the first, the server the second.
			p.Send(strings.Repeat("x", size))
			p.Wait(fmt.Sprintf(`document.querySelector("#text").value.length === %d`, size))
			p.Want(`document.querySelector("#status").textContent.startsWith("Not sent: too_large: ")`)
			p.Enter("#text", "")
		}
		p.Picture("demo-too-big")
		p.Send(strings.Repeat("x", 7000))
		p.WaitNewest(strings.Repeat("x", 7000))
		wantNoErrors(t, p)
	})
}
