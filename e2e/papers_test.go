package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/page/browsertest"
	"pgws/internal/programtest"
)

// inPaper returns the only block of a language in a paper.
func inPaper(t *testing.T, paper, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(paper)))
	check(t, err)
	blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 1 {
		t.Fatalf("%s has %d blocks of %s", paper, len(blocks), language)
	}
	return blocks[0][1]
}

// The page of README.md, opened as the file that it is.
func TestPageOfOnesOwn(t *testing.T) {
	t.Parallel()
	_, address := serve(t, serving(pgtest.Private(t, devpg.Options{}).URI()))
	host := strings.Trim(strings.TrimPrefix(address, "http:"), "/")
	page := strings.NewReplacer("localhost:3000", host, "TOKEN", sign(`{"mode":"rw"}`)).Replace(inPaper(t, "README.md", "html"))
	file := filepath.Join(t.TempDir(), "page.html")
	check(t, os.WriteFile(file, []byte(page), 0o600))
	p := browsertest.Open(t, "file://"+file)
	p.Wait(`document.body.textContent.includes('"payload":"hello from a page"')`)
}

// The lines of docs/protocol.md that take a new token when an EventSource has given up.
func TestEventSourceOfThePaper(t *testing.T) {
	t.Parallel()
	uri := pgtest.Private(t, devpg.Options{}).URI()
	_, page := serve(t, serveFolder(t, uri))
	p := browsertest.Open(t, page)
	short := sign(fmt.Sprintf(`{"mode":"r","exp":%d}`, time.Now().Add(3*time.Second).Unix()))
	lines := strings.Replace(inPaper(t, "docs/protocol.md", "js"), "console.log(", "heard.push(", 1)
	browsertest.Eval[bool](p, fmt.Sprintf(`(() => {
		window.heard = [];
		window.tokens = [%q, %q];
		window.newToken = async () => tokens.shift();
		%s
		return true;
	})()`, short, sign(`{"mode":"r"}`), lines))
	conn := connect(t, uri)
	p.Wait(`tokens.length === 0`)
	programtest.Eventually(t, "it hears by its second token", func() bool {
		notify(t, conn, `{"channel":"chat"}`)
		return browsertest.Eval[int](p, `heard.length`) > 0
	})
	if !strings.Contains(strings.Join(p.Errors(), "\n"), "401") {
		t.Errorf("the browser has complained of %q", p.Errors())
	}
}
