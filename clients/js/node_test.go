package js_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgws/internal/devpg"
	"pgws/internal/devpg/pgtest"
	"pgws/internal/programtest"
)

// What needs no server: `node --test` runs *.test.js.
func TestWithStandIns(t *testing.T) {
	t.Parallel()
	if out, err := program(t, ".", "node", "--test"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The package as npm makes and installs it, by both transports, and the examples of its README.
func TestInNode(t *testing.T) {
	t.Parallel()
	app := installed(t)
	server := serve(t, pgtest.Private(t, devpg.Options{}).URI(), "node")
	front := startFront(t, server.addr)

	for transport, flag := range map[string]string{"websocket": "--experimental-websocket", "sse": "--no-experimental-websocket"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			out, err := program(t, app, "node", flag, "node.mjs", "http://"+server.addr+"/", front.url+"/token", transport)
			if err != nil || !strings.Contains(out, "all is well\n") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	t.Run("README", func(t *testing.T) {
		t.Parallel()
		readme, err := os.ReadFile(filepath.Join(app, "node_modules", "pgws", "README.md"))
		check(t, err)
		for _, link := range regexp.MustCompile(`\]\((.*?)\)`).FindAllStringSubmatch(string(readme), -1) {
			if !strings.HasPrefix(link[1], "https://") {
				t.Errorf("who reads it at npm cannot follow the link to %s", link[1])
			}
		}
		// What each example writes, in any order.
		wants := [][]string{
			{`(?m)^committed at \d{4}-`, `(?m)^hello$`},
			{`^connecting .*\nopen `, `(?m)^17.5 by me$`},
			{`^not sent: forbidden\n`},
		}
		examples := regexp.MustCompile("(?s)```js\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
		if len(examples) != len(wants) {
			t.Fatalf("%d examples, and wants for %d", len(examples), len(wants))
		}
		here := strings.NewReplacer("https://pgws.example/", "http://"+server.addr,
			`"/token"`, fmt.Sprintf(`"%s/token?channel=chat&channel=orders"`, front.url))
		for i, example := range examples {
			path := filepath.Join(app, fmt.Sprintf("example%d.mjs", i))
			check(t, os.WriteFile(path, []byte(here.Replace(example[1])), 0o600))
			writes(t, path, wants[i])
		}
	})
}

// installed returns a folder in which the package is installed from what npm would publish.
func installed(t *testing.T) string {
	t.Helper()
	app := t.TempDir()
	out, err := program(t, ".", "npm", "pack", "--silent", "--pack-destination", app)
	if err != nil {
		t.Fatalf("npm pack: %v\n%s", err, out)
	}
	check(t, os.WriteFile(filepath.Join(app, "package.json"), []byte(`{"private":true}`), 0o600))
	tarball := "./" + strings.TrimSpace(out)
	if out, err := program(t, app, "npm", "install", "--offline", "--no-audit", "--no-fund", tarball); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	script, err := os.ReadFile("testdata/node.mjs")
	check(t, err)
	check(t, os.WriteFile(filepath.Join(app, "node.mjs"), script, 0o600))
	return app
}

// writes runs a script until it has written all that is wanted.
func writes(t *testing.T, script string, wants []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out programtest.Output
	command := exec.CommandContext(ctx, "node", "--experimental-websocket", script)
	command.Stdout, command.Stderr = &out, &out
	check(t, command.Start())
	defer func() {
		cancel()
		_ = command.Wait() // It is killed, unless it has closed its client.
	}()
	for _, want := range wants {
		programtest.Eventually(t, filepath.Base(script)+" writes "+want+" and not\n"+out.String(), func() bool {
			return regexp.MustCompile(want).MatchString(out.String())
		})
	}
}

// program runs one in a folder, for a while at most, and returns what it writes: of npm its output alone, for it warns.
func program(t *testing.T, folder, name string, arguments ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = folder
	home := t.TempDir()
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "NODE_NO_WARNINGS=1", "npm_config_update_notifier=false"}
	var out, problems programtest.Output
	command.Stdout, command.Stderr = &out, &problems
	err := command.Run()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, &problems)
	}
	return out.String(), err
}
