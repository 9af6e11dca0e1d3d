package page_test

import (
	"fmt"
	"testing"

	"pgws/internal/page/browsertest"
)

func TestFirstPaint(t *testing.T) {
	t.Parallel()
	p := browsertest.OpenDemo(t, newRelay(t).URL)
	p.Wait(`document.querySelectorAll('#events [data-event="ConnectionOpen"]').length === 1`)
	p.Want(`document.querySelector("#connection-state").textContent === "Connected by websocket"`)
	p.Want(`document.querySelector("#psql").textContent.startsWith("psql 'host=")`)
	p.Want(`document.querySelector("#sql").textContent.startsWith("SELECT pg_notify('postgres-websockets-listener',")`)
	p.Want(`document.querySelector("#sql").textContent.includes("'channel', 'chat'")`)
	p.Want(`document.querySelector("#token").textContent !== ""`)
	p.Want(`document.querySelector("#send-to").value === "chat"`)
}

func TestSendingAndReceiving(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)

	p.Send("hello")
	p.WaitNewest("hello")
	p.WantNewest(`.dataset.own === "true"`)
	p.WantNewest(`.dataset.took > 0`)
	p.WantNewest(`.querySelector(".took").textContent.endsWith("round trip")`)
	p.WantNewest(`.querySelector(".from").textContent === JSON.parse(document.querySelector("#claims").value).sub`)
	p.Want(`document.querySelector("#text").value === "" && document.activeElement.id === "text"`)
	p.Want(`document.querySelector("#step-send").dataset.done === "true"`)
	p.Wait(`/^Committed after (< )?[0-9.]+ m?s\.$/.test(document.querySelector("#status").textContent)`)

	t.Log("The same words by somebody else are not taken for this window's own.")
	r.message("WebsocketMessage", "chat", "hello", map[string]any{"sub": "somebody", "roles": []string{"admin"}, "none": nil})
	p.Wait(browsertest.Newest + `.querySelector(".from").textContent === "somebody"`)
	p.WantNewest(`.dataset.own === "false"`)
	p.WantNewest(`.querySelector(".took").textContent.endsWith("from server")`)
	p.WantNewest(`.querySelector("summary").textContent === 'none null · roles ["admin"] · sub somebody'`)
	p.Click("#messages article:last-child summary")
	p.Wait(browsertest.Newest + `.querySelector("pre").textContent.includes('"message_delivered_at": ')`)
	p.Wait(`document.querySelector("#announcer").textContent.includes("somebody in chat: hello")`)

	r.notify(`{"channel":"chat","payload":"from a trigger","event":"insert"}`)
	p.WaitNewest("from a trigger")
	p.WantNewest(`.querySelector(".from").textContent === "SQL"`)
	p.WantNewest(`.querySelector(".event").textContent === "insert"`)
	p.Want(`document.querySelector("#step-sql").dataset.done === "true"`)
	p.Wait(`document.querySelector('[data-connection="chat"] .channel-count').textContent === "3"`)

	p.Click("#clear")
	p.Wait(`document.querySelector("#messages").childElementCount === 0`)
}

func TestTwoWindows(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	here, there := browsertest.OpenDemo(t, r.URL), browsertest.OpenDemo(t, r.URL)
	there.Claim(`{"mode":"rw","sub":"there"}`) // The names that the page draws may be equal.
	there.WaitState("chat", "open")
	here.Send("can you see me?")
	there.WaitNewest("can you see me?")
	there.WantNewest(`.dataset.own === "false"`)
	there.Want(`document.querySelector("#step-window").dataset.done === "true"`)
	there.Send("yes")
	here.WaitNewest("yes")
}

