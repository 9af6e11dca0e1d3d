package contract_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgws/internal/programtest"
)

// A terminal is what a program takes for one. It collects what is shown.
type terminal struct {
	programtest.Output
	keyboard *os.File
	command  *exec.Cmd
	done     chan error
}

// onTerminal runs pgws sub or pub on a terminal until the test ends.
func (s *server) onTerminal(t *testing.T, variables env, arguments ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	check(t, err)
	t.Cleanup(func() { _ = master.Close() })
	check(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	check(t, err)
	slave, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	check(t, err)
	p := s.command(t, variables, slave, arguments...)
	term := &terminal{keyboard: master, command: p.Cmd, done: make(chan error, 1)}
	p.Stdout, p.Stderr = slave, slave
	programtest.DieWithUs(p.Cmd)
	p.SysProcAttr.Setsid, p.SysProcAttr.Setctty = true, true
	check(t, p.Start())
	check(t, slave.Close())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		_, _ = io.Copy(term, master) // An error is its end: nobody has the other side open.
		term.done <- p.Wait()
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // It has ended, most likely.
		<-shown
	})
	return term
}

// await waits until a pattern is shown.
func (term *terminal) await(t *testing.T, pattern string) {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	programtest.Eventually(t, "the terminal shows "+pattern, func() bool { return expression.MatchString(term.String()) })
}

func (term *terminal) press(t *testing.T, keys string) {
	t.Helper()
	_, err := term.keyboard.WriteString(keys)
	check(t, err)
}

// expectInterrupted wants the program to end with status 1, and to say why.
func (term *terminal) expectInterrupted(t *testing.T) {
	t.Helper()
	select {
	case err := <-term.done:
		var status *exec.ExitError
		if !errors.As(err, &status) || status.ExitCode() != 1 {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatalf("it goes on: %q", term.String())
	}
	term.await(t, "pgws: interrupt")
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

// On a terminal a message is a line for people, and nothing in it reaches the terminal as a command.
func TestSubOnTerminal(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	message := func(text string) string {
		quoted, err := json.Marshal(text)
		check(t, err)
		return fmt.Sprintf(`{"event":"WebsocketMessage","channel":"chat","payload":%s,"claims":{"sub":"ann","message_delivered_at":1.5}}`, quoted)
	}
	for name, tc := range map[string]struct {
		variables env
		want      string
	}{
		"in colours":      {nil, "\x1b\\[2m\\d\\d:\\d\\d:\\d\\d\x1b\\[0m  \x1b\\[3\\dmchat\x1b\\[0m      hello\x1b\\[2m  ann\x1b\\[0m\r\n"},
		"without colours": {env{"NO_COLOR": "1"}, "\n\\d\\d:\\d\\d:\\d\\d  chat      hello  ann\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			term := s.onTerminal(t, tc.variables, "sub", "chat", "longer ü")
			term.await(t, "listening to chat, longer ü")
			s.notify(t, message("hello"), message("\x1b]0;title\x07\nsecond"), `{"channel":"chat","id":1}`)
			term.await(t, tc.want)
			term.await(t, `  \\x1b\]0;title\\a\\nsecond`)
			term.await(t, `  \{"channel":"chat","id":1\}`)
			s.notify(t, message("a\u00a0b 👩\u200d👧 \u202ec"))
			term.await(t, "  a\u00a0b 👩\u200d👧 \\\\u202ec")
			term.press(t, ctrlC)
			check(t, <-term.done)
			if strings.Contains(term.String(), "\x1b]") {
				t.Errorf("a message has reached the terminal: %q", term.String())
			}
		})
	}
}

func TestPubOnTerminal(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	receipt := `delivered to chat at \d\d:\d\d:\d\d\.\d\d\d\r\n`
	t.Run("an argument", func(t *testing.T) {
		t.Parallel()
		term := s.onTerminal(t, nil, "pub", "chat", "hello")
		check(t, <-term.done)
		term.await(t, "^"+receipt+"$")
	})
	t.Run("typed", func(t *testing.T) {
		t.Parallel()
		term := s.onTerminal(t, nil, "pub", "chat")
		term.await(t, "Ctrl-D")
		term.press(t, "hello\n"+ctrlD)
		check(t, <-term.done)
		term.await(t, receipt)
	})
	t.Run("lines", func(t *testing.T) {
		t.Parallel()
		term := s.onTerminal(t, nil, "pub", "chat", "--lines")
		term.await(t, "Ctrl-D")
		term.press(t, "one\ntwo\n"+ctrlD)
		check(t, <-term.done)
		term.await(t, "2 messages delivered to chat\r\n$")
	})
	t.Run("ended by Ctrl-C", func(t *testing.T) {
		t.Parallel()
		term := s.onTerminal(t, nil, "pub", "chat")
		term.await(t, "Ctrl-D")
		term.press(t, "one\n"+ctrlC)
		term.expectInterrupted(t)
	})
	t.Run("lines ended by Ctrl-C", func(t *testing.T) {
		t.Parallel()
		term := s.onTerminal(t, nil, "pub", "chat", "--lines")
		term.await(t, "Ctrl-D")
		term.press(t, "one\n")
		term.await(t, "1 message delivered")
		term.press(t, ctrlC)
		term.expectInterrupted(t)
		term.await(t, "interrupt.*; 1 message delivered\r\n")
	})
}

// What PostgreSQL has committed counts as delivered, also when its receipt cannot be printed.
func TestPubUnprinted(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	check(t, err)
	t.Cleanup(func() { _ = full.Close() })
	for name, tc := range map[string]struct {
		arguments []string
		want      string
	}{
		"one":   {nil, `^pgws: delivered, but .*no space left on device\n$`},
		"lines": {[]string{"--lines"}, `^pgws: line 1: delivered, but .*no space left on device; 1 message delivered\n$`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.dial(t, "/"+name+"/"+token(`{"mode":"r"}`))
			p := s.command(t, nil, strings.NewReader("hello\n"), append([]string{"pub", name}, tc.arguments...)...)
			p.Stdout, p.Stderr = full, &p.Log
			programtest.DieWithUs(p.Cmd)
			var status *exec.ExitError
			if err := p.Run(); !errors.As(err, &status) || status.ExitCode() != 1 || !regexp.MustCompile(tc.want).MatchString(p.Log.String()) {
				t.Errorf("%v, standard error %q", err, p.Log.String())
			}
			if got := c.receiveMessage().Payload; got != "hello" {
				t.Errorf("got %q", got)
			}
		})
	}
}
