package contract_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// A proxy is the network between pgws and its database, which can be made to fail.
type proxy struct {
	t *testing.T
	*toxiproxy.Proxy
}

// behindProxy returns a proxy before a database, and the URI that leads through it.
func behindProxy(t *testing.T, uri string) (p *proxy, through string) {
	t.Helper()
	u, err := url.Parse(uri)
	check(t, err)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p = &proxy{t, toxiproxy.NewProxy(server, "database", "127.0.0.1:0", u.Host)}
	check(t, p.Start())
	t.Cleanup(p.Stop)
	u.Host = p.Listen
	return p, u.String()
}

// slow delays all that is sent to the database.
func (p *proxy) slow(milliseconds int) {
	p.t.Helper()
	p.add(fmt.Sprintf(`{"name":"slow","type":"latency","stream":"upstream","attributes":{"latency":%d}}`, milliseconds))
}

// silence swallows all that is sent, both ways. Connections stay open: neither side is told.
func (p *proxy) silence() {
	p.t.Helper()
	p.add(`{"name":"mute","type":"timeout","stream":"upstream","attributes":{"timeout":0}}`)
	p.add(`{"name":"deaf","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)
}

// speak ends the silence. The connections from its time are ended.
func (p *proxy) speak() {
	p.t.Helper()
	for _, name := range []string{"mute", "deaf"} {
		check(p.t, p.Toxics.RemoveToxic(p.t.Context(), name))
	}
}

func (p *proxy) add(toxic string) {
	p.t.Helper()
	_, err := p.Toxics.AddToxicJson(strings.NewReader(toxic))
	check(p.t, err)
}
