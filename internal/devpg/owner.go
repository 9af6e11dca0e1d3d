package devpg

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is the user that PostgreSQL runs as. PostgreSQL refuses to run as root.
type owner struct {
	name     string
	uid, gid uint32
	other    bool // another user than ours: we are root
}

// ownerOf chooses the user for a folder: ourselves, unless we are root. Then the one to whom the folder belongs already,
// or else postgres, or else nobody.
func ownerOf(dir string) (owner, error) {
	if uid := os.Geteuid(); uid != 0 {
		return owner{name: fmt.Sprintf("uid %d", uid), uid: uint32(uid), gid: uint32(os.Getegid())}, nil
	}
	if info, err := os.Stat(dir); err == nil {
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 0 {
			return owner{name: fmt.Sprintf("uid %d", stat.Uid), uid: stat.Uid, gid: stat.Gid, other: true}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return owner{name: name, uid: uint32(uid), gid: uint32(gid), other: true}, nil
		}
	}
	return owner{}, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// credential is what a process of the owner is started with; nil when that is ourselves.
func (o owner) credential() *syscall.Credential {
	if !o.other {
		return nil
	}
	return &syscall.Credential{Uid: o.uid, Gid: o.gid}
}

// reaches reports whether the owner may enter a folder, that is, all folders above it and itself.
func (o owner) reaches(dir string) bool {
	if !o.other {
		return true
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return false
	}
	for {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || !o.enters(info) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
}

// enters reports whether a folder's mode lets the owner pass.
func (o owner) enters(info fs.FileInfo) bool {
	stat := info.Sys().(*syscall.Stat_t)
	switch {
	case stat.Uid == o.uid:
		return info.Mode()&0o100 != 0
	case stat.Gid == o.gid:
		return info.Mode()&0o010 != 0
	}
	return info.Mode()&0o001 != 0
}
