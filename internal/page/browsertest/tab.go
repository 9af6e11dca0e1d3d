package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is one window of the browser with cookies and storage of its own. Its methods fail the test. The test fails too
// when a script in the window throws, writes an error to the console or breaks the page's security policy.
type Tab struct {
	// Ctx is what chromedp's own functions take.
	Ctx context.Context

	t      *testing.T
	mu     sync.Mutex
	errors []string
}

// Open shows the page at url in a new window of 1280 by 800.
func Open(t *testing.T, url string) *Tab {
	t.Helper()
	shared.once.Do(shared.start)
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	ctx, cancel := chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &Tab{Ctx: ctx, t: t}
	// Focus is emulated, because a window in the background would not draw. Animation frames would never come.
	p.Do(call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatalf("listening to the page: %v", err)
	}
	p.Size(1280, 800, 1)
	p.Do(chromedp.Navigate(url))
	return p
}

// hear judges what the browser tells of the page. It must not ask the browser anything.
func (p *Tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.t.Errorf("the page threw: %s", details(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			p.t.Errorf("the page wrote an error to the console: %s", details(e.Args))
		}
	case *log.EventEntryAdded:
		switch {
		case e.Entry.Source == log.EntrySourceSecurity:
			p.t.Errorf("the page broke its security policy: %s", e.Entry.Text)
		case e.Entry.Level == log.EntryLevelError:
			p.mu.Lock()
			p.errors = append(p.errors, e.Entry.Text)
			p.mu.Unlock()
		}
	}
}

// details writes out what the browser has sent, in which pointers abound.
func details(v any) []byte {
	text, _ := json.Marshal(v) // It came as JSON.
	return text
}

// Errors is what the browser itself has complained of so far, such as requests and websockets that failed. To some tests
// they belong: the page cannot keep the browser from writing them to the console.
func (p *Tab) Errors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.errors)
}

// Do runs actions of chromedp.
func (p *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.Ctx, actions...); err != nil {
		p.t.Fatalf("in the browser: %v", err)
	}
}

// Wait returns once the JavaScript expression is true.
func (p *Tab) Wait(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, Patience)
	defer cancel()
	looking := fmt.Sprintf(`new Promise((found) => {
		const look = () => (%s) ? found(true) : setTimeout(look, 10);
		look();
	})`, expression)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](looking, chromedp.EvalAwaitPromise)); err != nil {
		p.t.Fatalf("waiting for %s: %v\nthe page reads:\n%s", expression, err, Eval[string](p, `document.body.innerText`))
	}
}

// Want fails the test, and goes on with it, unless the JavaScript expression is true now.
func (p *Tab) Want(expression string) {
	p.t.Helper()
	if !Eval[bool](p, expression) {
		p.t.Errorf("not true: %s", expression)
	}
}

// Click clicks the element that a CSS selector finds.
func (p *Tab) Click(selector string) {
	p.t.Helper()
	p.Do(chromedp.Click(chromedp.CSS(selector)))
}

// Enter puts text into a field in place of what stands there, as a paste does.
func (p *Tab) Enter(selector, text string) {
	p.t.Helper()
	Eval[bool](p, fmt.Sprintf(`(() => {
		const field = document.querySelector(%q);
		field.focus();
		field.select();
		return true;
	})()`, selector))
	if text == "" {
		p.Press("\b")
		return
	}
	p.Do(call(input.InsertText, input.InsertTextParams{Text: text}))
}

// Choose picks an option of a select.
func (p *Tab) Choose(selector, option string) {
	p.t.Helper()
	Eval[bool](p, fmt.Sprintf(`(() => {
		const select = document.querySelector(%q);
		select.value = %q;
		return select.dispatchEvent(new Event("change", { bubbles: true }));
	})()`, selector, option))
}

// Press presses keys, each a string that chromedp.KeyEvent takes.
func (p *Tab) Press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		p.Do(chromedp.KeyEvent(key))
	}
}

// Paste puts what was copied last, in any window, where the focus is.
func (p *Tab) Paste() {
	p.t.Helper()
	p.Do(call(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Commands: []string{"paste"}}))
}

// Size makes the window that many CSS pixels wide and high, each of them scale pixels of a picture.
func (p *Tab) Size(width, height int64, scale float64) {
	p.t.Helper()
	p.Do(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(scale)))
}

// Theme makes the system's theme light or dark for this window.
func (p *Tab) Theme(name string) {
	p.t.Helper()
	p.Do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	}))
}

// Picture writes what the window shows as NAME.png into the folder that TEST_ARTIFACTS names; unset: nowhere.
func (p *Tab) Picture(name string) {
	p.t.Helper()
	dir := os.Getenv("TEST_ARTIFACTS")
	if dir == "" {
		return
	}
	image, err := chromedp.Run(p.Ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatalf("taking the picture %s: %v", name, err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil { //nolint:gosec // Who runs the tests says where pictures go.
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), image, 0o600); err != nil { //nolint:gosec // The same.
		p.t.Fatal(err)
	}
}

// Eval is the value of a JavaScript expression.
func Eval[T any](p *Tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.Ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("evaluating %s: %v", expression, err)
	}
	return value
}

// call makes an action of a command of the browser's protocol that answers nothing.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, command, params)
		return err
	})
}
