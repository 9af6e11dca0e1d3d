package js_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/page/browsertest"
)

// A stage is where pages meet a server, by one of the ways to reach it.
type stage struct {
	front     *front
	server    *server
	uri       string // of the database
	options   string // of pages, in JavaScript, and the url if it is another than that of the front
	transport string // that they come to use
}

func TestInChromium(t *testing.T) {
	t.Parallel()
	uri := pgtest.Private(t, devpg.Options{}).URI()
	ways := []struct {
		name, options, transport string
		blocked                  bool // and the page does not know
	}{
		{name: "websocket", options: `{}`, transport: "websocket"},
		{name: "sse", options: `{ transport: "sse" }`, transport: "sse"},
		{name: "blocked websockets", options: `{}`, transport: "sse", blocked: true},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{uri: uri, options: way.options, transport: way.transport}
			s.server = s.serve(t)
			s.front = startFront(t, s.server.addr)
			s.front.noWebsockets.Store(way.blocked)
			// One after the other: the network and the server fail for all pages.
			t.Run("there and back", s.thereAndBack)
			t.Run("joined", s.joined)
			t.Run("renewed", s.renewed)
			t.Run("refused", s.refused)
			t.Run("resumed", s.resumed)
			t.Run("restarted", s.restarted)
		})
	}
}

// serve runs a server of the stage's own: it hears no other stage's.
func (s *stage) serve(t *testing.T) *server {
	t.Helper()
	return serve(t, s.uri, strings.ReplaceAll(t.Name(), "/", " "))
}

// A server may allow pages of other origins, and may take the token from its own pages' cookie.
func TestOriginsAndCookies(t *testing.T) {
	t.Parallel()
	uri := pgtest.Private(t, devpg.Options{}).URI()
	for _, transport := range []string{"websocket", "sse"} {
		for name, options := range map[string]string{
			"another origin":               `{ url: "http://ADDRESS/" }`,
			"a cookie":                     `{ token: undefined }`,
			"another origin with a cookie": `{ url: "http://ADDRESS/", token: undefined }`,
		} {
			t.Run(name+" by "+transport, func(t *testing.T) {
				t.Parallel()
				front := startFront(t, "")
				server := serve(t, uri, name+transport, "PGWS_ALLOWED_ORIGINS="+front.url, "PGWS_TOKEN_COOKIE=pgws")
				front.lead(server.addr)
				s := &stage{front: front, transport: transport}
				s.options = fmt.Sprintf(`{ transport: %q, ...%s }`, transport, strings.ReplaceAll(options, "ADDRESS", server.addr))
				s.thereAndBack(t)
			})
		}
	}
}

// A page is a window whose script has connected by pgws.js.
type page struct {
	*browsertest.Tab
	t *testing.T
}

// open opens a page that connects, with tokens from a path of the front, and subscribes to the channel a. It keeps what
// it is told in states, gaps, errors and seen.
func (s *stage) open(t *testing.T, tokens string) *page {
	t.Helper()
	p := &page{browsertest.Open(t, s.front.url+"/page"), t}
	p.Wait(`window.connect !== undefined`)
	p.run(fmt.Sprintf(`
		Object.assign(window, { states: [], gaps: [], errors: [], seen: [] });
		window.token = async () => (await fetch(%q)).text();
		const options = {
			token: () => token(),
			onstate: (state, { code }) => states.push(code ? state + " " + code : state),
			ongap: ({ channel }) => gaps.push(channel),
			onerror: (error) => errors.push(error.code + " " + error.channel),
			...%s,
		};
		window.pgws = connect(options.url ?? "/", options);
		window.a = pgws.subscribe("a", ({ data }) => seen.push(data));
		await a.ready;
	`, tokens, s.options))
	want(p, `pgws.transport`, s.transport)
	t.Cleanup(func() { p.run(`pgws.close()`) })
	return p
}

// run runs statements and waits for what they wait for.
func (p *page) run(statements string) {
	p.t.Helper()
	browsertest.Eval[bool](p.Tab, "(async () => {"+statements+"; return true; })()")
}

// want compares what an expression, awaited, comes to.
func want[T any](p *page, expression string, want T) {
	p.t.Helper()
	var got T
	text := browsertest.Eval[string](p.Tab, fmt.Sprintf(`(async () => JSON.stringify(await (%s)))()`, expression))
	check(p.t, json.Unmarshal([]byte(text), &got))
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("%s (-want +got):\n%s", expression, diff)
	}
}

func (s *stage) thereAndBack(t *testing.T) {
	p := s.open(t, "/token")
	p.run(`
		window.whole = [];
		window.b = pgws.subscribe("b / ä", (message) => whole.push(message));
		await b.ready;
		window.receipt = await pgws.publish("b / ä", { any: "JSON" });
	`)
	p.Wait(`whole.length === 1`)
	p.Want(`whole[0].payload.claims.message_delivered_at === receipt.deliveredAt`)
	want(p, `[whole[0].channel, whole[0].data, whole[0].payload.claims.sub]`, []any{"b / ä", map[string]any{"any": "JSON"}, "me"})
	p.run(`b.unsubscribe(); await pgws.publish("b / ä", "unheard"); await pgws.publish("a", "heard")`)
	p.Wait(`seen.length === 1`)
	p.run(`dispatchEvent(new Event("online"))`) // It looks whether the connection lives.
	s.front.publish(t, "from elsewhere")
	p.Wait(`seen.length === 2`)
	want(p, `seen`, []string{"heard", "from elsewhere"})
	want(p, `whole.length`, 1)
	want(p, `[gaps, errors]`, [][]string{{}, {}})
}

