package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Kyverno is the path of Kyverno's real command line.
func Kyverno(t testing.TB) string {
	t.Helper()
	return actual(t, "kubectl-kyverno", "kyverno-cli")
}

// Promtool is the path of Prometheus' own command line.
func Promtool(t testing.TB) string {
	t.Helper()
	return actual(t, "promtool", "promtool")
}

// actual is the path of a program, on PATH or where a sealed node's images are built,
// as that entry. A test that needs it is skipped without it, but fails where
// everything real was promised: a suite that skips itself proves nothing.
func actual(t testing.TB, program, entry string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	cache, err := Cache()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "tools", "bin", program)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	missing := program + " is neither on PATH nor built: run `bin/sealed images " + entry + "`"
	if os.Getenv("NEUROSCALE_E2E") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}
