package page_test

import (
	"fmt"
	"testing"
	"time"
)

func TestEditedClaims(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)
	before := eval[string](p, `document.querySelector("#token").textContent`)

	p.enter("#claims", `{"mode":"rw","sub":"ada","team":{"id":7}}`)
	p.click("#claims-apply")
	p.wait(`document.querySelector("#status").textContent.startsWith("Signed.")`)
	p.waitState("chat", "open")
	p.send("it is me")
	p.wait(newest + `?.querySelector(".from").textContent === "ada"`)
	p.want(newest + `.dataset.own === "true"`)
	p.want(newest + `.querySelector("summary").textContent.includes('team {"id":7}')`)
	p.want(`document.querySelector("#token-life").textContent === "Never expires"`)
	p.want(`document.querySelector("#step-claims").dataset.done === "true"`)
	if after := eval[string](p, `document.querySelector("#token").textContent`); after == before {
		t.Error("the token shown is still the old one")
	}

	t.Log("What cannot be signed changes nothing.")
	for claims, problem := range map[string]string{
		`{"mode":`:         "JSON",
		`[]`:               "The claims must be a JSON object.",
		`{"unsignable":1}`: "this claim has the wrong type",
	} {
		p.enter("#claims", claims)
		p.click("#claims-apply")
		p.wait(fmt.Sprintf(`document.querySelector("#claims-problem").textContent.includes(%q)`, problem))
		p.want(`document.querySelector("#claims").getAttribute("aria-invalid") === "true"`)
		p.want(`document.querySelector('[data-connection="chat"]').dataset.state === "open"`)
	}
	p.send("still me")
	p.waitNewest("still me")
	p.want(newest + `.querySelector(".from").textContent === "ada"`)

	p.click("#preset-receive")
	p.wait(`document.querySelector("#claims").value.includes('"mode": "r"')`)
	p.waitState("chat", "open")
	p.send("nobody hears this")
	p.wait(`document.querySelector("#status").textContent.startsWith("Not sent: mode “r” only receives")`)
	p.click("#preset-reset")
	p.wait(`document.querySelector("#claims").value.includes('"exp"')`)
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
			p := openDemo(t, newRelay(t, nil))
			p.enter("#claims", tt.claims)
			p.click("#claims-apply")
			p.waitState("chat", "closed")
			p.want(fmt.Sprintf(`document.querySelector('[data-connection="chat"] .channel-detail').textContent.includes(%q)`, tt.detail))
			p.send("hello")
			p.wait(`document.querySelector("#status").textContent === "Not sent: chat is not open."`)
		})
	}
}

func TestAllChannelsOfTheToken(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)
	p.enter("#claims", `{"mode":"rw","sub":"ada","channel":"a","channels":["a","b"]}`)
	p.click("#claims-apply")
	p.waitState("chat", "closed")
	p.join("")
	p.waitState("all of the token", "open")
	p.send("to both")
	p.wait(`document.querySelectorAll('#messages article[data-own="true"]').length === 2`)
	p.want(`[...document.querySelectorAll("#messages article")].map((a) => a.dataset.channel).join() === "a,b"`)
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)
	p.enter("#claims", fmt.Sprintf(`{"mode":"rw","sub":"ada","exp":%d}`, time.Now().Unix()+2))
	p.click("#claims-apply")
	p.wait(`document.querySelector("#status").textContent.startsWith("Signed.")`)
	p.waitState("chat", "open")
	p.wait(`document.querySelector("#token-life").textContent === "Expired"`)
	r.end(3001, "JWT expired")
	p.waitState("chat", "closed")
	p.want(`document.querySelector('[data-connection="chat"]').dataset.code === "3001"`)
	p.want(`document.querySelector("#messages").textContent.includes("closed: 3001 the token has expired (“JWT expired”)")`)
	p.click(`[data-connection="chat"] .channel-reconnect`)
	p.waitState("chat", "open")
	p.want(`document.querySelector("#token-life").textContent === "Expires in 60 min"`)
	p.want(`document.querySelector("#status").textContent.startsWith("The token had expired")`)
}
