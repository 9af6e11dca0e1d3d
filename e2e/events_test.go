package e2e_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/page/browsertest"
)

// sign makes a token of claims for a server with the settings of serving.
func sign(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, []byte("a-secret-of-at-least-thirty-two-bytes"))
	mac.Write([]byte(signed)) // It takes all.
	return signed + "." + encode(mac.Sum(nil))
}

// serveFolder are settings for a server of an empty page.
func serveFolder(t *testing.T, uri string) []string {
	t.Helper()
	folder := t.TempDir()
	check(t, os.WriteFile(filepath.Join(folder, "index.html"), []byte("<!doctype html><link rel=icon href=data:,><title>A page</title>"), 0o600))
	return append(serving(uri), "PGWS_ROOT_PATH="+folder)
}

// eventSource opens an EventSource in the page, and keeps all that it tells in the variable heard.
func eventSource(p *browsertest.Tab, address string) {
	browsertest.Eval[bool](p, fmt.Sprintf(`(() => {
		window.heard = { opened: 0, messages: [], named: [] };
		window.source = new EventSource(%q);
		source.onopen = () => heard.opened++;
		source.onmessage = (event) => heard.messages.push({ Data: event.data, ID: event.lastEventId });
		for (const name of ["ready", "gap", "close"])
			source.addEventListener(name, (event) => heard.named.push(name + " " + event.data));
		return true;
	})()`, address))
}

// A heard is an event of an EventSource.
type heard struct{ Data, ID string }

// messages are the messages that the page has heard so far.
func messages(p *browsertest.Tab) []heard { return browsertest.Eval[[]heard](p, `heard.messages`) }

// numbers is a notification each for the numbers from first to the one before end.
func numbers(first, end int) []string {
	var texts []string
	for n := first; n < end; n++ {
		texts = append(texts, fmt.Sprintf(`{"channel":"chat","n":%d}`, n))
	}
	return texts
}

// notify sends notifications, each in a transaction of its own.
func notify(t *testing.T, conn *pgx.Conn, payloads ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), browsertest.Patience)
	defer cancel()
	for _, payload := range payloads {
		_, err := conn.Exec(ctx, "select pg_notify('postgres-websockets-listener', $1)", payload)
		check(t, err)
	}
}

