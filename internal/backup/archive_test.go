package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const passphrase = "a dozen and more characters"

func init() { workFactor = 4 }

type entry struct {
	name, content string
	kind          byte
}

func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		header := &tar.Header{Name: e.name, Mode: 0o640, Size: int64(len(e.content)), Typeflag: e.kind, ModTime: time.Unix(1700000000, 0)}
		if e.kind == tar.TypeSymlink {
			header.Linkname = "/etc/passwd"
		}
		require.NoError(t, w.WriteHeader(header))
		_, err := io.WriteString(w, e.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

var whole = []entry{
	{name: "data/", kind: tar.TypeDir}, {name: "data/gitea.db", content: "rows"}, {name: "data/gitea-repositories/a.git/HEAD", content: "ref"},
}

func written(t *testing.T, forge []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	m := Manifest{Stack: "ci", Organization: "neuroscale", Forge: "gitea:1", Created: time.Unix(1700000000, 0).UTC()}
	require.NoError(t, Write(&b, passphrase, m, []byte(`{"secret":"hunter2"}`), bytes.NewReader(forge)))
	return b.Bytes()
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	forge := archive(t, whole...)
	file := written(t, forge)
	var out bytes.Buffer
	m, secrets, err := Read(bytes.NewReader(file), passphrase, &out)
	require.NoError(t, err)
	assert.Equal(t, Manifest{Format: 1, Stack: "ci", Organization: "neuroscale", Forge: "gitea:1", Created: time.Unix(1700000000, 0).UTC()}, m)
	assert.Equal(t, `{"secret":"hunter2"}`, string(secrets))
	assert.Equal(t, forge, out.Bytes(), "byte for byte")
}

func TestNothingInABackupCanBeReadWithoutItsPassphrase(t *testing.T) {
	file := written(t, archive(t, whole...))
	for _, text := range []string{"hunter2", "rows", "gitea.db", "neuroscale", passphrase} {
		assert.NotContains(t, string(file), text)
	}
	_, _, err := Read(bytes.NewReader(file), "another dozen characters", io.Discard)
	assert.ErrorIs(t, err, ErrPassphrase)
}

func TestADamagedOrTruncatedBackupIsRefusedWhole(t *testing.T) {
	file := written(t, archive(t, append(whole, entry{name: "big", content: strings.Repeat("incompressible?", 20000)})...))
	for at := 0; at < len(file); at += max(1, len(file)/97) {
		damaged := bytes.Clone(file)
		damaged[at] ^= 1
		_, _, err := Read(bytes.NewReader(damaged), passphrase, io.Discard)
		assert.Errorf(t, err, "byte %d of %d was changed", at, len(file))
		_, _, err = Read(bytes.NewReader(file[:at]), passphrase, io.Discard)
		assert.Errorf(t, err, "it ends at byte %d of %d", at, len(file))
	}
	_, _, err := Read(strings.NewReader("something else"), passphrase, io.Discard)
	assert.ErrorIs(t, err, ErrNoBackup)
}

func TestWhatLeadsOutOfTheForgesFolderIsNeverWritten(t *testing.T) {
	for name, bad := range map[string]entry{
		"a path upwards":     {name: "../data/x"},
		"a path up and down": {name: "data/../../x"},
		"a symbolic link":    {name: "data/link", kind: tar.TypeSymlink},
	} {
		t.Run(name, func(t *testing.T) {
			forge := archive(t, append(whole, bad)...)
			err := Write(io.Discard, passphrase, Manifest{}, nil, bytes.NewReader(forge))
			assert.ErrorIs(t, err, ErrNoBackup)
		})
	}
}

func TestABackupOfAForgeWithoutADatabaseIsNone(t *testing.T) {
	for name, forge := range map[string][]byte{
		"nothing":     archive(t),
		"no database": archive(t, whole[0], whole[2]),
		"cut short":   archive(t, whole...)[:700],
	} {
		assert.Error(t, Write(io.Discard, passphrase, Manifest{}, nil, bytes.NewReader(forge)), name)
	}
}

// A process that fails has its exit code behind what it wrote.
func TestWhatGoesWrongBehindTheArchiveIsNoBackup(t *testing.T) {
	failed := errors.New("exit status 1")
	forge := io.MultiReader(bytes.NewReader(archive(t, whole...)), iotest.ErrReader(failed))
	assert.ErrorIs(t, Write(io.Discard, passphrase, Manifest{}, nil, forge), failed)
}

func TestAPassphraseThatIsGuessedSoonIsRefused(t *testing.T) {
	assert.EqualError(t, Write(io.Discard, "elevenchars", Manifest{}, nil, bytes.NewReader(nil)),
		"the passphrase of a backup has 11 characters: use 12 or more, it protects every password of the platform")
	assert.NoError(t, CheckPassphrase("zwölf zeichen"))
}
