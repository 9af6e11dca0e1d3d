package page_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// picture writes what the window shows into the directory named by PGWS_ARTIFACTS; unset: nowhere.
func (p *tab) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("PGWS_ARTIFACTS")
	if dir == "" {
		return
	}
	image, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatalf("taking the picture %s: %v", name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), image, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// theme makes the system's theme light or dark for this window.
func (p *tab) theme(name string) {
	p.t.Helper()
	p.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	}))
}

func TestPictures(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := open(t, r.URL)
	p.do(chromedp.EmulateViewport(1440, 900, chromedp.EmulateScale(2)))
	p.theme("light")
	p.wait(`document.querySelector('[data-connection="chat"]')?.dataset.state === "open"`)
	p.picture("demo-first-paint")
	p.enter("#join-channel", "orders")
	p.click("#join")
	p.wait(`document.querySelector('[data-connection="orders"]')?.dataset.state === "open"`)
	heron := map[string]any{"mode": "rw", "sub": "quiet-heron", "exp": time.Now().Add(time.Hour).Unix()}
	send := func(text string) {
		p.enter("#text", text)
		p.press("\r")
		p.wait(fmt.Sprintf(`[...document.querySelectorAll("#messages .text")].at(-1)?.textContent === %q`, text))
	}
	p.choose("#send-to", "chat")
	r.message("WebsocketMessage", "chat", "Hello from a second window. Where does this go?", heron)
	send("Into PostgreSQL by NOTIFY, and back by LISTEN.")
	r.notify(`{"event":"WebsocketMessage","channel":"orders","payload":"order 1042 is paid"}`)
	r.message("WebsocketMessage", "chat", "So a trigger can tell every browser?", heron)
	send("Yes: whatever a transaction notifies is here once it has committed.")
	r.notify(`{"event":"insert","channel":"orders","payload":{"id":1043,"state":"new","total":"17.50"}}`)
	p.wait(`document.querySelectorAll("#messages article").length === 6`)
	p.picture("demo-light")
	p.theme("dark")
	p.picture("demo-dark")
	p.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)))
	p.picture("demo-390-dark")
	p.theme("light")
	p.picture("demo-390-light")
	r.deaf.Store(true)
	r.end(1012, "restart")
	p.wait(`document.querySelector('[data-connection="chat"]').dataset.state === "waiting"`)
	p.do(chromedp.EmulateViewport(390, 2600))
	p.picture("demo-390-tall")
	p.do(chromedp.EmulateViewport(900, 1000))
	p.picture("demo-900-light")
}
