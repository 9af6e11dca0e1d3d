package e2e_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/page/browsertest"
	"pgws/internal/programtest"
)

// Without PGWS_ROOT_PATH a server says how it is, and follows its database.
func TestStatus(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Private(t, devpg.Options{})
	server, page := serve(t, serving(cluster.URI()))
	p := browsertest.Open(t, page)
	p.Want(`document.querySelector("h1").textContent === "pgws ` + version + `"`)
	p.Want(`document.querySelector("#address").textContent === "ws://" + location.host + "/CHANNEL/TOKEN"`)
	become := func(text string) {
		t.Helper()
		programtest.Eventually(t, "the page says "+text, func() bool {
			p.Do(chromedp.Reload())
			return browsertest.Eval[string](p, `document.querySelector("#state").textContent`) == text
		})
	}
	become("Running, ready.")
	p.Picture("status-light")
	p.Theme("dark")
	p.Size(390, 844, 2)
	p.Want(`document.documentElement.scrollWidth <= 390`)
	p.Picture("status-390-dark")

	check(t, cluster.Stop(t.Context(), devpg.Fast))
	become("Running, not ready: the database does not answer yet.")
	p.Picture("status-not-ready")
	check(t, cluster.Start(t.Context()))
	become("Running, ready.")
	wantNoErrors(t, p)
	server.stop(t)
}
