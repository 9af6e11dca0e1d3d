package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"pgws/internal/page/browsertest"
)

// Where a proxy lets no websocket through, the page works by SSE and POST, and says so.
func TestWebsocketsBlocked(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	target, err := url.Parse(d.page)
	check(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
		FlushInterval: -1,
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	t.Cleanup(front.CloseClientConnections)

	p := browsertest.OpenDemo(t, front.URL)
	p.Want(`document.querySelector("#connection-state").textContent === "Connected by SSE and POST"`)
	p.Want(`document.querySelector("#connection-detail").textContent === "Websockets are blocked on the way."`)
	p.Send("by POST, and back by an event")
	p.WaitNewest("by POST, and back by an event")
	p.WantNewest(`.dataset.own === "true"`)
	p.Wait(`document.querySelector("#status").textContent.startsWith("Committed after ")`)
	p.Join("orders")
	p.WaitState("orders", "open")
	execute(t, d.psql, orders)
	p.WaitNewest(`{"id":1042,"state":"paid","total":17.50}`)
	p.Claim(`{"mode":"rw","channels":["chat"]}`)
	p.WaitState("chat", "open")
	p.WaitState("orders", "closed")
	p.Wait(`document.querySelector('#events-state').dataset.state === "open"`)
	p.Picture("demo-websockets-blocked")
}