// A channel that is joined later begins then, also when the connection is another one.
func (s *stage) joined(t *testing.T) {
	p := s.open(t, "/token")
	p.run(`
		Object.assign(window, { early: 0, ofB: [] });
		const other = connect("/", { token });
		await other.subscribe("b", () => early++).ready;
		await other.publish("a", "seen");
		for (let i = 0; i < 3; i++) await other.publish("b", "too early");
		window.other = other;
	`)
	p.Wait(`early === 3`) // The server has heard them.
	p.run(`
		other.close();
		await pgws.subscribe("b", ({ data }) => ofB.push(data)).ready;
		states.length = 0;
	`)
	s.front.cut()
	p.Wait(`states.at(-1) === "open"`)
	p.run(`await pgws.publish("b", "new")`)
	p.Wait(`ofB.includes("new")`)
	want(p, `[seen, ofB, gaps]`, [][]string{{"seen"}, {"new"}, {}})
}

// Tokens end after eight seconds and are renewed before. Nothing that comes meanwhile is missed or doubled.
func (s *stage) renewed(t *testing.T) {
	p := s.open(t, "/token?life=8s")
	p.run(`states.length = 0`)
	var sent []string
	for before := s.front.tokens.Load(); s.front.tokens.Load() < before+2; {
		for range 20 {
			text := fmt.Sprint("message ", len(sent))
			s.front.publish(t, text)
			sent = append(sent, text)
		}
		p.Wait(fmt.Sprintf(`seen.length >= %d`, len(sent)))
	}
	p.run(`await pgws.publish("a", "the last")`)
	p.Wait(`seen.at(-1) === "the last"`)
	want(p, `seen`, append(sent, "the last"))
	want(p, `[states, gaps, errors]`, [][]string{{}, {}, {}})
}

func (s *stage) refused(t *testing.T) {
	p := s.open(t, "/token?channel=a&mode=r")
	p.run(`window.secret = pgws.subscribe("secret", () => {})`)
	want(p, `secret.ready.catch((error) => [error instanceof PgwsError, error.code, error.channel])`, []any{true, "forbidden", "secret"})
	want(p, `pgws.publish("a", "x").catch((error) => error.code)`, "forbidden")
	s.front.publish(t, "goes on")
	p.Wait(`seen.length === 1`)
	want(p, `[states.at(-1), ...errors]`, []string{"open", "forbidden secret"})

	t.Log("A token that is no good is replaced.")
	p.run(`
		const good = token;
		token = async () => { token = good; return "bad"; };
		states.length = 0;
	`)
	s.front.cut()
	p.Wait(`states.includes("waiting 3000")`)
	p.Wait(`states.at(-1) === "open"`)
	s.front.publish(t, "goes on again")
	p.Wait(`seen.length === 2`)
	want(p, `[gaps, errors]`, [][]string{{}, {"forbidden secret"}})
}

// The network fails and comes back. What was sent meanwhile comes once, in order, and nothing is amiss.
func (s *stage) resumed(t *testing.T) {
	p := s.open(t, "/token")
	s.front.publish(t, "before")
	p.Wait(`seen.length === 1`)
	s.front.down.Store(true)
	s.front.cut()
	p.Wait(`pgws.state !== "open"`)
	sent := []string{"before"}
	for i := range 50 {
		text := fmt.Sprint("meanwhile ", i)
		s.front.publish(t, text)
		sent = append(sent, text)
	}
	p.run(`window.published = pgws.publish("a", "waits")`)
	s.front.down.Store(false)
	p.run(`await published`)
	p.Wait(`seen.at(-1) === "waits"`)
	want(p, `seen`, append(sent, "waits"))
	want(p, `[gaps, errors]`, [][]string{{}, {}})
	want(p, `pgws.transport`, s.transport)
}

// A server that ends says so. The next one cannot go on from a position of the last, and the page is told.
func (s *stage) restarted(t *testing.T) {
	p := s.open(t, "/token")
	s.front.publish(t, "before")
	p.Wait(`seen.length === 1`)
	s.server.stop(t)
	p.Wait(`states.includes("waiting 1001")`)
	next := s.serve(t)
	s.front.lead(next.addr)
	p.Wait(`pgws.state === "open"`)
	p.Wait(`gaps.length > 0`)
	want(p, `pgws.publish("a", "after").then(({ deliveredAt }) => deliveredAt > 0)`, true)
	p.Wait(`seen.length === 2`)
	want(p, `[seen, gaps, errors]`, [][]string{{"before", "after"}, {"a"}, {}})
	want(p, `pgws.transport`, s.transport)
}
