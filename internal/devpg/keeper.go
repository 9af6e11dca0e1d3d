package devpg

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// keeperScript removes a temporary folder. Its standard input is a pipe whose writing end is the keeper's hold: reading
// it ends when nobody has the hold any more.
const keeperScript = `
trap '' HUP INT QUIT TERM
read -r _
rm -rf -- "$1"
`

// keeper is a shell process that removes a temporary folder when we, and all to whom we gave the hold, have ended.
type keeper struct {
	path    string
	hold    *os.File
	process *exec.Cmd
}

// makeTemporary makes a folder in parent that goes away. The keeper is started before the folder is made, so that there
// is no moment at which a kill leaves it behind. Nobody else has a folder of that name: it is random.
func makeTemporary(parent string) (*keeper, error) {
	k := &keeper{path: filepath.Join(parent, "pgws-"+rand.Text())}
	in, hold, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the keeper: %w", err)
	}
	defer in.Close()
	k.hold = hold
	k.process = exec.Command("/bin/sh", "-c", keeperScript, "pgws-keeper", k.path)
	k.process.Dir = "/"
	k.process.Stdin = in
	k.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := k.process.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the keeper: %w", err), hold.Close())
	}
	if err := os.Mkdir(k.path, 0o700); err != nil {
		return nil, errors.Join(err, k.remove())
	}
	return k, nil
}

// remove gives our hold up and waits until the folder is gone.
func (k *keeper) remove() error {
	err := k.hold.Close()
	if waitErr := k.process.Wait(); waitErr != nil {
		// The keeper was killed, or could not remove all.
		err = errors.Join(err, os.RemoveAll(k.path))
	}
	return err
}
