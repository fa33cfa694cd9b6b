package automation

import (
	"fmt"
	"os"
	"path/filepath"
)

// AuthorityFile is where KeepAuthority writes.
func (s *Stack) AuthorityFile() string { return s.home.authorityFile(s.Options.Stack) }

func (h Home) authorityFile(stack string) string {
	return filepath.Join(filepath.Dir(h.workRoot), "authority", stack+".crt")
}

// KeepAuthority writes the certificate of the stack's authority, in PEM form, to a
// file for those who have to trust it, and returns its path. A program that reads the
// file meanwhile reads the old one or the new one.
func (s *Stack) KeepAuthority(certificate string) (string, error) {
	file := s.AuthorityFile()
	if err := keep(file, certificate); err != nil {
		return "", fmt.Errorf("keep the certificate of the authority in %s: %w", file, err)
	}
	return file, nil
}

func keep(file, text string) error {
	if there, err := os.ReadFile(file); err == nil && string(there) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(file), ".authority-")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	if _, err := next.WriteString(text); err != nil {
		return err
	}
	if err := next.Chmod(0o644); err != nil {
		return err
	}
	if err := next.Close(); err != nil {
		return err
	}
	return os.Rename(next.Name(), file)
}
