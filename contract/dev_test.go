package contract_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgws/internal/programtest"
)

// users are those as whom `pgws dev` must work.
func users() map[string]*syscall.Credential {
	all := map[string]*syscall.Credential{"ourselves": nil}
	if os.Geteuid() == 0 {
		all["an ordinary user"] = &syscall.Credential{Uid: 65534, Gid: 65534} // nobody
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

// copyOfBinary is pgws where every user may run it. Another process copies it: a file that this one has open for
// writing, and a child just forked with it, cannot be run.
func copyOfBinary(t *testing.T) string {
	t.Helper()
	original, err := built()
	check(t, err)
	path := filepath.Join(openDir(t), "a folder", "pgws") // a space, as there may be
	check(t, os.Mkdir(filepath.Dir(path), 0o755))
	if out, err := exec.Command("cp", original, path).CombinedOutput(); err != nil {
		t.Fatalf("copy pgws: %v: %s", err, out)
	}
	return path
}

// A dev is a run of `pgws dev`, whose temporary folders are made in dir.
type dev struct {
	server
	dir string
	// It prints a token, and lines for a shell.
	token, export, listen, send, post, hello string
}

// launchDev runs `pgws dev` without any setting but a free port, in a process group of its own, as a terminal does.
func launchDev(t *testing.T, user *syscall.Credential, arguments ...string) *dev {
	t.Helper()
	d := &dev{dir: openDir(t)}
	d.program = &program{Program: programtest.New(exec.Command(copyOfBinary(t), append([]string{"dev"}, arguments...)...))}
	d.Env = env{"PGWS_PORT": "0", "TMPDIR": d.dir}.list()
	d.Dir = "/"
	d.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: user}
	d.run(t)
	return d
}

// startDev runs `pgws dev` and reads what it prints.
func startDev(t *testing.T, user *syscall.Credential, arguments ...string) *dev {
	t.Helper()
	d := launchDev(t, user, arguments...)
	d.hello = d.Await(t, &d.Out, `(?s)\n  From SQL +(PGPASSWORD=.*? -c ".*?")\n`)[1]
	d.token = d.Await(t, &d.Out, `\n  export .*PGWS_TOKEN=(eyJ\S+)\n`)[1]
	d.export = d.Await(t, &d.Out, `\n  (export .*)\n`)[1]
	d.listen = d.Await(t, &d.Out, `\n  Listen +(.*)\n`)[1]
	d.send = d.Await(t, &d.Out, `\n  Send +(.*)\n`)[1]
	d.post = d.Await(t, &d.Out, `\n  By HTTP +(.*)\n`)[1]
	d.addr = "127.0.0.1:" + d.Await(t, &d.Out, `http://localhost:(\d+)/`)[1]
	connection := regexp.MustCompile(`^PGPASSWORD=(\S+) .* -h (\S+) -p (\S+) -U (\S+) (\S+)`).FindStringSubmatch(d.hello)
	if connection == nil {
		t.Fatalf("no psql line: %q", d.hello)
	}
	password, host, port, role, database := connection[1], connection[2], connection[3], connection[4], connection[5]
	d.uri = "postgres://" + role + ":" + password + "@" + net.JoinHostPort(host, port) + "/" + database
	d.secrets = append(d.secrets, password)
	return d
}

// shell runs a line as it is printed.
func (d *dev) shell(line string) *exec.Cmd {
	return exec.Command("/bin/sh", "-c", d.export+"\n"+line)
}

// ctrlC signals the whole process group, as a terminal does.
func (d *dev) ctrlC(t *testing.T) {
	t.Helper()
	check(t, syscall.Kill(-d.Process.Pid, syscall.SIGINT))
}

// left lists what there is of a dev: the processes that have its folder in their command line or work in it, and its
// temporary files.
func (d *dev) left(t *testing.T) (found []string) {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-ww", "-o", "pid=,args=").Output()
	check(t, err)
	for line := range strings.Lines(string(out)) {
		pid, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		cwd, _ := os.Readlink("/proc/" + pid + "/cwd") // Elsewhere than on Linux there is none: the command must do.
		if strings.Contains(command, d.dir) || strings.HasPrefix(cwd, d.dir) {
			found = append(found, pid+" "+command)
		}
	}
	entries, err := os.ReadDir(d.dir)
	check(t, err)
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

func query(t *testing.T, conn *pgx.Conn, sql string) (value string) {
	t.Helper()
	check(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

// Without any configuration there is a database, a demo page, a token and a line for psql, and each works. Ctrl-C ends
// all of it and leaves nothing.
func TestDev(t *testing.T) {
	t.Parallel()
	for who, user := range users() {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			d := startDev(t, user)
			status, header, body := d.get(t, "/")
			if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/html") || !strings.Contains(body, "pgws") {
				t.Errorf("the demo page is %d %v %.200q", status, header, body)
			}
			c := d.dial(t, "/chat/"+d.token)
			c.send("from a client")
			if got := c.receiveMessage().Payload; got != "from a client" {
				t.Errorf("got %q", got)
			}
			listening := &program{Program: programtest.New(d.shell("exec " + d.listen + " --count=3"))}
			listening.run(t)
			listening.awaitLog(t, "listening to chat")
			for _, line := range []string{d.send, d.post, d.hello} {
				if out, err := d.shell(line).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", line, err, out)
				}
			}
			for range 2 {
				if got := c.receiveMessage().Payload; got != "hello" {
					t.Errorf("got %q", got)
				}
			}
			c.expect(`{"channel" : "chat", "payload" : "hello from SQL"}`)
			if status := listening.wait(t); status != 0 {
				t.Errorf("%s: the status is %d", d.listen, status)
			}
			conn := connect(t, d.uri)
			if got := query(t, conn, "show wal_level"); got != "logical" {
				t.Errorf("wal_level is %s", got)
			}
			if got := query(t, conn, "show listen_addresses"); got != "127.0.0.1" {
				t.Errorf("it listens on %s", got)
			}
			if len(d.left(t)) == 0 {
				t.Error("the folder and the processes of the database are not found")
			}
			d.ctrlC(t)
			c.expectClose(1001)
			if status := d.wait(t); status != 0 {
				t.Errorf("the status is %d", status)
			}
			if left := d.left(t); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// Killed hard, at work or while it starts, or stopped while it starts, it leaves nothing either.
func TestDevLeavesNothing(t *testing.T) {
	t.Parallel()
	for who, user := range users() {
		for name, end := range map[string]func(*testing.T){
			"killed at work": func(t *testing.T) {
				d := startDev(t, user)
				check(t, d.Process.Kill())
				d.wait(t)
				programtest.Eventually(t, "nothing is left", func() bool { return len(d.left(t)) == 0 })
			},
			"killed early": func(t *testing.T) {
				d := launchDev(t, user)
				programtest.Eventually(t, "there is a folder", func() bool { return len(d.left(t)) > 1 })
				check(t, d.Process.Kill())
				d.wait(t)
				programtest.Eventually(t, "nothing is left", func() bool { return len(d.left(t)) == 0 })
			},
			"stopped early": func(t *testing.T) {
				d := launchDev(t, user)
				programtest.Eventually(t, "there is a folder", func() bool { return len(d.left(t)) > 1 })
				d.ctrlC(t)
				if status := d.wait(t); status != 0 {
					t.Errorf("the status is %d", status)
				}
				if left := d.left(t); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
			},
		} {
			t.Run(name+", as "+who, func(t *testing.T) {
				t.Parallel()
				end(t)
			})
		}
	}
}

// --data keeps the database for the next time, and for one at a time.
func TestDevData(t *testing.T) {
	t.Parallel()
	data := filepath.Join(openDir(t), "data")
	d := startDev(t, nil, "--data", data)
	_, err := connect(t, d.uri).Exec(t.Context(), "create table kept as select 'well' as how")
	check(t, err)
	second := launchDev(t, nil, "--data", data)
	if status := second.wait(t); status != 1 || !strings.Contains(second.Log.String(), data) {
		t.Errorf("a second one ends with status %d and says %q", status, second.Log.String())
	}
	d.ctrlC(t)
	if status := d.wait(t); status != 0 {
		t.Errorf("the status is %d", status)
	}
	if left := d.left(t); len(left) > 0 {
		t.Errorf("left beside the data: %q", left)
	}
	again := startDev(t, nil, "--data", data)
	if got := query(t, connect(t, again.uri), "select how from kept"); got != "well" {
		t.Errorf("the table says %q", got)
	}
}

// A database that ends on its own ends `pgws dev` too, with an error.
func TestDevWithoutDatabase(t *testing.T) {
	t.Parallel()
	d := startDev(t, nil)
	pid := query(t, connect(t, d.uri), "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")
	out, err := exec.Command("kill", "-QUIT", pid).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if status := d.wait(t); status != 1 {
		t.Errorf("the status is %d", status)
	}
	if left := d.left(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
