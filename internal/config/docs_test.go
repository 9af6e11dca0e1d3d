package config_test

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"pgws/internal/config"
)

func TestHelp(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if err := config.WriteHelp(&help); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(help.String()) {
		if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > 80 {
			t.Errorf("%d columns: %s", width, line)
		}
	}
	const golden = "testdata/help.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(help.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readFile(t, golden), help.String()); diff != "" {
		t.Errorf("help; -update writes it anew (-want +got):\n%s", diff)
	}
}

func TestHelpIsNotWritten(t *testing.T) {
	t.Parallel()
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := config.WriteHelp(closed); err == nil {
		t.Error("no error of a closed file")
	}
}

// The README has the settings between two marks.
func TestReadmeTable(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../../README.md", "<!-- settings -->\n", "<!-- /settings -->"
	readme := readFile(t, path)
	before, rest, ok := strings.Cut(readme, begin)
	if !ok {
		t.Fatalf("README.md has no line %s", begin)
	}
	got, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("README.md has no %s", end)
	}
	want := markdownTable()
	if *update && got != want {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("README.md; -update writes its table anew (-want +got):\n%s", diff)
	}
}

// markdownTable renders the settings as the README shows them.
func markdownTable() string {
	escape := strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`)
	var b strings.Builder
	b.WriteString("| Variable | Default | Meaning |\n|---|---|---|\n")
	for _, s := range config.Settings {
		value := "unset"
		switch {
		case s.Required:
			value = "required"
		case s.Default != "":
			value = "`" + s.Default + "`"
		}
		b.WriteString("| `" + s.Name + "` | " + value + " | " + escape.Replace(s.Doc) + " |\n")
	}
	return b.String()
}

// sample-env has a line for each setting, and what it sets are the defaults.
func TestSampleEnv(t *testing.T) {
	t.Parallel()
	named, set := make(map[string]int), make(map[string]string)
	for line := range strings.Lines(readFile(t, "../../sample-env")) {
		assignment, commented := strings.CutPrefix(strings.TrimSpace(line), "#")
		name, value, ok := strings.Cut(assignment, "=")
		if !ok || !strings.HasPrefix(name, "PGWS_") {
			continue
		}
		named[name]++
		if !commented {
			set[name] = strings.Trim(value, "'")
		}
	}
	for _, s := range config.Settings {
		if named[s.Name] != 1 {
			t.Errorf("%s is there %d times", s.Name, named[s.Name])
		}
		delete(named, s.Name)
	}
	for name := range named {
		t.Errorf("%s is no setting", name)
	}
	got, err := config.Read(environment(set))
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Read(environment(map[string]string{"PGWS_DB_URI": set["PGWS_DB_URI"], "PGWS_JWT_SECRET": set["PGWS_JWT_SECRET"]}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other than the defaults (-want +got):\n%s", diff)
	}
}
