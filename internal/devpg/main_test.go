package devpg

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// deadline is how long a test waits for what must happen.
const deadline = time.Minute

// childEnv makes the test binary a child that runs a cluster, rather than the tests; keptEnv is the cluster's folder.
const (
	childEnv = "DEVPG_TEST_CHILD"
	keptEnv  = "DEVPG_TEST_KEPT"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := runChild(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runChild starts a cluster, says its URI, and closes it when its standard input ends.
func runChild() error {
	c, err := Start(context.Background(), Options{Dir: os.Getenv(keptEnv)})
	if err != nil {
		return err
	}
	fmt.Println(c.URI())
	_, err = io.Copy(io.Discard, os.Stdin)
	if err := c.Close(); err != nil {
		return err
	}
	return err
}

// child is the test binary as another process, whose temporary folders are in dir.
type child struct {
	*exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
	dir    string
}

// startChild starts the test binary again as o. Its cluster is temporary if kept is empty.
func startChild(t *testing.T, o owner, kept string) child {
	t.Helper()
	c := child{dir: openDir(t)}
	c.Cmd = exec.Command(copyOfTestBinary(t))
	c.Env = append(os.Environ(), childEnv+"=1", keptEnv+"="+kept, "TMPDIR="+c.dir)
	c.Stderr = t.Output()
	c.SysProcAttr = &syscall.SysProcAttr{Credential: o.credential()}
	stdin, err := c.StdinPipe()
	check(t, err)
	c.stdin = stdin
	stdout, err := c.StdoutPipe()
	check(t, err)
	c.stdout = bufio.NewReader(stdout)
	check(t, c.Start())
	t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	})
	return c
}

// ready waits until the child's cluster accepts connections, and returns its URI.
func (c child) ready(t *testing.T) string {
	t.Helper()
	uri, err := c.stdout.ReadString('\n')
	check(t, err)
	return strings.TrimSpace(uri)
}

// users are the users as whom a cluster must work.
func users(t *testing.T) map[string]owner {
	t.Helper()
	all := map[string]owner{"ourselves": {}}
	if os.Geteuid() == 0 {
		all["an ordinary user"] = owner{name: "nobody", uid: 65534, gid: 65534, other: true}
	}
	return all
}

// openDir makes a temporary folder that every user may enter and write to.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	check(t, os.Chmod(filepath.Dir(dir), 0o755))
	check(t, os.Chmod(dir, 0o777))
	return dir
}

// copyOfTestBinary is for users who cannot enter the folder in which it was built.
func copyOfTestBinary(t *testing.T) string {
	t.Helper()
	original, err := os.Executable()
	check(t, err)
	path := filepath.Join(openDir(t), "devpg.test")
	// Another program writes it: one that we write ourselves may be "busy" when it
	// is started, since a process forked meanwhile holds the descriptor for a moment.
	if out, err := exec.Command("cp", original, path).CombinedOutput(); err != nil {
		t.Fatalf("copy the test binary: %v: %s", err, out)
	}
	return path
}

// startCluster starts a cluster that is closed when the test ends.
func startCluster(t *testing.T, o Options) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c, err := Start(ctx, o)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

// query returns the text of one value.
func query(t *testing.T, uri, sql string) (value string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), uri)
	check(t, err)
	defer func() { check(t, conn.Close(context.Background())) }()
	check(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func execute(t *testing.T, uri, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), uri)
	check(t, err)
	defer func() { check(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), sql)
	check(t, err)
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(deadline)
	for !condition() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("waited %v in vain: %s", deadline, what)
		}
	}
}

// processesIn lists the processes that have a folder in their command line or work in it.
func processesIn(t *testing.T, dir string) (found []string) {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-ww", "-o", "pid=,args=").Output()
	check(t, err)
	for line := range strings.Lines(string(out)) {
		pid, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		cwd, _ := os.Readlink("/proc/" + pid + "/cwd") // On macOS there is none: the arguments must do.
		if strings.Contains(args, dir) || strings.HasPrefix(cwd, dir) {
			found = append(found, pid+" "+args)
		}
	}
	return found
}

// checkGone fails if something of a cluster is left.
func checkGone(t *testing.T, dir string) {
	t.Helper()
	if found := processesIn(t, dir); len(found) > 0 {
		t.Errorf("processes are left: %q", found)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder %s is left: %v", dir, err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
