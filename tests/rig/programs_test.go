package rig

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outcome is how a test ends that asks for Kyverno.
type outcome struct {
	testing.TB
	path            string
	failed, skipped bool
}

func (o *outcome) Helper()      {}
func (o *outcome) Fatal(...any) { o.failed = true; panic(o) }
func (o *outcome) Skip(...any)  { o.skipped = true; panic(o) }

func ask() (o *outcome) {
	o = &outcome{}
	defer func() { _ = recover() }()
	o.path = Kyverno(o)
	return o
}

func TestARealKyvernoThatWasPromisedMayNotBeSkipped(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("PATH", t.TempDir())
	t.Setenv("NEUROSCALE_CACHE", cache)
	t.Setenv("NEUROSCALE_E2E", "")
	assert.Equal(t, &outcome{skipped: true}, ask())
	t.Setenv("NEUROSCALE_E2E", "1")
	assert.Equal(t, &outcome{failed: true}, ask())

	built := filepath.Join(cache, "tools", "bin", "kubectl-kyverno")
	require.NoError(t, os.MkdirAll(filepath.Dir(built), 0o755))
	require.NoError(t, os.WriteFile(built, nil, 0o755))
	assert.Equal(t, &outcome{path: built}, ask())
}

// Tests that ask for a real program skip among the unit tests: one place has to run
// them.
func TestMakeRunsEveryTestThatAsksForARealProgram(t *testing.T) {
	root := filepath.Join("..", "..")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	_, recipe, found := strings.Cut(string(makefile), "\ntest-programs:")
	require.True(t, found)
	recipe, _, _ = strings.Cut(recipe, "\n\n")
	asking := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "rig.Kyverno(") || strings.Contains(string(text), "rig.Promtool(") {
			dir, _ := filepath.Rel(root, filepath.Dir(path))
			asking["./"+dir] = true
		}
		return err
	})
	require.NoError(t, err)
	delete(asking, "./tests/rig")        // says it, here
	delete(asking, "./tests/guardrails") // make test-e2e runs all of tests/
	require.NotEmpty(t, asking)
	for dir := range asking {
		assert.Contains(t, strings.Fields(recipe), dir)
	}
}
