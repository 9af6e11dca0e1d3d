package page_test

import (
	"fmt"
	"testing"
)

// newest is the last message in the stream.
const newest = `[...document.querySelectorAll("#messages article")].at(-1)`

// openDemo opens the relay's page and waits until it has joined chat.
func openDemo(t *testing.T, r *relay) *tab {
	t.Helper()
	p := open(t, r.URL)
	p.waitState("chat", "open")
	return p
}

// waitState waits until a channel's connection is connecting, open, waiting or closed.
func (p *tab) waitState(channel, state string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`document.querySelector("[data-connection=" + CSS.escape(%q) + "]")?.dataset.state === %q`, channel, state))
}

// waitNewest waits until the last message reads text.
func (p *tab) waitNewest(text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`%s?.querySelector(".text").textContent === %q`, newest, text))
}

func (p *tab) join(channel string) {
	p.t.Helper()
	p.enter("#join-channel", channel)
	p.click("#join")
}

func (p *tab) send(text string) {
	p.t.Helper()
	p.enter("#text", text)
	p.click("#send")
}

// want fails the test unless a JavaScript expression is true.
func (p *tab) want(expression string) {
	p.t.Helper()
	if !eval[bool](p, expression) {
		p.t.Errorf("not true: %s", expression)
	}
}

func TestFirstPaint(t *testing.T) {
	t.Parallel()
	p := openDemo(t, newRelay(t, nil))
	p.wait(`document.querySelector("#events").textContent.includes("chat")`)
	p.want(`document.querySelector('#events [data-event="ConnectionOpen"]') !== null`)
	p.want(`document.querySelector("#psql").textContent.startsWith("psql 'host=")`)
	p.want(`document.querySelector("#sql").textContent.startsWith("SELECT pg_notify('postgres-websockets-listener',")`)
	p.want(`document.querySelector("#sql").textContent.includes("'channel', 'chat'")`)
	p.want(`document.querySelector("#token").textContent !== ""`)
	p.want(`document.querySelector("#send-to").value === "chat"`)
}

func TestSendingAndReceiving(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)

	p.send("hello")
	p.waitNewest("hello")
	p.want(newest + `.dataset.own === "true"`)
	p.want(newest + `.dataset.took > 0 && ` + newest + `.querySelector(".took").textContent.endsWith("round trip")`)
	p.want(newest + `.querySelector(".from").textContent === JSON.parse(document.querySelector("#claims").value).sub`)
	p.want(`document.querySelector("#text").value === "" && document.activeElement.id === "text"`)
	p.want(`document.querySelector("#step-send").dataset.done === "true"`)

	t.Log("The same words by somebody else are not taken for this window's own.")
	r.message("WebsocketMessage", "chat", "hello", map[string]any{"sub": "somebody", "roles": []string{"admin"}, "none": nil})
	p.wait(newest + `.querySelector(".from").textContent === "somebody"`)
	p.want(newest + `.dataset.own === "false" && ` + newest + `.querySelector(".took").textContent.endsWith("from server")`)
	p.want(newest + `.querySelector("summary").textContent === 'none null · roles ["admin"] · sub somebody'`)
	p.click("#messages article:last-child summary")
	p.wait(newest + `.querySelector("pre").textContent.includes('"message_delivered_at": ')`)
	p.wait(`document.querySelector("#announcer").textContent.includes("somebody in chat: hello")`)

	r.notify(`{"channel":"chat","payload":"from a trigger","event":"insert"}`)
	p.waitNewest("from a trigger")
	p.want(newest + `.querySelector(".from").textContent === "SQL" && ` + newest + `.querySelector(".event").textContent === "insert"`)
	p.want(`document.querySelector("#step-sql").dataset.done === "true"`)
	p.wait(`document.querySelector('[data-connection="chat"] .channel-count').textContent === "3"`)

	p.click("#clear")
	p.wait(`document.querySelector("#messages").childElementCount === 0`)
}

func TestTwoWindows(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	here, there := openDemo(t, r), openDemo(t, r)
	here.send("can you see me?")
	there.waitNewest("can you see me?")
	there.want(newest + `.dataset.own === "false"`)
	there.want(`document.querySelector("#step-window").dataset.done === "true"`)
	there.send("yes")
	here.waitNewest("yes")
}

