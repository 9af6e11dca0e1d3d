package contract_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgws/internal/programtest"
)

// runs stands before a block of the papers whose lines with curl and pgws are run by TestPapers.
const runs = "<!-- runs -->"

var (
	runsBlock = regexp.MustCompile("(?s)^\\s*```sh\n(.*?\n)```\n")
	continued = regexp.MustCompile(`\\\n\s*`)
	aCommand  = regexp.MustCompile(`^(curl|pgws) `)
	// background is the end of a line whose command is not waited for.
	background = regexp.MustCompile(`\s&(\s.*)?$`)
)

// The lines of the papers that begin with curl or pgws do what is said of them: who listens hears, messages get a receipt.
func TestPapers(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	original, err := built()
	check(t, err)
	bin := t.TempDir()
	check(t, os.Symlink(original, filepath.Join(bin, "pgws")))
	papers := []string{"README.md", "docs/protocol.md", "docs/tokens.md"}
	for _, paper := range papers {
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(paper)))
		check(t, err)
		lines := commandLines(t, paper, string(text))
		if paper == papers[0] && len(lines) == 0 {
			t.Errorf("%s has no command after %s", paper, runs)
		}
		for i, line := range lines {
			t.Run(fmt.Sprint(paper, " ", i), func(t *testing.T) {
				t.Parallel()
				t.Log(line)
				s.runLine(t, bin, line)
			})
		}
	}
}

// commandLines returns the commands of the blocks of a paper that are to be run. Each block must have one.
func commandLines(t *testing.T, paper, text string) (lines []string) {
	t.Helper()
	for _, after := range strings.Split(text, runs)[1:] {
		block := runsBlock.FindStringSubmatch(after)
		if block == nil {
			t.Fatalf("%s: after %s comes no block of sh: %.60q", paper, runs, after)
		}
		before := len(lines)
		for line := range strings.Lines(continued.ReplaceAllString(block[1], "")) {
			if aCommand.MatchString(line) {
				lines = append(lines, background.ReplaceAllString(strings.TrimSpace(line), ""))
			}
		}
		if len(lines) == before {
			t.Errorf("%s: no line of this block begins with curl or pgws:\n%s", paper, block[1])
		}
	}
	return lines
}

// runLine runs a line as it is written, with the pgws of a folder, and with the variables that `pgws dev` prints.
func (s *server) runLine(t *testing.T, bin, line string) {
	t.Helper()
	p := &program{Program: programtest.New(exec.Command("sh", "-c", `PATH=$BIN:$PATH; exec `+line)), awaited: true}
	p.Env = env{"BIN": bin, "PGWS_TOKEN": token(anybody), "PGWS_URL": "http://" + s.addr}.list()
	stream := strings.Contains(line, "text/event-stream")
	if stream || strings.HasPrefix(line, "pgws sub ") {
		p.run(t)
		if stream {
			p.Await(t, &p.Out, `event: ready|"op":"ready"`)
		} else {
			p.Await(t, &p.Log, `listening to chat`)
		}
		s.notify(t, `{"channel":"chat","payload":"from SQL"}`)
		p.Await(t, &p.Out, `"from SQL"`)
		check(t, p.Process.Kill()) // It would wait for more.
		return
	}
	heard := s.listen(t)
	p.run(t)
	if status := p.wait(t); status != 0 {
		t.Fatalf("the status is %d: %s", status, p.Log.String())
	}
	receipts := slices.Collect(strings.Lines(p.Out.String()))
	if len(receipts) == 0 {
		t.Fatal("it has written nothing")
	}
	for _, text := range receipts {
		var got v1Frame
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.DeliveredAt == "" {
			t.Fatalf("it has written %q: %v", text, err)
		}
		for m := parseMessage(t, heard.receive()); m.Claims["message_delivered_at"] != got.DeliveredAt; {
			m = parseMessage(t, heard.receive())
		}
	}
}
