package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgws/internal/page/browsertest"
)

// A dev is a run of `pgws dev`, with what it tells a newcomer.
type dev struct {
	*program
	page string // The demo page's address.
	psql string // The line that opens psql.
	temp string // The temporary folder in which its database lives.
}

// startDev runs `pgws dev` on a free port.
func startDev(t *testing.T) *dev {
	t.Helper()
	d := &dev{temp: openFolder(t)}
	d.program = run(t, []string{"PGWS_PORT=0", "TMPDIR=" + d.temp}, "dev")
	d.Await(t, &d.Out, `Stop with Ctrl-C`)
	d.page = d.Await(t, &d.Out, `Demo page +(\S+)`)[1]
	d.psql = d.Await(t, &d.Out, `(PGPASSWORD=.+?) \\\n`)[1]
	return d
}

// openFolder makes a temporary folder that every user may enter, for PostgreSQL does not run as root.
func openFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	check(t, os.Chmod(filepath.Dir(folder), 0o755))
	return folder
}

// execute runs statements on the database of a psql line.
func execute(t *testing.T, psql, sql string) {
	t.Helper()
	line := regexp.MustCompile(`^PGPASSWORD=(\S+) .*psql'? -h (\S+) -p (\d+) -U (\S+) (\S+)$`).FindStringSubmatch(psql)
	if line == nil {
		t.Fatal("the psql line is of another form")
	}
	executeAt(t, fmt.Sprintf("postgres://%s:%s@%s:%s/%s", line[4], line[1], line[2], line[3], line[5]), sql)
}

// executeAt runs statements on the database of a URI.
func executeAt(t *testing.T, uri, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), browsertest.Patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, uri)
	check(t, err)
	_, err = conn.Exec(ctx, sql)
	check(t, err)
	check(t, conn.Close(ctx))
}

// wantNothingLeft fails the test if pgws, now that it has ended, has left a file or a process.
func (d *dev) wantNothingLeft(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(d.temp)
	check(t, err)
	if len(entries) > 0 {
		t.Errorf("files are left: %v", entries)
	}
	processes, err := exec.Command("ps", "-A", "-ww", "-o", "pid=,args=").Output()
	check(t, err)
	for line := range strings.Lines(string(processes)) {
		pid, arguments, _ := strings.Cut(strings.TrimSpace(line), " ")
		folder, _ := os.Readlink("/proc/" + pid + "/cwd") // On macOS there is none: the arguments must do.
		if strings.Contains(arguments, d.temp) || strings.HasPrefix(folder, d.temp) {
			t.Errorf("a process is left: %s", line)
		}
	}
}

// wantNoErrors fails the test if the browser has complained of something, such as a file that the page lacks.
func wantNoErrors(t *testing.T, pages ...*browsertest.Tab) {
	t.Helper()
	for _, p := range pages {
		if errors := p.Errors(); len(errors) > 0 {
			t.Errorf("the console has errors: %q", errors)
		}
	}
}
