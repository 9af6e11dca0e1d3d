package devpg

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		found []int
		major int
		want  int
		err   string
	}{
		"the first that is found":    {found: []int{16, 17}, want: 16},
		"one that is not too old":    {found: []int{9, 15}, want: 15},
		"the one that data need":     {found: []int{17, 16, 15}, major: 16, want: 16},
		"an old one that data need":  {found: []int{17, 12}, major: 12, want: 12},
		"only old ones":              {found: []int{12, 9}, err: "PostgreSQL 13 is needed, and there is only 12, 9"},
		"not the one that data need": {found: []int{17, 16}, major: 15, err: "the data are of PostgreSQL 15, and there is only 17, 16"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found []binaries
			for _, major := range test.found {
				found = append(found, binaries{major: major})
			}
			got, err := choose(found, test.major)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("the error is %v, want %q", err, test.err)
				}
				return
			}
			check(t, err)
			if got.major != test.want {
				t.Errorf("chose %d, want %d", got.major, test.want)
			}
		})
	}
}

func TestInspectAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePrograms(t, filepath.Join(dir, "9.6"), "9.6.24", "initdb", "postgres")
	writePrograms(t, filepath.Join(dir, "15"), "15.14 (Debian 15.14-0+deb12u1)", "initdb", "postgres")
	writePrograms(t, filepath.Join(dir, "16"), "16rc1", "initdb", "postgres", "psql")
	writePrograms(t, filepath.Join(dir, "client"), "17.0", "psql")
	writePrograms(t, filepath.Join(dir, "half"), "17.0", "initdb")
	writePrograms(t, filepath.Join(dir, "strange"), "unknown", "initdb", "postgres")
	dirs, err := filepath.Glob(filepath.Join(dir, "*"))
	check(t, err)
	got := inspectAll(t.Context(), owner{}, dirs)
	want := []binaries{
		{dir: filepath.Join(dir, "16"), major: 16},
		{dir: filepath.Join(dir, "15"), major: 15},
		{dir: filepath.Join(dir, "9.6"), major: 9},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(binaries{})); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	closed := owner{uid: uint32(os.Geteuid()) + 1, gid: uint32(os.Getegid()) + 1, other: true}
	if got := inspectAll(t.Context(), closed, dirs); len(got) > 0 {
		t.Errorf("found %v, which another user cannot enter", got)
	}
}

// Not parallel: it changes PATH.
func TestOnPath(t *testing.T) {
	dir := t.TempDir()
	linked, asked := filepath.Join(dir, "15", "bin"), filepath.Join(dir, "16", "bin")
	writePrograms(t, linked, "15.14", "initdb", "postgres")
	path := filepath.Join(dir, "path")
	check(t, os.Mkdir(path, 0o755))
	t.Setenv("PATH", path)
	if got := onPath(t.Context()); len(got) > 0 {
		t.Errorf("found %v on an empty PATH", got)
	}
	check(t, os.Symlink(filepath.Join(linked, "initdb"), filepath.Join(path, "initdb")))
	script := "#!/bin/sh\n[ \"$*\" = --bindir ] && echo " + asked + "\n"
	check(t, os.WriteFile(filepath.Join(path, "pg_config"), []byte(script), 0o755))
	resolved, err := filepath.EvalSymlinks(linked)
	check(t, err)
	if diff := cmp.Diff([]string{resolved, asked}, onPath(t.Context())); diff != "" {
		t.Errorf("found on PATH (-want +got):\n%s", diff)
	}
}

// Not parallel: it changes PATH.
func TestPsqlThatIsNotOnPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	t.Setenv("PATH", t.TempDir())
	c := &Cluster{binaries: binaries{dir: dir}, port: 5432, password: "secret"}
	if got, want := c.Psql(), "PGPASSWORD=secret psql -h 127.0.0.1 -p 5432 -U postgres postgres"; got != want {
		t.Errorf("without any psql the line is\n%s\nwant\n%s", got, want)
	}
	writePrograms(t, dir, "15.14", "psql")
	want := "PGPASSWORD=secret '" + strings.ReplaceAll(dir, "'", `'\''`) + "/psql' -h 127.0.0.1 -p 5432 -U postgres postgres"
	if got := c.Psql(); got != want {
		t.Errorf("the line is\n%s\nwant\n%s", got, want)
	}
}

func TestReaches(t *testing.T) {
	t.Parallel()
	us := owner{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid()), other: true}
	members := []struct {
		name string
		owner
	}{
		{"us", us},
		{"group", owner{uid: us.uid + 1, gid: us.gid, other: true}},
		{"somebody", owner{uid: us.uid + 1, gid: us.gid + 1, other: true}},
	}
	tests := map[os.FileMode][]string{
		0o777: {"us", "group", "somebody"},
		0o701: {"us", "somebody"},
		0o710: {"us", "group"},
		0o744: {"us"},
	}
	for mode, want := range tests {
		t.Run(fmt.Sprintf("%o", mode), func(t *testing.T) {
			t.Parallel()
			dir := openDir(t)
			inner, link := filepath.Join(dir, "inner"), filepath.Join(openDir(t), "link")
			check(t, os.Mkdir(inner, 0o755))
			check(t, os.Symlink(inner, link))
			check(t, os.Chmod(dir, mode))
			for _, path := range []string{dir, inner, link} {
				var got []string
				for _, member := range members {
					if member.reaches(path) {
						got = append(got, member.name)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s is reached by %v, want %v", path, got, want)
				}
			}
			if us.reaches(filepath.Join(dir, "nowhere")) {
				t.Error("a folder that is not there is reached")
			}
		})
	}
}

// writePrograms makes a folder with programs that say their release.
func writePrograms(t *testing.T, dir, release string, names ...string) {
	t.Helper()
	check(t, os.MkdirAll(dir, 0o755))
	for _, name := range names {
		script := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + release + "'\n"
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
}
