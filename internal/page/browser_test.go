package page_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

// patience is how long a test waits for what must happen in the browser. It is long, because only a failing test needs it.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(withBrowser{m})
}

// withBrowser stops the browser that the tests shared, before leaks are looked for.
type withBrowser struct{ *testing.M }

func (m withBrowser) Run() int {
	code := m.M.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// shared is the one Chromium of this test binary. It starts with the first test that needs it.
var shared browser

type browser struct {
	once sync.Once
	home string // Of the browser's process, so that it leaves nothing in the user's.
	ctx  context.Context
	free context.CancelFunc
	err  error
}

func (b *browser) start() {
	program, err := findChromium()
	if err != nil {
		b.err = err
		return
	}
	if b.home, b.err = os.MkdirTemp("", "pgws-browser-"); b.err != nil {
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Env("HOME="+b.home, "XDG_CONFIG_HOME="+b.home, "XDG_CACHE_HOME="+b.home, "TMPDIR="+b.home),
	)
	allocator, free := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b.ctx = ctx
	b.free = func() { cancel(); free() }
	if err := chromedp.Do(ctx); err != nil {
		b.err = fmt.Errorf("starting %s: %w", program, err)
	}
}

func (b *browser) stop() error {
	if b.free == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	err := chromedp.Cancel(ctx)
	b.free()
	if err := errors.Join(err, os.RemoveAll(b.home)); err != nil {
		return fmt.Errorf("stopping the browser: %w", err)
	}
	return nil
}

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program, err := exec.LookPath(name); err == nil {
			return program, nil
		}
	}
	return "", fmt.Errorf("these tests need a Chromium on the PATH: on Debian, run `apt-get install chromium`")
}

// tab is one window of the browser with cookies and storage of its own. Its methods fail the test.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// newTab opens an empty window. The test fails when a script in it throws or breaks the page's security policy.
func newTab(t *testing.T) *tab {
	t.Helper()
	shared.once.Do(shared.start)
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	ctx, cancel := chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &tab{t, ctx}
	// Focus is emulated, because a window in the background would not draw. Animation frames would never come.
	p.do(call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	if err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page threw: %v", e.ExceptionDetails)
		case *log.EventEntryAdded:
			if e.Entry.Source == log.EntrySourceSecurity {
				t.Errorf("the page broke its security policy: %s", e.Entry.Text)
			}
		}
	}); err != nil {
		t.Fatalf("listening to the page: %v", err)
	}
	return p
}

// open shows the page at url in a new window of 1280 by 800.
func open(t *testing.T, url string) *tab {
	t.Helper()
	p := newTab(t)
	p.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(url))
	return p
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatalf("in the browser: %v", err)
	}
}

// wait returns once the JavaScript expression is true.
func (p *tab) wait(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	looking := fmt.Sprintf(`new Promise((found) => {
		const look = () => (%s) ? found(true) : setTimeout(look, 10);
		look();
	})`, expression)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](looking, chromedp.EvalAwaitPromise)); err != nil {
		p.t.Fatalf("waiting for %s: %v\nthe page reads:\n%s", expression, err, eval[string](p, `document.body.innerText`))
	}
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// enter puts text into a field in place of what stands there, as a paste does.
func (p *tab) enter(selector, text string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`(() => {
		const field = document.querySelector(%q);
		field.focus();
		field.select();
		return true;
	})()`, selector))
	if text == "" {
		p.press("\b")
		return
	}
	p.do(call(input.InsertText, input.InsertTextParams{Text: text}))
}

// choose picks an option of a select.
func (p *tab) choose(selector, option string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`(() => {
		const select = document.querySelector(%q);
		select.value = %q;
		return select.dispatchEvent(new Event("change", { bubbles: true }));
	})()`, selector, option))
}

func (p *tab) press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		p.do(chromedp.KeyEvent(key))
	}
}

// eval is the value of a JavaScript expression.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
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
