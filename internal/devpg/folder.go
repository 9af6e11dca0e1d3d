package devpg

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// What a folder holds. A cluster is made under another name and renamed when it is whole, so that one that was begun
// and not finished is not mistaken for one.
const (
	dataName     = "data"
	partialName  = "data.partial"
	passwordName = "password"
	logName      = "postgresql.log"
	lockName     = "lock"
)

// folder is where a cluster lives. All its processes inherit the hold, a file that tells whether one of them, or we, are
// still alive: the keeper's of a temporary folder, or the locked file of one that is kept.
type folder struct {
	path   string
	root   *os.Root
	owner  owner
	hold   *os.File
	keeper *keeper // nil: the folder is kept
}

// openFolder makes dir ready, which is kept; or if it is empty a temporary folder.
func openFolder(dir string) (_ *folder, err error) {
	f := &folder{path: dir}
	if f.owner, err = ownerOf(dir); err != nil {
		return nil, err
	}
	if dir == "" {
		err = f.openTemporary()
	} else {
		err = f.openKept()
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) openTemporary() (err error) {
	parent := os.TempDir()
	if !f.owner.reaches(parent) {
		parent = "/tmp"
	}
	if f.keeper, err = makeTemporary(parent); err != nil {
		return err
	}
	f.path, f.hold = f.keeper.path, f.keeper.hold
	return f.openRoot()
}

// openKept locks a folder and refuses one that holds anything but a cluster of ours.
func (f *folder) openKept() (err error) {
	if f.path, err = filepath.Abs(f.path); err != nil {
		return err
	}
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !slices.Contains([]string{dataName, partialName, passwordName, logName, lockName}, entry.Name()) {
			return fmt.Errorf("%s is not empty and not a cluster of pgws: it holds %s", f.path, entry.Name())
		}
	}
	if err := f.openRoot(); err != nil {
		return err
	}
	if f.hold, err = f.openFile(lockName, os.O_CREATE|os.O_RDWR); err != nil {
		return err
	}
	err = syscall.Flock(int(f.hold.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s is in use by another pgws", f.path)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.hold.Name(), err)
	}
	return nil
}

// openRoot hands the folder over to its owner.
func (f *folder) openRoot() (err error) {
	if parent := filepath.Dir(f.path); !f.owner.reaches(parent) {
		return fmt.Errorf("the user %s, who runs PostgreSQL for root, cannot enter %s", f.owner.name, parent)
	}
	if f.owner.other {
		if err := os.Chown(f.path, int(f.owner.uid), int(f.owner.gid)); err != nil {
			return err
		}
	}
	f.root, err = os.OpenRoot(f.path)
	return err
}

// openFile opens a file of the folder. One that it makes belongs to the owner, who alone may read it.
func (f *folder) openFile(name string, flag int) (*os.File, error) {
	file, err := f.root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	if f.owner.other {
		if err := file.Chown(int(f.owner.uid), int(f.owner.gid)); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return file, nil
}

// exists reports whether the folder holds something of that name.
func (f *folder) exists(name string) bool {
	_, err := f.root.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// tail returns the end of one of the folder's files, not before from and at most limit bytes; or why it cannot be read.
func (f *folder) tail(name string, from, limit int64) string {
	file, err := f.root.Open(name)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	from = max(from, size-limit)
	text, err := io.ReadAll(io.NewSectionReader(file, from, size-from))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// temporary reports whether the folder goes away.
func (f *folder) temporary() bool { return f.keeper != nil }

// close gives the folder up; a temporary one is gone when it returns. The cluster's processes must have ended.
func (f *folder) close() error {
	var errs []error
	if f.root != nil {
		errs = append(errs, f.root.Close())
	}
	switch {
	case f.keeper != nil:
		errs = append(errs, f.keeper.remove())
	case f.hold != nil:
		errs = append(errs, f.hold.Close())
	}
	return errors.Join(errs...)
}