func TestSeveralChannels(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)
	const odd = `a/b ?#%'ö`
	p.join("orders")
	p.waitState("orders", "open")
	p.join(odd)
	p.waitState(`a/b ?#%'ö`, "open")
	p.want(`document.querySelector("#sql").textContent.includes("'channel', 'a/b ?#%''ö'")`)

	p.send("to the odd one")
	p.waitNewest("to the odd one")
	p.choose("#send-to", "orders")
	p.send("to orders")
	p.waitNewest("to orders")
	p.want(newest + `.dataset.channel === "orders"`)

	t.Log("One channel is looked at, and then sent to.")
	p.click(`[data-connection="chat"] .channel-view`)
	p.wait(`document.querySelectorAll("#messages article").length === 0`)
	p.want(`document.querySelector("#view-all").getAttribute("aria-pressed") === "false"`)
	p.send("to chat")
	p.waitNewest("to chat")
	r.notify(`{"channel":"orders","payload":"not shown now"}`)
	p.wait(`document.querySelector('[data-connection="orders"] .channel-count').textContent === "2"`)
	p.want(`document.querySelectorAll("#messages article").length === 1`)
	p.click("#view-all")
	p.waitNewest("not shown now")
	p.want(`document.querySelectorAll("#messages article").length === 4`)

	p.click(`[data-connection="orders"] .channel-leave`)
	p.wait(`document.querySelector('[data-connection="orders"]') === null`)
	p.want(`[...document.querySelector("#send-to").options].length === 2`)
	p.join("..")
	p.wait(`document.querySelector("#status").textContent.includes("cannot stand in an address")`)
}

func TestRawText(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)
	p.join(listenChannel)
	p.waitState(listenChannel, "open")
	for _, raw := range []string{`just text`, `{"channel":`, `[1,2]`, `null`, `{"payload":"no channel"}`, `"text"`} {
		r.notify(raw)
		p.waitNewest(raw)
		p.want(newest + `.dataset.raw === "true" && ` + newest + `.querySelector(".event").textContent === "raw text"`)
		p.want(newest + `.dataset.channel === "` + listenChannel + `"`)
	}
	r.notify(`{"channel":"chat","payload":{"id":1}}`)
	p.waitNewest(`{"id":1}`)
	r.notify(`{"channel":"chat"}`)
	p.waitNewest(`{"channel":"chat"}`)
}

func TestMarkupStaysText(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)
	const markup = `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`
	p.join(markup)
	p.wait(`document.querySelectorAll("#channels [data-state=open]").length === 2`)
	before := eval[int](p, `document.images.length + document.scripts.length`)
	r.message(markup, markup, markup, map[string]any{"sub": markup, markup: markup})
	p.waitNewest(markup)
	r.message(markup, metaChannel, markup, map[string]any{"sub": markup})
	p.wait(`document.querySelector("#events .event").textContent.startsWith("<img")`)
	p.click("#messages article:last-child summary")
	p.wait(newest + `.querySelector("pre").textContent.includes("<img")`)
	p.wait(`document.querySelector("#announcer").textContent.includes("<img")`)
	if after := eval[int](p, `document.images.length + document.scripts.length`); after != before {
		t.Errorf("%d images and scripts in the page, before the message %d", after, before)
	}
	p.want(`document.title === "pgws dev"`)
}

func TestBurst(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)
	const burst = 5000
	for i := range burst {
		r.notify(fmt.Sprintf(`{"channel":"chat","event":"WebsocketMessage","payload":"%d"}`, i))
	}
	p.wait(fmt.Sprintf(`document.querySelector("#message-count").dataset.total === "%d"`, burst))
	p.waitNewest(fmt.Sprint(burst - 1))
	p.wait(`document.querySelector("#messages").childElementCount === 500`)
	t.Log("Older rows are drawn last, and in order.")
	p.want(`[...document.querySelectorAll("#messages .text")].every((e, i) => e.textContent === String(4500 + i))`)
	p.want(`(() => { const m = document.querySelector("#messages"); return m.scrollHeight - m.scrollTop - m.clientHeight < 2 })()`)

	t.Log("Who looks back is left there, and comes to the newest by a button.")
	eval[bool](p, `(document.querySelector("#messages").scrollTop = 0, true)`)
	p.wait(`!document.querySelector("#to-newest").hidden`)
	r.notify(`{"channel":"chat","payload":"one more"}`)
	p.wait(`document.querySelector("#to-newest").textContent === "1 newer ↓"`)
	p.want(`document.querySelector("#messages").scrollTop < 200`)
	p.click("#to-newest")
	p.waitNewest("one more")
	p.wait(`document.querySelector("#to-newest").hidden`)
}
