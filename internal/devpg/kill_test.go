package devpg

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A process that is killed hard cannot do anything about what it has started.
func TestNothingIsLeftAfterHardKill(t *testing.T) {
	t.Parallel()
	moments := map[string]func(*testing.T, child){
		"when the folder is new":   func(t *testing.T, c child) { awaitFile(t, c.dir, "pgws-*") },
		"during initdb":            func(t *testing.T, c child) { awaitFile(t, c.dir, "pgws-*", partialName, "PG_VERSION") },
		"at the start of postgres": func(t *testing.T, c child) { awaitFile(t, c.dir, "pgws-*", logName) },
		"while it serves":          func(t *testing.T, c child) { c.ready(t) },
	}
	for who, o := range users(t) {
		for moment, await := range moments {
			t.Run(moment+", as "+who, func(t *testing.T) {
				t.Parallel()
				c := startChild(t, o, "")
				await(t, c)
				check(t, c.Process.Kill())
				if err := c.Wait(); err == nil {
					t.Error("the child was not killed")
				}
				eventually(t, "no process and no folder is left", func() bool {
					entries, err := os.ReadDir(c.dir)
					check(t, err)
					return len(entries) == 0 && len(processesIn(t, c.dir)) == 0
				})
			})
		}
	}
}

func TestKeptFolderSurvivesHardKill(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), "kept")
	c := startChild(t, owner{}, dir)
	uri := c.ready(t)
	execute(t, uri, "CREATE TABLE kept AS SELECT 'here' AS what")
	check(t, c.Process.Kill())
	if err := c.Wait(); err == nil {
		t.Error("the child was not killed")
	}
	eventually(t, "no process is left", func() bool { return len(processesIn(t, dir)) == 0 })
	if got := query(t, startCluster(t, Options{Dir: dir}).URI(), "SELECT what FROM kept"); got != "here" {
		t.Errorf("the table holds %q", got)
	}
}

func TestWorksForUser(t *testing.T) {
	t.Parallel()
	for who, o := range users(t) {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			c := startChild(t, o, "")
			if got := query(t, c.ready(t), "SELECT current_user::text"); got != superuser {
				t.Errorf("current_user is %q", got)
			}
			check(t, c.stdin.Close())
			check(t, c.Wait())
			entries, err := os.ReadDir(c.dir)
			check(t, err)
			if left := processesIn(t, c.dir); len(entries)+len(left) > 0 {
				t.Errorf("left behind: files %v, processes %q", entries, left)
			}
		})
	}
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	moments := map[string][]string{
		"before the folder":        {},
		"during initdb":            {partialName, "PG_VERSION"},
		"at the start of postgres": {logName},
	}
	for moment, name := range moments {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(openDir(t), "kept")
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				c, err := Start(ctx, Options{Dir: dir})
				if err == nil { // It was faster than we.
					err = errors.Join(context.Canceled, c.Close())
				}
				ended <- err
			}()
			if len(name) > 0 {
				awaitFile(t, dir, name...)
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Start returned %v", err)
			}
			if left := processesIn(t, dir); len(left) > 0 {
				t.Errorf("processes are left: %q", left)
			}
			if got := query(t, startCluster(t, Options{Dir: dir}).URI(), "SELECT 'well'"); got != "well" {
				t.Errorf("the next Start's cluster answers %q", got)
			}
		})
	}
}

func TestGuardKilled(t *testing.T) {
	t.Parallel()
	c := startCluster(t, Options{})
	check(t, syscall.Kill(c.server.process.guard.Process.Pid, syscall.SIGKILL))
	if got := query(t, c.URI(), "SELECT 'well'"); got != "well" {
		t.Errorf("the cluster answers %q", got)
	}
	check(t, c.Stop(t.Context(), Fast))
	// What the guard has left is a shell that ends when it sees our end of the pipe closed, and nobody can wait for it.
	eventually(t, "the guard's reader has ended", func() bool { return len(guards(t, c)) == 0 })

	check(t, c.Start(t.Context()))
	both := guards(t, c)
	if len(both) != 2 {
		t.Errorf("the guard's shells are %v", both)
	}
	for _, pid := range both {
		check(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	if got := query(t, c.URI(), "SELECT 'well'"); got != "well" {
		t.Errorf("the cluster answers %q", got)
	}
	check(t, c.Close())
	checkGone(t, c.folder.path)
}

// guards lists the shells that guard a cluster's server.
func guards(t *testing.T, c *Cluster) (pids []int) {
	t.Helper()
	for _, process := range processesIn(t, c.folder.path) {
		pid, args, _ := strings.Cut(process, " ")
		if strings.Contains(args, "pgws-guard") {
			number, err := strconv.Atoi(pid)
			check(t, err)
			pids = append(pids, number)
		}
	}
	return pids
}

func TestKeeperKilled(t *testing.T) {
	t.Parallel()
	c := startCluster(t, Options{})
	check(t, c.folder.keeper.process.Process.Kill())
	check(t, c.Close())
	checkGone(t, c.folder.path)
}

// awaitFile waits until a file matches the pattern.
func awaitFile(t *testing.T, dir string, pattern ...string) {
	t.Helper()
	path := filepath.Join(append([]string{dir}, pattern...)...)
	eventually(t, "there is "+path, func() bool {
		found, err := filepath.Glob(path)
		check(t, err)
		return len(found) > 0
	})
}
