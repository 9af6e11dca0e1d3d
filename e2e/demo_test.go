package e2e_test

import (
	"fmt"
	"testing"

	"pgws/internal/page/browsertest"
)

// orders is a table whose rows a trigger announces on the channel orders, and a first row.
const orders = `
	create table orders (id int, state text, total numeric(9, 2));
	create function announce() returns trigger language plpgsql as $$ begin
		perform pg_notify('postgres-websockets-listener',
			json_build_object('channel', 'orders', 'event', lower(tg_op), 'payload', new)::text);
		return null;
	end $$;
	create trigger announce after insert or update on orders for each row execute function announce();
	insert into orders values (1042, 'paid', 17.50)`

// A newcomer's first minutes: what the page invites to, in two windows and in SQL, until Ctrl-C.
func TestDemo(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	here := browsertest.OpenDemo(t, d.page)
	here.Want(`document.querySelector("h1").textContent === "pgws dev ` + version + `"`)
	here.Wait(event(browsertest.Eval[string](here, `JSON.parse(document.querySelector("#claims").value).sub`)))
	here.Theme("light")
	here.Picture("demo-first-paint")

	here.Claim(`{"mode":"rw","sub":"grace"}`)
	here.WaitState("chat", "open")
	here.Wait(event("grace"))
	here.Join("orders")
	here.WaitState("orders", "open")
	there := browsertest.OpenDemo(t, d.page)
	there.Claim(`{"mode":"rw","sub":"ada","roles":["admin"]}`)
	there.WaitState("chat", "open")
	here.Wait(event("ada"))
	here.Click("#clear")
	here.Choose("#send-to", "chat")

	converse(t, d, here, there)
	here.Want(`document.querySelectorAll(".steps li[data-done=true]").length === 5`)
	pictures(here)
	wantNoErrors(t, here, there)

	t.Log("Ctrl-C.")
	d.stop(t)
	for _, p := range []*browsertest.Tab{here, there} {
		p.WaitState("chat", "waiting")
		p.Wait(`document.querySelector("#messages").textContent.includes("lost: 1001 the server is going away")`)
		p.Wait(`document.querySelector('[data-connection="chat"] .channel-state').textContent === "trying again"`)
	}
	here.Picture("demo-server-stopped")
	d.wantNothingLeft(t)
}

// A page whose network breaks comes back by itself, and misses nothing.
func TestDemoResumes(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	n := startNetwork(t, d.page)
	p := browsertest.OpenDemo(t, n.page())
	p.Send("before")
	p.WaitNewest("before")

	n.lead("")
	n.cut()
	p.WaitState("chat", "waiting")
	p.Wait(`document.querySelector("#messages").textContent.includes("lost: 1006 ")`)
	execute(t, d.psql, browsertest.Eval[string](p, `document.querySelector("#sql").textContent`))
	p.Wait(`document.querySelector("#connection-detail").textContent === "the server does not answer"`)
	n.lead(d.page)
	p.WaitState("chat", "open")
	p.WaitNewest("hello from SQL")
	p.Wait(`document.querySelector("#messages").textContent.includes("resumed, nothing was missed")`)
	p.Picture("demo-resumed")
}

// event is true once the page shows that the server tells of a connection by somebody.
func event(sub string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('#events [data-event="ConnectionOpen"]')].some((e) =>
		e.querySelector(".from").textContent === %q)`, sub)
}

// converse is a conversation of two windows, a copied statement and a trigger.
func converse(t *testing.T, d *dev, here, there *browsertest.Tab) {
	t.Helper()
	here.Send("Hello! Where does this go?")
	here.WaitNewest("Hello! Where does this go?")
	here.WantNewest(`.dataset.own === "true"`)
	here.WantNewest(`.querySelector(".from").textContent === "grace"`)
	here.WantNewest(`.dataset.took > 0`)
	here.WantNewest(`.querySelector(".took").textContent.endsWith("s round trip")`)
	here.Wait(`document.querySelector("#status").textContent.startsWith("Committed after ")`)
	here.WantNewest(`.querySelector("summary").textContent === "mode rw · sub grace"`)
	here.Click("#messages article:last-child summary")
	here.Wait(browsertest.Newest + `.querySelector("pre").textContent.includes('"message_delivered_at": ')`)
	here.Click("#messages article:last-child summary")

	there.Send("Into PostgreSQL by NOTIFY, and back by LISTEN.")
	here.WaitNewest("Into PostgreSQL by NOTIFY, and back by LISTEN.")
	here.WantNewest(`.dataset.own === "false"`)
	here.WantNewest(`.querySelector(".took").textContent.endsWith("s from server")`)
	here.WantNewest(`.querySelector("summary").textContent === 'mode rw · roles ["admin"] · sub ada'`)

	if psql := browsertest.Eval[string](here, `document.querySelector("#psql").textContent`); psql != d.psql {
		t.Errorf("the page's psql line is not the one that was printed, %s", d.psql)
	}
	execute(t, d.psql, copied(t, here, "sql"))
	here.WaitNewest("hello from SQL")
	there.WaitNewest("hello from SQL")
	here.WantNewest(`.querySelector(".from").textContent === "SQL"`)

	here.Send("So a trigger can tell every browser?")
	there.WaitNewest("So a trigger can tell every browser?")
	execute(t, d.psql, orders)
	here.WaitNewest(`{"id":1042,"state":"paid","total":17.50}`)
	here.WantNewest(`.dataset.channel === "orders"`)
	here.WantNewest(`.querySelector(".event").textContent === "insert"`)
	there.Send("Yes: whatever a transaction notifies is here once it has committed.")
	here.WaitNewest("Yes: whatever a transaction notifies is here once it has committed.")
	here.Send("Then I need no polling any more.")
	there.WaitNewest("Then I need no polling any more.")
	here.WaitNewest("Then I need no polling any more.")
	here.Wait(`document.querySelector("#status").textContent.startsWith("Committed after ")`)
}

// copied presses the button that copies an element of the page, and returns what a paste then gives.
func copied(t *testing.T, p *browsertest.Tab, id string) string {
	t.Helper()
	p.Click(fmt.Sprintf("[data-copy=%s]", id))
	p.Wait(`document.querySelector("#status").textContent === "Copied."`)
	browsertest.Eval[bool](p, `(document.body.appendChild(document.createElement("textarea")).focus(), true)`)
	p.Paste()
	text := browsertest.Eval[string](p, `document.body.lastElementChild.value`)
	browsertest.Eval[bool](p, `(document.body.lastElementChild.remove(), true)`)
	return text
}

// pictures shows the page in both themes and on screens of three widths. It leaves the window as it was.
func pictures(p *browsertest.Tab) {
	p.Size(1280, 800, 1.25)
	p.Picture("demo-wide-light")
	for _, theme := range []string{"dark", "light"} {
		p.Theme(theme)
		p.Size(390, 844, 2)
		p.Picture("demo-390-" + theme)
		p.Size(390, 2600, 1)
		p.Picture("demo-390-tall-" + theme)
		p.Size(900, 1000, 1)
		p.Picture("demo-900-" + theme)
		p.Size(1280, 800, 1)
		p.Picture("demo-" + theme)
	}
}
