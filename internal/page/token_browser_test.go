package page_test

import (
	"fmt"
	"testing"
	"time"

	"pgws/internal/page/browsertest"
)

func TestEditedClaims(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := browsertest.OpenDemo(t, r.URL)
	before := browsertest.Eval[string](p, `document.querySelector("#token").textContent`)

	p.Claim(`{"mode":"rw","sub":"ada","team":{"id":7}}`)
	p.WaitState("chat", "open")
	p.Send("it is me")
	p.Wait(browsertest.Newest + `?.querySelector(".from").textContent === "ada"`)
	p.WantNewest(`.dataset.own === "true"`)
	p.WantNewest(`.querySelector("summary").textContent.includes('team {"id":7}')`)
	p.Want(`document.querySelector("#token-life").textContent === "Never expires"`)
	p.Want(`document.querySelector("#step-claims").dataset.done === "true"`)
	if after := browsertest.Eval[string](p, `document.querySelector("#token").textContent`); after == before {
		t.Error("the token shown is still the old one")
	}

	t.Log("What cannot be signed changes nothing.")
	for claims, problem := range map[string]string{
		`{"mode":`:         "JSON",
		`[]`:               "The claims must be a JSON object.",
		`{"unsignable":1}`: "this claim has the wrong type",
	} {
		p.Enter("#claims", claims)
		p.Click("#claims-apply")
		p.Wait(fmt.Sprintf(`document.querySelector("#claims-problem").textContent.includes(%q)`, problem))
		p.Want(`document.querySelector("#claims").getAttribute("aria-invalid") === "true"`)
		p.Want(`document.querySelector('[data-connection="chat"]').dataset.state === "open"`)
	}
	p.Send("still me")
	p.WaitNewest("still me")
	p.WantNewest(`.querySelector(".from").textContent === "ada"`)

	p.Click("#preset-receive")
	p.Wait(`document.querySelector("#claims").value.includes('"mode": "r"')`)
	p.WaitState("chat", "open")
	p.Send("nobody hears this")
	p.Wait(`document.querySelector("#status").textContent.startsWith("Not sent: mode “r” only receives")`)
	p.Click("#preset-reset")
	p.Wait(`document.querySelector("#claims").value.includes('"exp"')`)
}

func TestRefusedClaims(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ claims, detail string }{
		"another channel": {`{"mode":"rw","channels":["a","b"]}`, "refused: the token allows only a, b"},
		"no mode":         {`{}`, "refused: the claim mode must be r, w or rw"},
		"expired":         {`{"mode":"rw","exp":1}`, "refused: the token has expired"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := browsertest.OpenDemo(t, newRelay(t, nil).URL)
			p.Claim(tt.claims)
			p.WaitState("chat", "closed")
			p.Want(fmt.Sprintf(`document.querySelector('[data-connection="chat"] .channel-detail').textContent.includes(%q)`, tt.detail))
			p.Send("hello")
			p.Wait(`document.querySelector("#status").textContent === "Not sent: chat is not open."`)
		})
	}
}

func TestAllChannelsOfTheToken(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := browsertest.OpenDemo(t, r.URL)
	p.Claim(`{"mode":"rw","sub":"ada","channel":"a","channels":["a","b"]}`)
	p.WaitState("chat", "closed")
	p.Join("")
	p.WaitState("all of the token", "open")
	p.Send("to both")
	p.Wait(`document.querySelectorAll('#messages article[data-own="true"]').length === 2`)
	p.Want(`[...document.querySelectorAll("#messages article")].map((a) => a.dataset.channel).join() === "a,b"`)
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := browsertest.OpenDemo(t, r.URL)
	p.Claim(fmt.Sprintf(`{"mode":"rw","sub":"ada","exp":%d}`, time.Now().Unix()+2))
	p.WaitState("chat", "open")
	p.Wait(`document.querySelector("#token-life").textContent === "Expired"`)
	r.end(3001, "JWT expired")
	p.WaitState("chat", "closed")
	p.Want(`document.querySelector('[data-connection="chat"]').dataset.code === "3001"`)
	p.Wait(`document.querySelector("#messages").textContent.includes("closed: 3001 the token has expired (“JWT expired”)")`)
	p.Click(`[data-connection="chat"] .channel-reconnect`)
	p.WaitState("chat", "open")
	p.Want(`document.querySelector("#token-life").textContent === "Expires in 60 min"`)
	p.Want(`document.querySelector("#status").textContent.startsWith("The token had expired")`)
}
