package ownimages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// checkout is a small one.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		".dockerignore": "*\n!cmd\n!deep/inside\n**/*_test.go\n", "cmd/main.go": "package main", "cmd/main_test.go": "package main",
		"bin/big": "", "deep/inside/a": "a", "deep/outside": "",
		"Dockerfile":        "# of a program\nFROM golang:1 AS build\nFROM registry.example/kyverno:v1 AS kyverno\nFROM scratch AS guard\nCOPY --from=build /out /guard\nfrom build as again\n",
		"portal/Dockerfile": "FROM node:2 AS build\nFROM node:2-slim\n", "portal/package.json": "{}",
	} {
		put(t, dir, name, content)
	}
	require.NoError(t, os.Symlink("main.go", filepath.Join(dir, "cmd", "link.go")))
	return dir
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
}

var pinned = map[string]string{
	"guard": "ghcr.io/neuroscale-platform/guard:v2", "portal": "ghcr.io/neuroscale-platform/portal:v1", "pause": "registry.example/pause:3",
	"copy": "registry.example.org/mirror/ghcr.io/neuroscale-platform/guard:v2",
}

func builds(t *testing.T, dir string) (guard, portal string) {
	t.Helper()
	all, err := Builds(dir, Of(pinned))
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, Image{Name: "guard", Published: pinned["guard"], Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Target: "guard"}, all[0].Image)
	assert.Equal(t, Image{Name: "portal", Published: pinned["portal"], Context: filepath.Join(dir, "portal"), Dockerfile: filepath.Join(dir, "portal/Dockerfile")}, all[1].Image)
	return all[0].Reference, all[1].Reference
}

func TestAnImageIsNamedAfterWhatItIsBuiltOf(t *testing.T) {
	dir := checkout(t)
	guard, portal := builds(t, dir)
	assert.Regexp(t, `^ghcr\.io/neuroscale-platform/guard:v2-[0-9a-f]{12}$`, guard)
	for name, test := range map[string]struct {
		change        func()
		guard, portal bool
	}{
		"a source":            {func() { put(t, dir, "cmd/main.go", "package other") }, true, false},
		"a source of another": {func() { put(t, dir, "portal/package.json", "{ }") }, false, true},
		"a new one":           {func() { put(t, dir, "cmd/new.go", "") }, true, false},
		"the Dockerfile":      {func() { put(t, dir, "Dockerfile", "FROM golang:2 AS build\n") }, true, false},
		"what is taken back":  {func() { put(t, dir, "deep/inside/a", "b") }, true, false},
		"a mode":              {func() { require.NoError(t, os.Chmod(filepath.Join(dir, "cmd", "main.go"), 0o755)) }, true, false},
		"a link": {func() {
			require.NoError(t, os.Remove(filepath.Join(dir, "cmd", "link.go")))
			require.NoError(t, os.Symlink("other.go", filepath.Join(dir, "cmd", "link.go")))
		}, true, false},
		"a test":          {func() { put(t, dir, "cmd/main_test.go", "package other") }, false, false},
		"what is ignored": {func() { put(t, dir, "bin/big", "x"); put(t, dir, "deep/outside", "x"); put(t, dir, "README.md", "x") }, false, false},
		"a time":          {func() { put(t, dir, "cmd/main.go", "package main") }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir = checkout(t)
			before, beforePortal := builds(t, dir)
			assert.Equal(t, []string{guard, portal}, []string{before, beforePortal}, "the same in another folder is another image")
			test.change()
			after, afterPortal := builds(t, dir)
			assert.Equal(t, test.guard, before != after, "guard")
			assert.Equal(t, test.portal, beforePortal != afterPortal, "portal")
		})
	}
}

func TestBasesAreWhatOnlyARegistryHas(t *testing.T) {
	dir := checkout(t)
	all, err := Builds(dir, Of(pinned))
	require.NoError(t, err)
	bases, err := Bases(all)
	require.NoError(t, err)
	assert.Equal(t, []string{"golang:1", "node:2", "node:2-slim", "registry.example/kyverno:v1"}, bases)
}

func TestWithoutADockerfileNothingIsNamed(t *testing.T) {
	dir := checkout(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "portal", "Dockerfile")))
	_, err := Builds(dir, Of(pinned))
	require.ErrorContains(t, err, "image portal: open "+filepath.Join(dir, "portal", "Dockerfile"))
}

// Whoever adds an image of ours to the pins has to say what it is built of.
func TestEveryImageOfOursIsAStageOfTheDockerfiles(t *testing.T) {
	upstream, err := render.ReadUpstream(gitops.FS)
	require.NoError(t, err)
	all, err := Builds("../..", Of(upstream.Images))
	require.NoError(t, err)
	var names []string
	for _, b := range all {
		names = append(names, b.Name)
		text, err := os.ReadFile(b.Dockerfile)
		require.NoError(t, err)
		if b.Target != "" {
			assert.Contains(t, string(text), "\nFROM scratch AS "+b.Target+"\n")
		}
	}
	assert.Equal(t, []string{"dashboards", "doorkeeper", "forge-proxy", "guard", "portal"}, names)
	bases, err := Bases(all)
	require.NoError(t, err)
	assert.Len(t, bases, 4)
	for _, base := range bases {
		assert.True(t, strings.Contains(base, ":"), "%s floats", base)
	}
}
