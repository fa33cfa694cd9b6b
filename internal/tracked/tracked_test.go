// Package tracked checks which files this repository keeps.
package tracked

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxBytes is far above what people write and below what compilers do.
const maxBytes = 300_000

// locks are generated, and as long as there are dependencies.
var locks = map[string]bool{"go.sum": true, "yarn.lock": true}

// executables are the first bytes of what linkers write.
var executables = map[string][]string{
	"ELF":    {"\x7fELF"},
	"Mach-O": {"\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe"},
	"PE":     {"MZ\x90\x00", "MZ\x78\x00"},
}

// refuse says why a file with this size and beginning may not be tracked; "" if
// it may.
func refuse(file string, size int64, head []byte) string {
	what := ""
	for format, beginnings := range executables {
		for _, b := range beginnings {
			if bytes.HasPrefix(head, []byte(b)) {
				what = "an executable (" + format + ")"
			}
		}
	}
	if what == "" && size > maxBytes && !locks[path.Base(file)] {
		what = fmt.Sprintf("over %d KB", maxBytes/1000)
	}
	if what == "" {
		return ""
	}
	return fmt.Sprintf("%s (%d KB) is %s: run `git rm --cached %s` and add it to .gitignore", file, (size+999)/1000, what, file)
}

func TestNoExecutableAndNothingLargeIsTracked(t *testing.T) {
	root := filepath.Join("..", "..")
	out, err := exec.Command("git", "-C", root, "ls-files", "-z").Output()
	require.NoError(t, err, "list the files that git tracks")
	files := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	require.Contains(t, files, "internal/tracked/tracked_test.go")
	for _, file := range files {
		info, err := os.Lstat(filepath.Join(root, file))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue // deleted and not yet committed, or a link
		}
		require.NoError(t, err)
		assert.Empty(t, refuse(file, info.Size(), head(t, filepath.Join(root, file))))
	}
}

func head(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	first := make([]byte, 4)
	n, err := io.ReadFull(f, first)
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		require.NoError(t, err)
	}
	return first[:n]
}

func TestARefusalSaysFileSizeAndWhatToDo(t *testing.T) {
	const do = ": run `git rm --cached x/a` and add it to .gitignore"
	for name, test := range map[string]struct {
		file string
		size int64
		head string
		want string
	}{
		"source":                   {"x/a", 12_000, "pack", ""},
		"an empty file":            {"x/a", 0, "", ""},
		"just small enough":        {"x/a", maxBytes, "pack", ""},
		"too large":                {"x/a", maxBytes + 1, "pack", "x/a (301 KB) is over 300 KB" + do},
		"a large lockfile":         {"x/go.sum", maxBytes * 2, "k8s.", ""},
		"named like a lockfile":    {"x/a", maxBytes * 2, "k8s.", "x/a (600 KB) is over 300 KB" + do},
		"an ELF file":              {"x/a", 900, "\x7fELF", "x/a (1 KB) is an executable (ELF)" + do},
		"a Mach-O file":            {"x/a", 900, "\xcf\xfa\xed\xfe", "x/a (1 KB) is an executable (Mach-O)" + do},
		"a PE file":                {"x/a", 900, "MZ\x90\x00", "x/a (1 KB) is an executable (PE)" + do},
		"text that begins like PE": {"x/a", 900, "MZ is", ""},
		"an executable as lockfile": {"go.sum", 900, "\x7fELF",
			"go.sum (1 KB) is an executable (ELF): run `git rm --cached go.sum` and add it to .gitignore"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, refuse(test.file, test.size, []byte(test.head)))
		})
	}
}
