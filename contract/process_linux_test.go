package contract_test

import (
	"os/exec"
	"syscall"
)

// dieWithUs has a process killed when the tests are, for example by their time limit.
func dieWithUs(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = new(syscall.SysProcAttr)
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
