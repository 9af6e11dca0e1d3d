package contract_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/programtest"
)

// command runs pgws sub or pub against a server with a token, or whatever the variables say instead.
func (s *server) command(t *testing.T, variables env, input io.Reader, arguments ...string) *program {
	t.Helper()
	path, err := built()
	check(t, err)
	all := env{"PGWS_URL": "http://" + s.addr, "PGWS_TOKEN": token(anybody)}
	maps.Copy(all, variables)
	p := &program{Program: programtest.New(exec.Command(path, arguments...)), secrets: secretsIn(all)}
	p.Env = all.list()
	p.Dir = t.TempDir()
	p.Stdin = input
	return p
}

// sub starts pgws sub and returns when it listens.
func (s *server) sub(t *testing.T, arguments ...string) *program {
	t.Helper()
	p := s.command(t, nil, nil, append([]string{"sub"}, arguments...)...)
	p.run(t)
	p.awaitLog(t, "listening to ")
	return p
}

// pub runs pgws pub to its end, which must be a good one, and returns what it prints.
func (s *server) pub(t *testing.T, variables env, input string, arguments ...string) string {
	t.Helper()
	p := s.command(t, variables, strings.NewReader(input), append([]string{"pub"}, arguments...)...)
	p.run(t)
	if status := p.wait(t); status != 0 || p.Log.String() != "" {
		t.Fatalf("pub ends with status %d and says %q", status, p.Log.String())
	}
	return p.Out.String()
}

// A heard is a line of pgws sub.
type heard struct {
	Channel  string
	Position string
	Payload  json.RawMessage
	Gap      bool
}

func parseHeard(t *testing.T, output string) (all []heard) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(output))
	decoder.DisallowUnknownFields()
	for decoder.More() {
		var h heard
		check(t, decoder.Decode(&h))
		if h.Position == "" {
			t.Errorf("no position: %+v", h)
		}
		all = append(all, h)
	}
	if lines := strings.Count(output, "\n"); lines != len(all) {
		t.Errorf("%d messages on %d lines", len(all), lines)
	}
	return all
}

// A program gets each notification as it is, and may go on after the last one that it has seen.
func TestSub(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.sub(t, "chat", "a b/ü", "--count=3")
	notified := []string{
		`{"channel":"chat","payload":"one"}`, `{"channel":"other","payload":"not this"}`,
		`{"channel":"a b/ü","payload":{"two":[2]}}`, `{"channel":"chat","payload":"three <&> \"\n"}`,
	}
	s.notify(t, notified...)
	if status := p.wait(t); status != 0 {
		t.Errorf("sub ends with status %d", status)
	}
	all := parseHeard(t, p.Out.String())
	var got []string
	for _, h := range all {
		got = append(got, h.Channel+" "+string(h.Payload))
	}
	want := []string{"chat " + notified[0], "a b/ü " + notified[2], "chat " + notified[3]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("messages (-want +got):\n%s", diff)
	}
	again := s.sub(t, "chat", "--count=1", "--since="+all[1].Position)
	again.wait(t)
	if diff := cmp.Diff(all[2:], parseHeard(t, again.Out.String())); diff != "" {
		t.Errorf("after the second (-want +got):\n%s", diff)
	}
	late := s.sub(t, "chat", "news", "--since=nowhere", "--count=1")
	late.awaitLog(t, "messages of news may have been missed")
	s.notify(t, notified[0])
	late.wait(t)
	all = parseHeard(t, late.Out.String())
	var channels []string
	for _, h := range all[:len(all)-1] {
		if !h.Gap || h.Payload != nil {
			t.Errorf("got %+v", h)
		}
		channels = append(channels, h.Channel)
	}
	if last := all[len(all)-1]; strings.Join(channels, " ") != "chat news" || last.Gap || string(last.Payload) != notified[0] {
		t.Errorf("got %s", late.Out.String())
	}
}

// What pub says is sent has been committed, and is what a browser would have sent.
func TestPub(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	for name, tc := range map[string]struct {
		arguments []string
		input     string
		want      string
	}{
		"an argument":            {[]string{"hello ü \x1b"}, "", `"hello ü \u001b"`},
		"an empty argument":      {[]string{""}, "", `""`},
		"like a flag":            {[]string{"--", "--lines"}, "", `"--lines"`},
		"standard input":         {nil, "one\ntwo\n\n", `"one\ntwo\n"`},
		"standard input by name": {[]string{"-"}, "no newline", `"no newline"`},
		"a line end of Windows":  {nil, "one\r\n", `"one"`},
		"JSON":                   {[]string{"--json", `{"a": [1, "<"]}`}, "", `{"a":[1,"<"]}`},
		"JSON on standard input": {[]string{"--json"}, "null\n", "null"},
		"text that is JSON":      {[]string{"1"}, "", `"1"`},
	} {
		t.Log(name)
		printed := s.pub(t, nil, tc.input, append([]string{"chat"}, tc.arguments...)...)
		var receipt struct {
			Channel string      `json:"channel"`
			At      json.Number `json:"message_delivered_at"`
		}
		check(t, json.Unmarshal([]byte(printed), &receipt))
		var got struct {
			Payload json.RawMessage
			Claims  struct {
				At json.Number `json:"message_delivered_at"`
			}
		}
		check(t, json.Unmarshal([]byte(c.receive()), &got))
		if !strings.EqualFold(string(got.Payload), tc.want) { // of escapes
			t.Errorf("%s: got %s, want %s", name, got.Payload, tc.want)
		}
		if receipt.Channel != "chat" || receipt.At != got.Claims.At || strings.Count(printed, "\n") != 1 {
			t.Errorf("%s: the receipt is %s, the claim %s", name, printed, got.Claims.At)
		}
	}
}

