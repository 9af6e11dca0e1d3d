package page_test

import (
	"fmt"
	"testing"
	"time"

	"pgws/internal/page/browsertest"
)

func TestEditedClaims(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	before := browsertest.Eval[string](p, `document.querySelector("#token").textContent`)

	t.Log("Claims of the same name make nobody else.")
	p.Click("#preset-expire")
	p.Wait(`document.querySelector("#status").textContent.startsWith("Signed.")`)
	p.Want(`document.querySelector("#step-claims").dataset.done === undefined`)

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
	p.Click("#preset-reset")
	p.Wait(`document.querySelector("#claims").value.includes('"exp"')`)
}

func TestAllChannelsOfTheToken(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	p.Join("")
	p.Wait(`document.querySelector("#status").textContent.startsWith("The token names no channels")`)
	p.Claim(`{"mode":"rw","sub":"ada","channel":"a","channels":["a","b"]}`)
	p.Join("")
	for _, channel := range []string{"a", "b"} {
		p.WaitState(channel, "open")
		p.Choose("#send-to", channel)
		p.Send("to " + channel)
		p.WaitNewest("to " + channel)
		p.WantNewest(`.dataset.own === "true" && ` + browsertest.Newest + `.dataset.channel === "` + channel + `"`)
	}
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	p.Click("#renew")
	p.Claim(fmt.Sprintf(`{"mode":"rw","sub":"ada","exp":%d}`, time.Now().Unix()+2))
	p.WaitState("chat", "open")
	p.Wait(`document.querySelector("#token-life").textContent === "Expired"`)
	r.end(3001, "JWT expired")
	p.WaitState("chat", "closed")
	p.Want(`document.querySelector("#connection").dataset.code === "3001"`)
	p.Want(`document.querySelector("#status").textContent === ""`)
	p.Want(`document.querySelector("#connection-detail").textContent === "3001 the token has expired (“JWT expired”)"`)
	p.Wait(`document.querySelector("#messages").textContent.includes("closed: 3001 the token has expired (“JWT expired”)")`)
	p.Send("too late")
	p.Wait(`document.querySelector("#status").textContent.startsWith("Not sent: closed: ")`)
	p.Click("#reconnect")
	p.WaitState("chat", "open")
	p.Want(`document.querySelector("#token-life").textContent === "Expires in 60 min"`)
	p.Want(`document.querySelector("#status").textContent.startsWith("The token had expired")`)
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	p.Claim(fmt.Sprintf(`{"mode":"rw","sub":"ada","exp":%d}`, time.Now().Unix()+2000))
	p.WaitState("chat", "open")
	before := browsertest.Eval[string](p, `document.querySelector("#token").textContent`)
	p.Wait(fmt.Sprintf(`Date.now() / 1000 >= %d`, time.Now().Unix()+2)) // So that it ends later by whole seconds.
	p.Enter("#claims", "being edited")
	r.expiring(30)
	p.Wait(fmt.Sprintf(`document.querySelector("#token").textContent !== %q`, before))
	p.Wait(`document.querySelector("#status").textContent === "The token is renewed. The connection stays."`)
	p.Want(`document.querySelector("#claims").value === "being edited"`)
	p.Send("still ada")
	p.Wait(browsertest.Newest + `?.querySelector(".from").textContent === "ada"`)
	p.Want(`!document.querySelector("#messages").textContent.includes("lost")`)
}
