package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Kyverno is the path of Kyverno's real command line, on PATH or where a sealed
// node's images are built. A test that needs it is skipped without it, but fails
// where everything real was promised: a suite that skips itself proves nothing.
func Kyverno(t testing.TB) string {
	t.Helper()
	const program = "kubectl-kyverno"
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
	const missing = program + " is neither on PATH nor built: run `bin/sealed images kyverno-cli`"
	if os.Getenv("NEUROSCALE_E2E") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}