// Lines are messages, in order, and each has a receipt. One that cannot be sent is named, and nothing is sent after it.
func TestPubLines(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	texts := numbered("message", 5000)
	texts[7] = ""
	if printed := s.pub(t, nil, strings.Join(texts, "\n"), "chat", "--lines"); strings.Count(printed, "\n") != len(texts) {
		t.Errorf("%d receipts", strings.Count(printed, "\n"))
	}
	for _, want := range texts {
		if m := c.receiveMessage(); m.Payload != want {
			t.Fatalf("got %q, want %q", m.Payload, want)
		}
	}
	p := s.command(t, nil, strings.NewReader("1\n2\nthree\n4\n"), "pub", "chat", "--lines", "--json")
	p.run(t)
	if status, stderr := p.wait(t), p.Log.String(); status != 1 || !strings.Contains(stderr, "line 3") || !strings.Contains(stderr, "; 2 messages delivered") {
		t.Errorf("status %d, standard error %q", status, stderr)
	}
	for _, want := range []string{`"payload":1,`, `"payload":2,`} {
		if got := c.receive(); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	c.expectPong()
}

// Receipts come while the input goes on.
func TestPubLinesPromptly(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	r, w := io.Pipe()
	p := s.command(t, nil, r, "pub", "chat", "--lines")
	p.run(t)
	for i := range 3 {
		_, err := fmt.Fprintln(w, "line", i)
		check(t, err)
		p.Await(t, &p.Out, fmt.Sprintf(`(?:.*\n){%d}`, i+1))
	}
	check(t, w.Close())
	if status := p.wait(t); status != 0 {
		t.Errorf("pub ends with status %d", status)
	}
}

// A token is read from a file, or signed; it grants what is asked for and nothing else.
func TestPubSubTokens(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	file := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(file, []byte(token(`{"mode":"w","channel":"chat","sub":"file"}`)+"\n"), 0o600))
	c := s.dial(t, "/chat/"+token(`{"mode":"r"}`))
	s.pub(t, env{"PGWS_TOKEN": ""}, "", "chat", "by file", "--token-file="+file)
	if m := c.receiveMessage(); m.Payload != "by file" || m.Claims["sub"] != "file" {
		t.Errorf("got %+v", m)
	}
	s.pub(t, env{"PGWS_TOKEN": "", "PGWS_JWT_SECRET": secret}, "", "chat", "signed")
	m := c.receiveMessage()
	exp, _ := m.Claims["exp"].(json.Number).Int64()
	delete(m.Claims, "exp")
	delete(m.Claims, "message_delivered_at")
	if diff := cmp.Diff(message{"WebsocketMessage", "chat", "signed", map[string]any{"mode": "w", "channel": "chat"}}, m); diff != "" || exp == 0 {
		t.Errorf("expires %d; message (-want +got):\n%s", exp, diff)
	}
	p := s.command(t, env{"PGWS_TOKEN": "", "PGWS_JWT_SECRET": secret}, nil, "sub", "chat", "news")
	p.run(t)
	p.awaitLog(t, "listening to chat, news")
}

