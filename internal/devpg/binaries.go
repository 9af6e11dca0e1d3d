package devpg

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// oldestMajor is the oldest PostgreSQL release that is taken; every older one is out of support.
const oldestMajor = 13

// wellKnown are the folders in which packagers put PostgreSQL's programs: Debian, Homebrew (both places), Postgres.app.
var wellKnown = []string{
	"/usr/lib/postgresql/*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// binaries is a folder with initdb and postgres of one release.
type binaries struct {
	dir   string
	major int
}

// findBinaries returns programs that the owner can run: installed ones, or else downloaded ones. If major is not 0, only
// that release will do.
func findBinaries(ctx context.Context, major int, o owner, log *slog.Logger) (binaries, error) {
	installed := slices.Concat(inspectAll(ctx, o, onPath(ctx)), inspectAll(ctx, o, inWellKnown()))
	if len(installed) > 0 {
		return choose(installed, major)
	}
	if ctx.Err() != nil { // Then the programs that there are could not be asked for their release.
		return binaries{}, context.Cause(ctx)
	}
	r, err := defaultRepository(o)
	if err != nil {
		return binaries{}, err
	}
	downloaded, err := r.binaries(ctx, log)
	if err != nil {
		return binaries{}, err
	}
	return choose([]binaries{downloaded}, major)
}

// choose takes the first one that will do.
func choose(found []binaries, major int) (binaries, error) {
	var majors []string
	for _, b := range found {
		if b.major == major || major == 0 && b.major >= oldestMajor {
			return b, nil
		}
		majors = append(majors, strconv.Itoa(b.major))
	}
	needed := fmt.Sprintf("PostgreSQL %d is needed", oldestMajor)
	if major != 0 {
		needed = fmt.Sprintf("the data are of PostgreSQL %d", major)
	}
	return binaries{}, fmt.Errorf("%s, and there is only %s", needed, strings.Join(majors, ", "))
}

// inspectAll keeps the folders that have all programs and that the owner may enter, the newest release first.
func inspectAll(ctx context.Context, o owner, dirs []string) (found []binaries) {
	for _, dir := range dirs {
		if b, err := inspect(ctx, dir); err == nil && o.reaches(dir) {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })
	return found
}

// onPath follows the links of initdb on PATH to where its companions are, and asks pg_config.
func onPath(ctx context.Context) (dirs []string) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	return dirs
}

func inWellKnown() (dirs []string) {
	for _, pattern := range wellKnown {
		found, err := filepath.Glob(pattern)
		if err != nil {
			panic(err) // The patterns are constants.
		}
		dirs = append(dirs, found...)
	}
	return dirs
}

// inspect reads the release of the programs in a folder.
func inspect(ctx context.Context, dir string) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("ask postgres in %s for its release: %w", dir, err)
	}
	b := binaries{dir: dir}
	if _, err := fmt.Sscanf(string(out), "postgres (PostgreSQL) %d", &b.major); err != nil {
		return binaries{}, fmt.Errorf("read the release in %q: %w", out, err)
	}
	return b, nil
}
