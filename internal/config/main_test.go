package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"pgws/internal/config"
)

var update = flag.Bool("update", false, "write the golden files and the README's table")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// least are the settings that must be set.
var least = map[string]string{
	"PGWS_DB_URI":     "postgres://localhost/app",
	"PGWS_JWT_SECRET": "a secret of thirty-two bytes or more",
}

// environment looks variables up in the maps, the last one first.
func environment(maps ...map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		for i := range maps {
			if value, ok := maps[len(maps)-1-i][name]; ok {
				return value, true
			}
		}
		return "", false
	}
}

// writeFile makes a file for @file and returns its path.
func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readFile returns a file's content; the test of a file that does not exist is
// skipped.
func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
