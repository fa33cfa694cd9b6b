package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// npmPackage is one with files, in the checkout that pins it.
func npmPackage(t *testing.T, files map[string]string) (repo, file string) {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	for name, text := range files {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: "package/" + name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o644}))
		_, err := archive.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, zipped.Close())
	repo = t.TempDir()
	file = filepath.Join(repo, "uplot.tgz")
	require.NoError(t, os.WriteFile(file, packed.Bytes(), 0o644))
	sum := sha512.Sum512(packed.Bytes())
	table := fmt.Sprintf("packages:\n  uplot: {version: 1.2.3, integrity: sha512-%s}\n", base64.StdEncoding.EncodeToString(sum[:]))
	at := filepath.Join(repo, "sealed", "internal", "images")
	require.NoError(t, os.MkdirAll(at, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(at, "images.yaml"), []byte(table), 0o644))
	return repo, file
}

func TestOnlyThePinnedPackageGetsIntoTheDashboardsImage(t *testing.T) {
	whole := map[string]string{"dist/uPlot.iife.min.js": "js", "dist/uPlot.min.css": "css", "LICENSE": "MIT", "package.json": "{}"}
	repo, file := npmPackage(t, whole)
	found, err := readUPlot(repo, file)
	require.NoError(t, err)
	assert.Equal(t, map[string][]byte{"/uplot/uPlot.iife.min.js": []byte("js"), "/uplot/uPlot.min.css": []byte("css"), "/uplot/LICENSE": []byte("MIT")}, found)

	_, err = readUPlot(repo, "")
	assert.ErrorContains(t, err, "add -uplot FILE")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(text, 0), 0o644))
	_, err = readUPlot(repo, file)
	assert.ErrorContains(t, err, "is not what images.yaml pins: give uplot 1.2.3")

	delete(whole, "LICENSE")
	repo, file = npmPackage(t, whole)
	_, err = readUPlot(repo, file)
	assert.ErrorContains(t, err, "has no LICENSE")
}
