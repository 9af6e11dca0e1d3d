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
		p.Wait(`document.querySelector("#status").textContent.startsWith("Not sent: mode “r” only receives")`)

		t.Log("The server ignores it too. It answers the close after what came before.")
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

	t.Run("an expired token", func(t *testing.T) {
		t.Parallel()
		p := browsertest.OpenDemo(t, d.page)
		// A busy machine may take so long that the token has expired before the page connects. Then the server refuses it.
		for life := int64(3); ; life *= 2 {
			p.Claim(fmt.Sprintf(`{"mode":"rw","exp":%d}`, time.Now().Unix()+life))
			p.WaitState("chat", "closed")
			if browsertest.Eval[string](p, `document.querySelector('[data-connection="chat"]').dataset.code`) == "3001" {
				break
			}
		}
		p.Wait(`document.querySelector("#messages").textContent.includes("closed: 3001 the token has expired (“JWT expired”)")`)
		p.Wait(`document.querySelector("#token-life").textContent === "Expired"`)
		p.Click(`[data-connection="chat"] .channel-reconnect`)
		p.WaitState("chat", "open")
		p.Want(`document.querySelector("#status").textContent.startsWith("The token had expired")`)
	})

	t.Run("a message too big for a NOTIFY", func(t *testing.T) {
		t.Parallel()
		p := browsertest.OpenDemo(t, d.page)
		p.Join("big")
		p.WaitState("big", "open")
		p.Send(strings.Repeat("x", 9000))
		p.WaitState("big", "closed")
		const why = `1009 the message is too big: a NOTIFY carries less than 8000 bytes`
		p.Wait(`document.querySelector("#messages").textContent.includes("closed: ` + why + `")`)
		p.Want(`document.querySelector('[data-connection="big"] .channel-detail').textContent.includes("8000 bytes")`)
		p.Picture("demo-too-big")
		p.Click(`[data-connection="big"] .channel-reconnect`)
		p.WaitState("big", "open")
		p.Send(strings.Repeat("x", 7000))
		p.WaitNewest(strings.Repeat("x", 7000))
		wantNoErrors(t, p)
	})
}
