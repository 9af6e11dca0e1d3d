package e2e_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/page/browsertest"
)

// serving are settings under which `pgws` serves on a database.
func serving(uri string) []string {
	return []string{
		"PGWS_DB_URI=" + uri, "PGWS_JWT_SECRET=a-secret-of-at-least-thirty-two-bytes",
		"PGWS_HOST=127.0.0.1", "PGWS_PORT=0", "PGWS_CHECK_LISTENER_INTERVAL=1000",
	}
}

// serve runs `pgws` and returns the address of its page.
func serve(t *testing.T, variables []string) (p *program, page string) {
	t.Helper()
	p = run(t, variables)
	return p, "http://" + p.Await(t, &p.Log, `address=(\S+)`)[1] + "/"
}

// The steps of client-example/README.md.
func TestClientExample(t *testing.T) {
	t.Parallel()
	folder, err := filepath.Abs("../client-example")
	check(t, err)
	uri := pgtest.Private(t, devpg.Options{}).URI()
	settings := append(serving(uri), "PGWS_ROOT_PATH="+folder)
	server, page := serve(t, settings)
	minted := run(t, settings, "token", "--mode", "rw", "--channel", "chat", "--ttl", "1h", "--claim", "sub=me")
	minted.wait(t)
	token := strings.TrimSpace(minted.Out.String())

	p := browsertest.Open(t, page+"#"+token)
	p.Want(`location.href.endsWith("/") && document.querySelector("[name=token]").value.length > 10`)
	p.Click("#join button")
	p.Wait(`document.querySelector("#state").textContent === "Joined chat."`)
	p.Enter("[name=text]", "Hello from the smallest <b>page</b>.")
	p.Press("\r")
	newest := func(text string) {
		p.Wait(fmt.Sprintf(`document.querySelector("#messages li:last-child")?.textContent === %q`, text))
	}
	newest("me: Hello from the smallest <b>page</b>.")
	for notified, shown := range map[string]string{
		`{"channel":"chat","payload":"hello from SQL"}`: "hello from SQL",
		`{"channel":"chat","payload":{"id":1}}`:         `{"channel":"chat","payload":{"id":1}}`,
	} {
		executeAt(t, uri, `select pg_notify('postgres-websockets-listener', '`+notified+`')`)
		newest(shown)
	}
	p.Picture("client-example-light")
	p.Theme("dark")
	p.Size(390, 844, 2)
	p.Want(`document.documentElement.scrollWidth <= 390`)
	p.Picture("client-example-390-dark")

	t.Log("The token allows chat alone.")
	p.Enter("[name=channel]", "orders")
	p.Press("\r")
	p.Wait(`document.querySelector("#state").textContent.startsWith("Closed: 1006")`)
	p.Enter("[name=channel]", "chat")
	p.Press("\r")
	p.Wait(`document.querySelector("#state").textContent === "Joined chat."`)

	t.Log("Another channel takes the place of the first. What is no JSON is shown as it is, until the token expires.")
	p.Enter("[name=channel]", "postgres-websockets-listener")
	// A busy machine may take so long that the token has expired before the page connects. Then the server refuses it.
	for life := 4 * time.Second; ; life *= 2 {
		short := run(t, settings, "token", "--mode", "rw", "--ttl", life.String())
		short.wait(t)
		p.Enter("[name=token]", strings.TrimSpace(short.Out.String()))
		p.Press("\r")
		p.Wait(`/^(Joined postgres|Closed)/.test(document.querySelector("#state").textContent)`)
		if browsertest.Eval[string](p, `document.querySelector("#state").textContent`) == "Joined postgres-websockets-listener." {
			break
		}
	}
	executeAt(t, uri, `select pg_notify('postgres-websockets-listener', 'raw')`)
	newest("raw")
	p.Wait(`document.querySelector("#state").textContent === "Closed: 3001 JWT expired"`)
	p.Want(`document.querySelector("#send button").disabled`)

	t.Log("A token in the query string is not taken.")
	other := browsertest.Open(t, page+"?token="+token+"&"+token)
	other.Want(`document.querySelector("[name=token]").value === ""`)

	p.Enter("[name=token]", token)
	p.Enter("[name=channel]", "chat")
	p.Press("\r")
	p.Wait(`document.querySelector("#state").textContent === "Joined chat."`)
	server.stop(t)
	p.Wait(`document.querySelector("#state").textContent.startsWith("Closed: 1001")`)
	p.Want(`document.querySelector("#send button").disabled`)
}
