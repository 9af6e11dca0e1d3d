package devpg

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

func TestServing(t *testing.T) {
	t.Parallel()
	c := startCluster(t, Options{Settings: map[string]string{"max_connections": "42", "work_mem": "8MB"}})
	tests := map[string]func(*testing.T, *Cluster){
		"has its settings":      testSettings,
		"wants the password":    testPassword,
		"gives a line for psql": testPsql,
		"does not hear Ctrl-C":  testSession,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

func testSettings(t *testing.T, c *Cluster) {
	want := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"wal_level":               "logical",
		"fsync":                   "off",
		"synchronous_commit":      "off",
		"full_page_writes":        "off",
		"server_encoding":         "UTF8",
		"password_encryption":     "scram-sha-256",
		"max_connections":         "42",
		"work_mem":                "8MB",
	}
	got := map[string]string{}
	for name := range want {
		got[name] = query(t, c.URI(), "SELECT current_setting('"+name+"')")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if got := query(t, c.URI(), "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"); got != "scram-sha-256" {
		t.Errorf("pg_hba.conf admits by %s", got)
	}
}

func testPassword(t *testing.T, c *Cluster) {
	config, err := pgx.ParseConfig(c.URI())
	check(t, err)
	config.Password = "wrong"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err == nil {
		check(t, conn.Close(t.Context()))
		t.Error("a wrong password was accepted")
	}
	if c.folder.exists(passwordName) {
		t.Error("the password's file is still there")
	}
	for _, args := range processesIn(t, c.folder.path) {
		if strings.Contains(args, c.password) {
			t.Errorf("the password stands in the arguments of %s", args)
		}
	}
}

func testPsql(t *testing.T, c *Cluster) {
	line := c.Psql()
	if _, after, ok := strings.Cut(line, " "); !ok || strings.Contains(after, c.password) {
		t.Error("the password stands among psql's arguments")
	}
	out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", line+" -Atc 'SELECT 6 * 7'").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "42" {
		t.Errorf("psql says %q, %v", out, err)
	}
}

// A terminal sends Ctrl-C to all processes of its session's foreground group.
func testSession(t *testing.T, c *Cluster) {
	ours, err := unix.Getsid(0)
	check(t, err)
	for name, process := range map[string]*exec.Cmd{"guard": c.server.process.guard, "keeper": c.folder.keeper.process} {
		theirs, err := unix.Getsid(process.Process.Pid)
		check(t, err)
		if theirs == ours {
			t.Errorf("the %s is in our session", name)
		}
	}
}

func TestStopAndStart(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]Mode{"fast": Fast, "immediate": Immediate} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, Options{})
			uri := c.URI()
			execute(t, uri, "CREATE TABLE kept AS SELECT 'here' AS what")
			execute(t, uri, "CHECKPOINT")
			done := c.Done()
			check(t, c.Stop(t.Context(), mode))
			select {
			case <-done:
			default:
				t.Error("Done is not closed after Stop")
			}
			check(t, c.Err())
			if conn, err := pgx.Connect(t.Context(), uri); err == nil {
				check(t, conn.Close(t.Context()))
				t.Error("the stopped cluster accepts a connection")
			}
			check(t, c.Stop(t.Context(), mode))
			check(t, c.Start(t.Context()))
			if c.URI() != uri {
				t.Errorf("the URI has changed from %s to %s", uri, c.URI())
			}
			if got := query(t, uri, "SELECT what FROM kept"); got != "here" {
				t.Errorf("the table holds %q", got)
			}
			if err := c.Start(t.Context()); err == nil {
				t.Error("Start of a running cluster succeeds")
			}
		})
	}
}

func TestDiesOnItsOwn(t *testing.T) {
	t.Parallel()
	c := startCluster(t, Options{})
	check(t, c.Err())
	line, _, _ := strings.Cut(c.folder.tail(statusPath, 0, 1024), "\n")
	postmaster, err := strconv.Atoi(line)
	check(t, err)
	check(t, syscall.Kill(postmaster, syscall.SIGKILL))
	<-c.Done()
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "ready to accept connections") {
		t.Errorf("Err is %v, without the end of the log", err)
	}
	check(t, c.Start(t.Context()))
	check(t, c.Err())
	query(t, c.URI(), "SELECT 'well'")
}

func TestClose(t *testing.T) {
	t.Parallel()
	c := startCluster(t, Options{})
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			checkGone(t, c.folder.path)
		})
	}
	closing.Wait()
	check(t, c.Err())
	if err := c.Start(t.Context()); err == nil {
		t.Error("Start after Close succeeds")
	}
	check(t, c.Stop(t.Context(), Fast))
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", host+":0")
	check(t, err)
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	c := startCluster(t, Options{})
	free := c.port
	check(t, c.Stop(t.Context(), Immediate))

	c.port = taken
	if err := c.Start(t.Context()); !errors.Is(err, errPortTaken) || !strings.Contains(err.Error(), "could not bind") {
		t.Errorf("Start on a port that is taken returned %v", err)
	}

	ports := []int{taken, free}
	pick := func(context.Context) (port int, err error) {
		port, ports = ports[0], ports[1:]
		return port, nil
	}
	check(t, c.startOnFreePort(t.Context(), pick))
	if len(ports) > 0 {
		t.Error("the port that is taken was not tried first")
	}
	query(t, c.URI(), "SELECT 'well'")
}

func TestBadSetting(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Settings: map[string]string{"max_connections": "many"}})
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "max_connections"`) {
		t.Errorf("Start returned %v", err)
	}
}

// Not parallel: no other test opens files while this one counts.
func TestNoDescriptorIsLeft(t *testing.T) {
	var counts [2]int
	for i := range counts {
		c := startCluster(t, Options{})
		check(t, c.Stop(t.Context(), Immediate))
		check(t, c.Start(t.Context()))
		check(t, c.Close())
		entries, err := os.ReadDir("/dev/fd")
		check(t, err)
		counts[i] = len(entries)
	}
	if counts[0] != counts[1] {
		t.Errorf("%d open files after one cluster, %d after another", counts[0], counts[1])
	}
}
