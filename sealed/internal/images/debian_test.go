package images

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var testTime = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

func archive(t *testing.T, headers ...*tar.Header) *bytes.Buffer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		require.NoError(t, w.WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte(h.Name))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return &buf
}

func TestPackagesLandInTheMergedUsr(t *testing.T) {
	root := t.TempDir()
	err := unpackTar(archive(t,
		&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		&tar.Header{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		&tar.Header{Name: "./bin/su", Typeflag: tar.TypeReg, Mode: 0o4755},
		&tar.Header{Name: "./usr/bin/sh", Typeflag: tar.TypeSymlink, Linkname: "dash"},
		&tar.Header{Name: "./bin/hard", Typeflag: tar.TypeLink, Linkname: "./bin/su"},
		&tar.Header{Name: "./usr/share/doc/x/copyright", Typeflag: tar.TypeReg, Mode: 0o644},
		&tar.Header{Name: "./usr/share/docs", Typeflag: tar.TypeReg, Mode: 0o644},
	), root, func(name string) bool { return strings.HasPrefix(name, "usr/share/doc/") })
	require.NoError(t, err)
	info, err := os.Lstat(filepath.Join(root, "usr/bin/su"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o755), info.Mode(), "set-user-id bits are dropped")
	require.FileExists(t, filepath.Join(root, "usr/bin/hard"))
	require.FileExists(t, filepath.Join(root, "usr/share/docs"))
	require.NoDirExists(t, filepath.Join(root, "bin"))
	require.NoDirExists(t, filepath.Join(root, "usr/share/doc"))
}

func TestPackageCannotLeaveItsTree(t *testing.T) {
	for _, name := range []string{"../evil", "./usr/../../evil"} {
		err := unpackTar(archive(t, &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}), t.TempDir(), func(string) bool { return false })
		require.ErrorContains(t, err, "bad path")
	}
}

func TestDevicesAreRefused(t *testing.T) {
	err := unpackTar(archive(t, &tar.Header{Name: "./dev/null", Typeflag: tar.TypeChar}), t.TempDir(), func(string) bool { return false })
	require.ErrorContains(t, err, "not expected in a package")
}

func TestTrimRemovesNamedFoldersOnly(t *testing.T) {
	site := t.TempDir()
	for _, f := range []string{"a/tests/x", "a/b/tests/y", "a/b/kept", "c/tests/z", "d/tests/w"} {
		require.NoError(t, writeFile(filepath.Join(site, f), nil))
	}
	require.NoError(t, trim(site, "a/**/tests"))
	require.NoError(t, trim(site, "c/tests"))
	require.NoDirExists(t, filepath.Join(site, "a/tests"))
	require.NoDirExists(t, filepath.Join(site, "a/b/tests"))
	require.NoDirExists(t, filepath.Join(site, "c/tests"))
	require.FileExists(t, filepath.Join(site, "a/b/kept"))
	require.FileExists(t, filepath.Join(site, "d/tests/w"))
}
