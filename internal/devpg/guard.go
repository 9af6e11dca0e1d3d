package devpg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// endTimeout is how long a process has to obey SIGQUIT before it is killed. The postmaster itself kills what does not
// obey it after five seconds, so a healthy one never needs as much.
const endTimeout = 20 * time.Second

// guardScript runs the command in "$@" and sees to it that the command does not outlive us. Its standard input is a
// pipe whose writing end only our process holds, so that reading it ends when we close it, and also when we are killed.
//
// The guard itself does not mind the signals that its session gets, and ends when its command has. SIGQUIT is repeated
// because it is lost when it comes before the command has been started or has set up its handlers. At the end SIGUSR1
// takes away the reader and its sleep. Descriptor 3 is the folder's hold: the command inherits it, the reader does not.
const guardScript = `
ulimit -c 0
trap : HUP INT QUIT TERM USR1
exec 4<&0 </dev/null
(
	trap '' HUP INT QUIT TERM
	read -r _
	while kill -s QUIT 0 && kill -0 $$; do sleep 1; done
) <&4 3>&- 4<&- >/dev/null 2>&1 &
"$@" 4<&-
status=$?
kill -s USR1 0
wait
exit $status
`

// process is a command that runs under a guard, in a session of its own, where a terminal's Ctrl-C does not reach it.
type process struct {
	guard *exec.Cmd
	pipe  io.Closer // closed: the guard ends the command

	done   chan struct{} // closed when every process of the session has ended; the fields below are set then
	err    error
	output bytes.Buffer
}

// start runs a command under a guard as the folder's owner and in the folder. Its standard error goes to stderr, or to
// the process's output if that is nil.
func (f *folder) start(stderr *os.File, command ...string) (*process, error) {
	p := &process{
		guard: exec.Command("/bin/sh", append([]string{"-c", guardScript, "pgws-guard"}, command...)...),
		done:  make(chan struct{}),
	}
	// A pipe is made for the output, which all descendants inherit. Wait returns when the last of them has closed it,
	// that is, has ended.
	p.guard.Stdout = &p.output
	p.guard.Stderr = &p.output
	if stderr != nil {
		p.guard.Stderr = stderr
	}
	p.guard.Dir = f.path
	p.guard.Env = environment()
	p.guard.ExtraFiles = []*os.File{f.hold}
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: f.owner.credential()}
	pipe, err := p.guard.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the guard: %w", err)
	}
	p.pipe = pipe
	if err := p.guard.Start(); err != nil {
		return nil, fmt.Errorf("run %s as %s in %s: %w", command[0], f.owner.name, f.path, err)
	}
	go func() {
		defer close(p.done)
		p.err = p.guard.Wait()
	}()
	return p, nil
}

// signal reaches every process of the session's first group: the guard, which does not mind, and the postmaster. Its
// children are in sessions of their own. The group's number is not given away while one of them is alive.
func (p *process) signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	err := syscall.Kill(-p.guard.Process.Pid, s)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %v: %w", s, err)
	}
	return nil
}

// failure is how a process ended that should not have.
func (p *process) failure() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// end stops the process at once and waits until it has ended. The guard does it, as after our death; the signal is for
// the case that the guard has been killed.
func (p *process) end() error {
	_ = p.pipe.Close() // Closed already when the process has ended, which is as good.
	if err := p.signal(syscall.SIGQUIT); err != nil {
		return err
	}
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return fmt.Errorf("killed after it had not obeyed SIGQUIT for %v", endTimeout)
}

// environment is what PostgreSQL gets of ours: nothing that could be a secret, no PG* variable that changes a setting,
// and English messages.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
