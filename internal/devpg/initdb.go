package devpg

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// initdb makes a cluster in the folder, unless it has one, and returns its superuser's password.
func (f *folder) initdb(ctx context.Context, b binaries) (password string, err error) {
	if f.exists(dataName) {
		return f.password()
	}
	if err := f.root.RemoveAll(partialName); err != nil {
		return "", err
	}
	password = rand.Text()
	if err := f.writePassword(password); err != nil {
		return "", fmt.Errorf("keep the password: %w", err)
	}
	command := []string{
		filepath.Join(b.dir, "initdb"), "--pgdata=" + filepath.Join(f.path, partialName),
		"--username=" + superuser, "--pwfile=" + filepath.Join(f.path, passwordName), "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--no-instructions",
	}
	if f.temporary() {
		command = append(command, "--no-sync")
	}
	p, err := f.start(nil, command...)
	if err != nil {
		return "", err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = p.end() // It has ended in any case, and the context's error says why.
		return "", context.Cause(ctx)
	}
	if p.err != nil {
		return "", fmt.Errorf("initdb: %w: %s", p.err, strings.TrimSpace(p.output.String()))
	}
	if err := f.root.Rename(partialName, dataName); err != nil {
		return "", err
	}
	if f.temporary() {
		return password, f.root.Remove(passwordName)
	}
	return password, nil
}

// writePassword keeps the password in the folder for initdb, and for later runs on a folder that is kept.
func (f *folder) writePassword(password string) error {
	file, err := f.openFile(passwordName, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString(password + "\n"); err != nil {
		return err
	}
	return file.Sync()
}

func (f *folder) password() (string, error) {
	text, err := f.root.ReadFile(passwordName)
	if err != nil {
		return "", fmt.Errorf("the cluster's password: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// major is the PostgreSQL release whose data the folder has, such as 15; 0 if it has none.
func (f *folder) major() (int, error) {
	if !f.exists(dataName) {
		return 0, nil
	}
	text, err := f.root.ReadFile(filepath.Join(dataName, "PG_VERSION"))
	if err != nil {
		return 0, fmt.Errorf("%s has no cluster of pgws: %w", f.path, err)
	}
	var major int
	if _, err := fmt.Sscan(string(text), &major); err != nil {
		return 0, fmt.Errorf("read the release in %s: %w", filepath.Join(f.path, dataName, "PG_VERSION"), err)
	}
	return major, nil
}
