package suite

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Machine is what figures depend on besides the server. What this system does not tell is empty.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     int    `json:"memory"` // bytes
	OS         string `json:"os"`
	Kernel     string `json:"kernel"`
	Congestion string `json:"congestion_control"`
	OpenFiles  int    `json:"open_files"` // that one process may have
	Go         string `json:"go"`
	PostgreSQL string `json:"postgresql"`
}

// thisMachine reads the files by which Linux describes a machine. On other systems they are missing, and on Linux a
// container may hide some: then that much is not told.
func thisMachine() Machine {
	memory, _ := strconv.Atoi(strings.TrimSuffix(lineOf("/proc/meminfo", "MemTotal:"), " kB"))
	return Machine{
		CPU:        strings.TrimPrefix(lineOf("/proc/cpuinfo", "model name\t:"), " "),
		Cores:      runtime.NumCPU(),
		Memory:     memory << 10,
		OS:         cmp.Or(strings.Trim(lineOf("/etc/os-release", "PRETTY_NAME="), `"`), runtime.GOOS),
		Kernel:     lineOf("/proc/sys/kernel/osrelease", ""),
		Congestion: lineOf("/proc/sys/net/ipv4/tcp_congestion_control", ""),
		OpenFiles:  openFiles(os.Getpid()),
		Go:         runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// openFiles is how many files a process may have open; 0 when the system does not tell. A Go program has raised its limit
// to the hard one.
func openFiles(pid int) int {
	fields := strings.Fields(lineOf("/proc/"+strconv.Itoa(pid)+"/limits", "Max open files"))
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil { // It is "unlimited".
		return 0
	}
	return n
}

// lineOf returns what follows a prefix in the first line of a file that has it.
func lineOf(path, prefix string) string {
	content, err := os.ReadFile(path)
	if err != nil { // The caller's value is empty then, which says that it is not known.
		return ""
	}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// versionTimeout is for PostgreSQL to say which one it is.
const versionTimeout = 10 * time.Second

func postgresVersion(ctx context.Context, uri string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, uri)
	if err != nil {
		return "", fmt.Errorf("suite: PostgreSQL's version: %w", err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
		return "", fmt.Errorf("suite: PostgreSQL's version: %w", err)
	}
	return version, nil
}
