package devpg

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestKeptFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), "deep", "kept")
	check(t, os.Mkdir(filepath.Dir(dir), 0o755))
	first := startCluster(t, Options{Dir: dir})
	execute(t, first.URI(), "CREATE TABLE kept AS SELECT 'here' AS what")
	if got := query(t, first.URI(), "SELECT current_setting('fsync')"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	info, err := os.Stat(filepath.Join(dir, passwordName))
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the password's file has mode %v", info.Mode())
	}
	if _, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("a second Start returned %v", err)
	}
	query(t, first.URI(), "SELECT 'still well'")
	check(t, first.Close())
	if left := processesIn(t, dir); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}

	second := startCluster(t, Options{Dir: dir})
	if got := query(t, second.URI(), "SELECT what FROM kept"); got != "here" {
		t.Errorf("the table holds %q", got)
	}
	if first.password != second.password {
		t.Error("the password has changed")
	}
}

func TestRefusedFolders(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file, text string
		want       string
	}{
		"holds something else":       {file: "notes.txt", want: "is not empty and not a cluster of pgws: it holds notes.txt"},
		"is a bare data folder":      {file: "PG_VERSION", text: "15\n", want: "it holds PG_VERSION"},
		"has no cluster in data":     {file: "data/notes.txt", want: "has no cluster of pgws"},
		"is of another release":      {file: "data/PG_VERSION", text: "9\n", want: "the data are of PostgreSQL 9, and there is only"},
		"is of an unreadable one":    {file: "data/PG_VERSION", text: "new\n", want: "read the release"},
		"has lost its password file": {file: "data/PG_VERSION", text: installedMajor(t), want: "the cluster's password"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := openDir(t)
			path := filepath.Join(dir, test.file)
			check(t, os.MkdirAll(filepath.Dir(path), 0o755))
			check(t, os.WriteFile(path, []byte(test.text), 0o600))
			_, err := Start(t.Context(), Options{Dir: dir})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Start returned %v, want %q", err, test.want)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("what was there is gone: %v", err)
			}
		})
	}
}

func TestUnreachableFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs PostgreSQL as another user")
	}
	dir := openDir(t)
	check(t, os.Chmod(dir, 0o700))
	_, err := Start(t.Context(), Options{Dir: filepath.Join(dir, "kept")})
	if err == nil || !strings.Contains(err.Error(), "cannot enter "+dir) {
		t.Errorf("Start returned %v", err)
	}
}

// Not parallel: it changes the place of the system's temporary folder.
func TestTemporaryFolderOfRootAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs PostgreSQL as another user")
	}
	t.Setenv("TMPDIR", t.TempDir())
	f, err := openFolder("")
	check(t, err)
	if !f.owner.reaches(f.path) {
		t.Errorf("%s cannot enter %s", f.owner.name, f.path)
	}
	check(t, f.close())
	checkGone(t, f.path)
}

// Root runs the cluster of somebody else as that user, whose files stay readable to him.
func TestRootKeepsTheOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs PostgreSQL as another user")
	}
	dir := filepath.Join(openDir(t), "kept")
	check(t, os.Mkdir(dir, 0o700))
	check(t, os.Chown(dir, 65534, 65534))
	c := startCluster(t, Options{Dir: dir})
	want := owner{name: "uid 65534", uid: 65534, gid: 65534, other: true}
	if c.folder.owner != want {
		t.Errorf("PostgreSQL runs as %+v", c.folder.owner)
	}
	check(t, c.Close())
	for _, name := range []string{passwordName, logName, lockName} {
		info, err := os.Stat(filepath.Join(dir, name))
		check(t, err)
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != want.uid {
			t.Errorf("%s belongs to uid %d", name, uid)
		}
	}
}

func installedMajor(t *testing.T) string {
	t.Helper()
	b := inspectAll(context.Background(), owner{}, append(onPath(t.Context()), inWellKnown()...))
	if len(b) == 0 {
		t.Skip("no PostgreSQL is installed")
	}
	return strconv.Itoa(b[0].major)
}
