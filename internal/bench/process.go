package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// A process is one of this machine, by its id.
type process int

// resident returns the bytes of the process that are in memory. smaps_rollup is exact, and for the process's owner
// only; status is off by some pages a thread.
func (p process) resident() (int, error) {
	n, err := p.kilobytes("smaps_rollup", "Rss:")
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		n, err = p.kilobytes("status", "VmRSS:")
	}
	if err != nil {
		return 0, fmt.Errorf("read the resident memory of process %d: %w", int(p), err)
	}
	return n << 10, nil
}

// kilobytes finds a line such as "VmRSS:   1234 kB" in a file of /proc.
func (p process) kilobytes(file, name string) (int, error) {
	path := "/proc/" + strconv.Itoa(int(p)) + "/" + file
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, fmt.Errorf("no %s in %s", name, path)
}

// usage is the CPU time that both sides have had.
type usage struct{ server, clients time.Duration }

// usage reads the CPU times. The server's is 0 when it has no process here.
func (t *Target) usage() (u usage, err error) {
	if u.clients, err = process(os.Getpid()).cpu(); err != nil || t.PID == 0 {
		return u, err
	}
	u.server, err = process(t.PID).cpu()
	return u, err
}
