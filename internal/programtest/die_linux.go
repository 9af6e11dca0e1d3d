package programtest

import (
	"os/exec"
	"syscall"
)

// DieWithUs has a process killed when the tests are, for example by their time limit.
func DieWithUs(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = new(syscall.SysProcAttr)
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
