package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/backup"
	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

const backupPassphrase = "a dozen and more characters"

// backupOf writes a small backup.
func backupOf(t *testing.T, m backup.Manifest) string {
	t.Helper()
	var forge, file bytes.Buffer
	w := tar.NewWriter(&forge)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "data/gitea.db", Mode: 0o600, Typeflag: tar.TypeReg}))
	require.NoError(t, w.Close())
	require.NoError(t, backup.Write(&file, backupPassphrase, m, []byte(`{}`), &forge))
	path := filepath.Join(t.TempDir(), "platform.backup")
	require.NoError(t, os.WriteFile(path, file.Bytes(), 0o600))
	return path
}

func TestARestoreThatCannotWorkChangesNothing(t *testing.T) {
	good := backupOf(t, backup.Manifest{Stack: "ci", Organization: "neuroscale"})
	damaged := filepath.Join(t.TempDir(), "damaged")
	content, err := os.ReadFile(good)
	require.NoError(t, err)
	content[len(content)-1] ^= 1
	require.NoError(t, os.WriteFile(damaged, content, 0o600))
	for name, test := range map[string]struct {
		file, passphrase string
		up               bool
		want             string
	}{
		"a platform is there":     {file: good, up: true, want: "stack ci is there already: a backup is restored where no platform is"},
		"no such file":            {file: "/nowhere", want: "open the backup: "},
		"another passphrase":      {file: good, passphrase: "another dozen characters", want: "the passphrase does not open it"},
		"a short passphrase":      {file: good, passphrase: "short", want: "the passphrase of a backup has 5 characters: use 12 or more"},
		"no passphrase":           {file: good, passphrase: "-", want: "set --passphrase-file or NEUROSCALE_BACKUP_PASSPHRASE"},
		"damaged at its end":      {file: damaged, want: "it is no backup, or it is damaged"},
		"of another stack":        {file: backupOf(t, backup.Manifest{Stack: "prod", Organization: "neuroscale"}), want: "is of stack prod: restore it with -s prod"},
		"of another organization": {file: backupOf(t, backup.Manifest{Stack: "ci", Organization: "acme"}), want: `neuroscale:forge.organization is "neuroscale": write "acme"`},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			if test.up {
				m.up()
			}
			if test.passphrase == "" {
				test.passphrase = backupPassphrase
			}
			if test.passphrase != "-" {
				m.env[passphraseVariable] = test.passphrase
			}
			calls := fakepulumi.Install(t, fakepulumi.Script{})
			code, out, errout := m.run("restore", test.file)
			assert.Equal(t, 1, code)
			assert.Empty(t, out)
			assert.Contains(t, errout, test.want)
			assert.NotContains(t, strings.Join(calls.Lines(t), "\n"), "import")
		})
	}
}

func TestABackupOverwritesNothingAndLeavesNothingHalfDone(t *testing.T) {
	m := newMachine(t)
	m.env[passphraseVariable] = backupPassphrase
	dir := t.TempDir()
	existing := filepath.Join(dir, "existing")
	require.NoError(t, os.WriteFile(existing, []byte("kept"), 0o600))
	code, _, errout := m.run("backup", existing)
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, existing+" exists: a backup overwrites nothing")

	fakepulumi.Install(t, fakepulumi.Script{})
	code, _, _ = m.run("backup", filepath.Join(dir, "new"))
	assert.Equal(t, 1, code, "there is no platform")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

func TestOfTwoErrorsOfAPipeTheFirstIsTheCause(t *testing.T) {
	full, gone := errors.New("disk full"), errors.New("pod gone")
	assert.ErrorIs(t, piped(func(w io.Writer) error {
		_, err := io.Copy(w, strings.NewReader(strings.Repeat("x", 1<<20)))
		return errors.Join(gone, err)
	}, func(io.Reader) error { return full }), full)
	assert.ErrorIs(t, piped(func(io.Writer) error { return gone }, func(r io.Reader) error {
		_, err := io.ReadAll(r)
		return errors.Join(full, err)
	}), gone)
	assert.NoError(t, piped(func(w io.Writer) error { _, err := io.WriteString(w, "a"); return err },
		func(r io.Reader) error { _, err := io.ReadAll(r); return err }))
}
