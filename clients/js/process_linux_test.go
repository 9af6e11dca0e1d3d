package js_test

import (
	"os/exec"
	"syscall"
)

// dieWithUs has a process killed when the tests are, for example by their time limit.
func dieWithUs(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
