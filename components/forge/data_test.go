package forge

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// python runs a script as the pod does.
func python(t *testing.T, script, root string, stdin []byte) (out []byte, said string, err error) {
	t.Helper()
	cmd := exec.Command("python3", "-c", script, root)
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.Bytes(), stderr.String(), err
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// forgeFolder is a forge's data as a server that runs leaves them: a database whose
// last rows are in its log, a repository, and what is the server's own.
func forgeFolder(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	repository := filepath.Join(root, "data", "gitea-repositories", "acme", "endpoints.git")
	for _, dir := range []string{filepath.Dir(repository), filepath.Join(root, "data", "sessions"), filepath.Join(root, "data", "queues", "common"), filepath.Join(root, "custom")} {
		require.NoError(t, os.MkdirAll(dir, 0o750))
	}
	for name, text := range map[string]string{"data/sessions/a": "x", "data/queues/common/LOCK": "x", "custom/setting": "kept", ".administrator": "sum"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o640))
	}
	git(t, root, "init", "--quiet", "--bare", "--initial-branch=main", repository)
	work := t.TempDir()
	git(t, work, "clone", "--quiet", repository, ".")
	require.NoError(t, os.WriteFile(filepath.Join(work, "a"), []byte("merged"), 0o600))
	git(t, work, "add", ".")
	git(t, work, "commit", "--quiet", "-m", "Merge it")
	git(t, work, "push", "--quiet", "origin", "HEAD:main")
	_, said, err := python(t, `
import os, sqlite3, sys
c = sqlite3.connect(os.path.join(sys.argv[1], "data/gitea.db"))
c.execute("PRAGMA journal_mode=WAL")
c.execute("PRAGMA wal_autocheckpoint=0")
c.execute("CREATE TABLE user (name TEXT)")
c.execute("INSERT INTO user VALUES ('anna')")
c.commit()
os._exit(0)
`, root, nil)
	require.NoError(t, err, said)
	require.FileExists(t, filepath.Join(root, "data", "gitea.db-wal"), "the last rows are in the log")
	return root
}

// files are the contents below a folder, by path.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, root+"/")] = string(content)
		return err
	}))
	return found
}

func TestWhatIsLoadedIsWhatWasSaved(t *testing.T) {
	from := forgeFolder(t)
	archive, said, err := python(t, saveScript, from, nil)
	require.NoError(t, err, said)
	to := t.TempDir()
	_, said, err = python(t, loadScript, to, archive)
	require.NoError(t, err, said)

	want, got := files(t, from), files(t, to)
	for _, left := range []string{"data/gitea.db", "data/gitea.db-wal", "data/gitea.db-shm", "data/sessions/a", "data/queues/common/LOCK"} {
		delete(want, left)
	}
	delete(got, "data/gitea.db")
	assert.Equal(t, want, got)
	out, said, err := python(t, `import sqlite3, sys; print(sqlite3.connect(sys.argv[1] + "/data/gitea.db").execute("SELECT name FROM user").fetchall())`, to, nil)
	require.NoError(t, err, said)
	assert.Equal(t, "[('anna',)]\n", string(out), "what was in the log is lost")
	repository := filepath.Join(to, "data", "gitea-repositories", "acme", "endpoints.git")
	git(t, repository, "fsck", "--strict")
	assert.Equal(t, "Merge it", git(t, repository, "log", "-1", "--format=%s", "main"))
}

func TestARepositoryThatIsPushedToMeanwhileIsSavedWhole(t *testing.T) {
	from := forgeFolder(t)
	repository := filepath.Join(from, "data", "gitea-repositories", "acme", "endpoints.git")
	work := t.TempDir()
	git(t, work, "clone", "--quiet", repository, ".")
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.WriteFile(filepath.Join(work, "a"), bytes.Repeat([]byte{byte(n)}, 100+n), 0o600)
			for _, args := range [][]string{
				{"-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-am", "More"}, {"push", "--quiet", "origin", "HEAD:main"},
			} {
				_ = exec.Command("git", append([]string{"-C", work}, args...)...).Run()
			}
			if n%3 == 2 {
				_ = exec.Command("git", "-C", repository, "gc", "--quiet", "--prune=now").Run()
			}
		}
	}()
	for range 5 {
		archive, said, err := python(t, saveScript, from, nil)
		require.NoError(t, err, said)
		to := t.TempDir()
		_, said, err = python(t, loadScript, to, archive)
		require.NoError(t, err, said)
		git(t, filepath.Join(to, "data", "gitea-repositories", "acme", "endpoints.git"), "fsck", "--connectivity-only", "main")
	}
	close(stop)
	<-ended
}

func TestOnlyAVolumeThatIsNobodysIsFilled(t *testing.T) {
	archive, said, err := python(t, saveScript, forgeFolder(t), nil)
	require.NoError(t, err, said)

	theirs := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(theirs, "gitea.db"), []byte("theirs"), 0o600))
	_, said, err = python(t, loadScript, theirs, archive)
	assert.Error(t, err)
	assert.Equal(t, "the forge's volume is not empty: it has gitea.db\n", said)
	assert.Equal(t, map[string]string{"gitea.db": "theirs"}, files(t, theirs))

	half := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(half, "lost+found"), 0o700))
	_, _, err = python(t, loadScript, half, archive[:len(archive)/2])
	assert.Error(t, err, "the archive was cut short")
	_, said, err = python(t, loadScript, half, archive)
	require.NoError(t, err, "an ended run cannot be repeated: %s", said)
	assert.NotContains(t, files(t, half), ".restoring")
}
