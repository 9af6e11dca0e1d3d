package e2e_test

import (
	"path/filepath"
	"testing"

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
	return p, "http://" + p.await(t, &p.stderr, `address=(\S+)`)[0] + "/"
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

	p := browsertest.Open(t, page+"#"+minted.stdout.String())
	p.Click("#join button")
	p.Wait(`document.querySelector("#state").textContent === "Joined chat."`)
	p.Enter("[name=text]", "Hello from the smallest page.")
	p.Press("\r")
	const newest = `document.querySelector("#messages li:last-child")?.textContent`
	p.Wait(newest + ` === "me: Hello from the smallest page."`)
	executeAt(t, uri, `select pg_notify('postgres-websockets-listener', '{"channel":"chat","payload":"hello from SQL"}')`)
	p.Wait(newest + ` === "hello from SQL"`)
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
	server.stop(t)
	p.Wait(`document.querySelector("#state").textContent.startsWith("Closed: 1001")`)
	p.Want(`document.querySelector("#send button").disabled`)
}