func TestPubSubRefused(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	readOnly, expired := env{"PGWS_TOKEN": token(`{"mode":"r","channel":"a"}`)}, env{"PGWS_TOKEN": token(`{"mode":"rw","exp":1}`)}
	for name, tc := range map[string]struct {
		variables env
		input     string
		arguments []string
		status    int
		named     string
	}{
		"no channel":          {nil, "", []string{"sub"}, 2, "channel"},
		"no channel to send":  {nil, "", []string{"pub"}, 2, "channel"},
		"sub: no name":        {nil, "", []string{"sub", "a", ""}, 2, "no name"},
		"pub: no name":        {nil, "", []string{"pub", ""}, 2, "no name"},
		"too many texts":      {nil, "", []string{"pub", "a", "b", "c"}, 2, "c"},
		"count below zero":    {nil, "", []string{"sub", "a", "--count=-1"}, 1, "--count"},
		"sub: expired":        {expired, "", []string{"sub", "a"}, 1, "Token expired"},
		"pub: expired":        {expired, "", []string{"pub", "a", "x"}, 1, "Token expired"},
		"sub: not granted":    {readOnly, "", []string{"sub", "b"}, 1, "forbidden"},
		"pub: not granted":    {readOnly, "", []string{"pub", "a", "x"}, 1, "forbidden"},
		"no token":            {env{"PGWS_TOKEN": ""}, "", []string{"sub", "a"}, 1, "PGWS_TOKEN"},
		"no such file":        {nil, "", []string{"sub", "a", "--token-file=nowhere"}, 1, "--token-file"},
		"nobody there":        {env{"PGWS_URL": "http://127.0.0.1:1"}, "", []string{"sub", "a"}, 1, "127.0.0.1:1"},
		"no URL":              {nil, "", []string{"sub", "a", "--url=127.0.0.1"}, 1, "http://"},
		"doubled":             {nil, "", []string{"sub", "a", "a"}, 1, `"a"`},
		"too large":           {nil, strings.Repeat("x", 8000), []string{"pub", "a"}, 1, "too_large"},
		"more than is read":   {nil, strings.Repeat(" ", 2_000_000) + "1", []string{"pub", "a", "--json"}, 1, "standard input: too long"},
		"a line of that size": {nil, strings.Repeat("x", 2_000_000), []string{"pub", "a", "--lines"}, 1, "line 1: standard input: too long"},
		"nothing":             {nil, "", []string{"pub", "a"}, 1, "standard input"},
		"no JSON":             {nil, "", []string{"pub", "a", "{", "--json"}, 1, "--json"},
		"lines of a text":     {nil, "", []string{"pub", "a", "x", "--lines"}, 1, "--lines"},
		"a key without words": {env{"PGWS_TOKEN": "", "PGWS_JWT_SECRET": "short"}, "", []string{"pub", "a", "x"}, 1, "PGWS_JWT_SECRET"},
		"a key that verifies": {env{"PGWS_TOKEN": "", "PGWS_JWT_SECRET": rsaJWK(&keys().rsa.PublicKey, "")}, "", []string{"sub", "a"}, 1, "set PGWS_TOKEN"},
		"keys elsewhere":      {env{"PGWS_TOKEN": "", "PGWS_JWT_SECRET": "https://localhost/keys"}, "", []string{"pub", "a", "x"}, 1, "set PGWS_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := s.command(t, tc.variables, strings.NewReader(tc.input), tc.arguments...)
			p.run(t)
			status, stderr := p.wait(t), p.Log.String()
			if status != tc.status || p.Out.String() != "" || !strings.Contains(stderr, tc.named) {
				t.Errorf("status %d, standard output %q, standard error %q, which should name %s", status, p.Out.String(), stderr, tc.named)
			}
		})
	}
}

// A subscription that the user ends is no failure, whichever way he ends it.
func TestSubEnds(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	t.Run("by Ctrl-C", func(t *testing.T) {
		t.Parallel()
		p := s.sub(t, "chat")
		p.Signal(t, syscall.SIGINT)
		if status := p.wait(t); status != 0 || strings.Contains(p.Log.String(), "pgws:") {
			t.Errorf("status %d, standard error %q", status, p.Log.String())
		}
	})
	t.Run("by the end of its reader", func(t *testing.T) {
		t.Parallel()
		path, err := built()
		check(t, err)
		r, w, err := os.Pipe()
		check(t, err)
		var stderr programtest.Output
		command := exec.Command(path, "sub", "chat")
		command.Env = env{"PGWS_URL": "http://" + s.addr, "PGWS_TOKEN": token(anybody)}.list()
		command.Stdout, command.Stderr = w, &stderr
		programtest.DieWithUs(command)
		check(t, command.Start())
		check(t, w.Close())
		programtest.Eventually(t, "it listens", func() bool { return strings.Contains(stderr.String(), "listening") })
		s.notify(t, `{"channel":"chat","payload":"one"}`)
		_, err = bufio.NewReader(r).ReadString('\n')
		check(t, err)
		check(t, r.Close()) // as `head -1` does; there is no other message
		if err := command.Wait(); err != nil || strings.Contains(stderr.String(), "pgws:") {
			t.Errorf("%v, standard error %q", err, stderr.String())
		}
	})
}

// A token that ends and cannot be renewed ends a subscription with its reason.
func TestSubExpires(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.command(t, env{"PGWS_TOKEN": token(fmt.Sprintf(`{"mode":"r","exp":%d}`, time.Now().Add(3*time.Second).Unix()))}, nil, "sub", "chat")
	p.run(t)
	p.awaitLog(t, "listening")
	if status := p.wait(t); status != 1 || !strings.Contains(p.Log.String(), "Token expired") {
		t.Errorf("status %d, standard error %q", status, p.Log.String())
	}
}