func TestSeveralChannels(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	const odd = `a/b ?#%'ö`
	p.Join("orders")
	p.WaitState("orders", "open")
	p.Join(odd)
	p.WaitState(`a/b ?#%'ö`, "open")
	p.Want(`document.querySelector("#sql").textContent.includes("'channel', 'a/b ?#%''ö'")`)

	p.Send("to the odd one")
	p.WaitNewest("to the odd one")
	p.Choose("#send-to", "orders")
	p.Send("to orders")
	p.WaitNewest("to orders")
	p.WantNewest(`.dataset.channel === "orders"`)

	t.Log("One channel is looked at, and then sent to.")
	p.Click(`[data-connection="chat"] .channel-view`)
	p.Wait(`document.querySelectorAll("#messages article").length === 0`)
	p.Want(`document.querySelector("#view-all").getAttribute("aria-pressed") === "false"`)
	p.Send("to chat")
	p.WaitNewest("to chat")
	r.notify(`{"channel":"orders","payload":"not shown now"}`)
	p.Wait(`document.querySelector('[data-connection="orders"] .channel-count').textContent === "2"`)
	p.Want(`document.querySelectorAll("#messages article").length === 1`)
	p.Click("#view-all")
	p.WaitNewest("not shown now")
	p.Want(`document.querySelectorAll("#messages article").length === 4`)

	p.Click(`[data-connection="orders"] .channel-leave`)
	p.Wait(`document.querySelector('[data-connection="orders"]') === null`)
	p.Want(`[...document.querySelector("#send-to").options].length === 2`)
	t.Log("A browser would take this out of an address.")
	p.Join("..")
	p.WaitState("..", "open")
	p.Send("to the parent")
	p.WaitNewest("to the parent")
}

func TestRawText(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	p.Join(listenChannel)
	p.WaitState(listenChannel, "open")
	for raw, shown := range map[string]string{
		`just text`: `just text`, `{"channel":`: `{"channel":`, `[1,2]`: `[1,2]`, `17.50`: `17.50`, `null`: `null`,
		`{"payload":"no channel"}`: `{"payload":"no channel"}`, `"text"`: `text`,
	} {
		r.notify(raw)
		p.WaitNewest(shown)
		p.WantNewest(`.dataset.raw === "true"`)
		p.WantNewest(`.querySelector(".event").textContent === "raw text"`)
		p.WantNewest(`.dataset.channel === "` + listenChannel + `"`)
	}
	t.Log("Numbers keep their digits.")
	r.notify(`{"channel":"chat","payload":{"id":9007199254740993,"total":17.50}}`)
	p.WaitNewest(`{"id":9007199254740993,"total":17.50}`)
	p.Click("#messages article:last-child summary")
	p.Wait(browsertest.Newest + `.querySelector("pre").textContent.includes('"total": 17.50')`)
	r.notify(`{"channel":"chat"}`)
	p.WaitNewest(`{"channel":"chat"}`)
}

func TestMarkupStaysText(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	const markup = `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`
	p.Join(markup)
	p.Wait(`document.querySelectorAll("#channels [data-state=open]").length === 2`)
	before := browsertest.Eval[int](p, `document.images.length + document.scripts.length`)
	r.message(markup, markup, markup, map[string]any{"sub": markup, markup: markup})
	p.WaitNewest(markup)
	r.message(markup, metaChannel, markup, map[string]any{"sub": markup})
	p.Wait(`document.querySelector("#events .event").textContent.startsWith("<img")`)
	p.Click("#messages article:last-child summary")
	p.Wait(browsertest.Newest + `.querySelector("pre").textContent.includes("<img")`)
	p.Wait(`document.querySelector("#announcer").textContent.includes("<img")`)
	if after := browsertest.Eval[int](p, `document.images.length + document.scripts.length`); after != before {
		t.Errorf("%d images and scripts in the page, before the message %d", after, before)
	}
	p.Want(`document.title === "pgws dev"`)
}

func TestBurst(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	const burst = 5000
	for i := range burst {
		r.notify(fmt.Sprintf(`{"channel":"chat","event":"WebsocketMessage","payload":"%d"}`, i))
	}
	p.Wait(fmt.Sprintf(`document.querySelector("#message-count").dataset.total === "%d"`, burst))
	p.WaitNewest(fmt.Sprint(burst - 1))
	p.Wait(`document.querySelector("#messages").childElementCount === 500`)
	t.Log("Older rows are drawn last, and in order.")
	p.Want(`[...document.querySelectorAll("#messages .text")].every((e, i) => e.textContent === String(4500 + i))`)
	p.Want(`(() => { const m = document.querySelector("#messages"); return m.scrollHeight - m.scrollTop - m.clientHeight < 2 })()`)

	t.Log("Who looks back is left there, and comes to the newest by a button.")
	browsertest.Eval[bool](p, `(document.querySelector("#messages").scrollTop = 0, true)`)
	p.Wait(`!document.querySelector("#to-newest").hidden`)
	r.notify(`{"channel":"chat","payload":"one more"}`)
	p.Wait(`document.querySelector("#to-newest").textContent === "1 newer ↓"`)
	p.Want(`document.querySelector("#messages").scrollTop < 200`)
	p.Click("#to-newest")
	p.WaitNewest("one more")
	p.Wait(`document.querySelector("#to-newest").hidden`)
}
