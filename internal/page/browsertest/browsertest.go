// Package browsertest gives tests a real Chromium: one for a test binary, started at first use, with a window of its own
// for each test that asks.
//
// A package whose tests use it hands its TestMain over:
//
//	func TestMain(m *testing.M) { browsertest.Main(m) }
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

// Patience is how long a test waits for what must happen in the browser. It is long, because only a failing test needs it.
const Patience = 30 * time.Second

// Main is the body of TestMain. It runs the tests, stops the browser if there is one, looks for goroutines that the tests
// have left behind, and exits.
func Main(m *testing.M) { goleak.VerifyTestMain(withBrowser{m}) }

// withBrowser stops the browser that the tests shared, before leaks are looked for.
type withBrowser struct{ *testing.M }

func (m withBrowser) Run() int {
	code := m.M.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "browsertest:", err)
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

// stop ends the browser and returns when its processes and its folders are gone.
func (b *browser) stop() error {
	if b.free == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	err := chromedp.Cancel(ctx)
	b.free()
	if err := errors.Join(err, os.RemoveAll(b.home)); err != nil {
		return fmt.Errorf("stopping the browser: %w", err)
	}
	return nil
}

// findChromium looks where tools/need does.
func findChromium() (string, error) {
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
		"/Applications/Chromium.app/Contents/MacOS/Chromium",
	} {
		if program, err := exec.LookPath(name); err == nil {
			return program, nil
		}
	}
	return "", errors.New("these tests need a Chromium or Google Chrome on the PATH: on Debian, run `apt-get install chromium`")
}