func connect(t *testing.T, uri string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), uri)
	check(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// The browser's own EventSource hears messages with their positions. It goes on from the last one after the network was
// cut, without loss and without doubles, and comes back by itself when the server was restarted.
func TestEventSource(t *testing.T) {
	t.Parallel()
	uri := pgtest.Private(t, devpg.Options{}).URI()
	settings := serveFolder(t, uri)
	server, page := serve(t, settings)
	way := startNetwork(t, page)
	p := browsertest.Open(t, way.page())
	eventSource(p, "/chat/"+sign(`{"mode":"r"}`))
	p.Wait(`heard.named.length === 1`)
	p.Want(`heard.named[0].startsWith('ready {"op":"ready","mode":"r","channels":["chat"],"position":"')`)

	conn := connect(t, uri)
	const odd = `{"channel":"chat","text":"Zeile eins\r\n: 日本 🎈 <b>"}`
	notify(t, conn, numbers(0, 50)...)
	notify(t, conn, odd, "{\"channel\":\"chat\",\n\n \"lines\":3}")
	want := append(numbers(0, 50), odd, "{\"channel\":\"chat\",\n\n \"lines\":3}")
	p.Wait(`heard.messages.length === 52`)

	for cut := range 2 {
		first := 50 + 100*cut
		notify(t, conn, numbers(first, first+30)...)
		way.cut()
		p.Wait(`source.readyState === EventSource.CONNECTING`)
		notify(t, conn, numbers(first+30, first+100)...)
		want = append(want, numbers(first, first+100)...)
		p.Wait(fmt.Sprintf(`heard.opened === %d && heard.messages.length >= %d`, cut+2, len(want)))
	}
	wantMessages(t, p, want)
	p.Want(`heard.named.every((event) => event.startsWith("ready"))`) // No gap.

	t.Log("The server is stopped, and another one started.")
	way.lead("")
	server.stop(t)
	p.Wait(`source.readyState === EventSource.CONNECTING`)
	p.Want(`heard.named.at(-1).startsWith('close {"code":1001,')`)
	_, page = serve(t, settings)
	way.lead(page)
	p.Wait(`heard.opened === 4`)
	p.Wait(`heard.named.at(-1).startsWith('gap {"op":"gap","channel":"chat","position":"')`)
	notify(t, conn, numbers(250, 260)...)
	want = append(want, numbers(250, 260)...)
	p.Wait(fmt.Sprintf(`heard.messages.length >= %d`, len(want)))
	wantMessages(t, p, want)
}

// wantMessages wants the page to have heard these messages, each with a position of its own.
func wantMessages(t *testing.T, p *browsertest.Tab, want []string) {
	t.Helper()
	positions := make(map[string]bool)
	var got []string
	for _, m := range messages(p) {
		got = append(got, m.Data)
		positions[m.ID] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if len(positions) != len(want) || positions[""] {
		t.Errorf("%d messages have %d positions", len(want), len(positions))
	}
}

// A token that expires ends an EventSource: it is told why, tries once more, and gives up.
func TestEventSourceExpires(t *testing.T) {
	t.Parallel()
	uri := pgtest.Private(t, devpg.Options{}).URI()
	_, page := serve(t, serveFolder(t, uri))
	p := browsertest.Open(t, page)
	eventSource(p, "/?channel=chat&channel=talk")
	p.Wait(`source.readyState === EventSource.CLOSED`) // It has no token.
	p.Want(`heard.opened === 0`)
	// A busy machine may take so long that the token has expired before the page connects.
	for life := 3 * time.Second; ; life *= 2 {
		token := sign(fmt.Sprintf(`{"mode":"r","exp":%d}`, time.Now().Add(life).Unix()))
		eventSource(p, "/chat/"+token)
		p.Wait(`source.readyState === EventSource.CLOSED`)
		if browsertest.Eval[int](p, `heard.opened`) == 1 {
			break
		}
	}
	p.Want(`heard.named.at(-1) === 'close {"code":3001,"reason":"JWT expired"}'`)
	p.Want(`heard.named.length === 2`) // ready and close
	if !strings.Contains(strings.Join(p.Errors(), "\n"), "401") {
		t.Errorf("the browser has complained of %q", p.Errors())
	}
}

// openSocket opens a websocket of pgws.v1 in the page, and keeps all that it tells in the variable heard.
func openSocket(p *browsertest.Tab, path, token string) {
	browsertest.Eval[bool](p, fmt.Sprintf(`(() => {
		window.heard = { frames: [], opened: 0, closed: null };
		window.socket = new WebSocket("ws://" + location.host + %q, ["pgws.v1", "pgws.bearer." + %q]);
		socket.onopen = () => heard.opened++;
		socket.onmessage = (event) => heard.frames.push(JSON.parse(event.data));
		socket.onclose = (event) => heard.closed = event.code + " " + event.reason;
		return true;
	})()`, path, token))
}

// A page opens a websocket of pgws.v1 with its token among the subprotocols, and compression is used both ways.
func TestSocket(t *testing.T) {
	t.Parallel()
	uri := pgtest.Private(t, devpg.Options{}).URI()
	_, page := serve(t, serveFolder(t, uri))
	p := browsertest.Open(t, page)
	openSocket(p, "/chat", sign(`{"mode":"rw"}`))
	p.Wait(`heard.frames.length === 1`)
	p.Want(`heard.frames[0].op === "ready" && heard.frames[0].channels[0] === "chat"`)
	p.Want(`socket.protocol === "pgws.v1"`)
	p.Want(`socket.extensions.startsWith("permessage-deflate")`)

	browsertest.Eval[bool](p, `(() => {
		window.long = "日本 <b>\n".repeat(500);
		socket.send(JSON.stringify({ id: "sent", op: "publish", channel: "chat", payload: { long } }));
		return true;
	})()`)
	p.Wait(`heard.frames.length === 3`)
	p.Want(`heard.frames.find((frame) => frame.op === "ok").id === "sent"`)
	p.Want(`heard.frames.find((frame) => frame.op === "message").payload.payload.long === long`)
	notify(t, connect(t, uri), numbers(1, 2)...)
	p.Wait(`heard.frames.length === 4 && heard.frames[3].payload.n === 1`)
	wantNoErrors(t, p)

	t.Log("A page sees why its token is refused.")
	for token, closed := range map[string]string{
		sign(`{"mode":"r","exp":1}`):          "3000 Token expired",
		sign(`{"mode":"r","channel":"talk"}`): "3003 the token does not grant the channel chat",
		sign(`{}`):                            "3003 Missing mode",
	} {
		openSocket(p, "/chat", token)
		p.Wait(`heard.closed !== null`)
		if got := browsertest.Eval[string](p, `heard.closed`); got != closed {
			t.Errorf("closed with %s, want %s", got, closed)
		}
		p.Want(`heard.opened === 1 && heard.frames.length === 0`)
	}
}
