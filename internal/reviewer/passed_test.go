package reviewer

import (
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func passed(t *testing.T, r *Reviewer, repository, digest string) int {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler(nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/passed?repository="+repository+"&tree="+digest, nil))
	return w.Code
}

func digestOf(f *forgeDouble, commit string) string {
	t := tree{}
	for path, c := range f.commits[commit] {
		t[path] = entry{sha: sha(c.content), mode: "100644"}
	}
	return t.digest()
}

func TestOnlyWhatHasPassedMayBeMerged(t *testing.T) {
	f, forge := newForge(t)
	r := reviewer(t, forge, &passes{})
	f.propose(1, "h1", "m0", good)
	f.propose(2, "h2", "m0", files{"apps/new/a.yaml": {content: "bad"}})
	h1, h2 := digestOf(f, "h1"), digestOf(f, "h2")
	assert.Equal(t, 403, passed(t, r, repository, h1), "it is not judged yet")
	attend(t, r, 1)
	attend(t, r, 2)
	assert.Equal(t, 200, passed(t, r, repository, h1))
	assert.Equal(t, 200, passed(t, reviewer(t, forge, &passes{}), repository, h1), "another process does not know")
	assert.Equal(t, 403, passed(t, r, repository, h2), "it was refused")
	assert.Equal(t, 403, passed(t, r, repository, digestOf(f, "m0")), "something else")

	// By somebody who may merge.
	f.statuses["h2"] = append(f.statuses["h2"], status{ID: 9, State: "success", Context: Context, Description: f.last("h2").Description,
		Creator: map[string]string{"login": "merger"}})
	assert.Equal(t, 403, passed(t, r, repository, h2), "a status was forged")
	attend(t, r, 2)
	assert.Equal(t, "failure", f.last("h2").State, "the forged one is what people see")

	f.move("m1", files{"apps/other/a.yaml": {content: "other"}})
	assert.Equal(t, 403, passed(t, r, repository, h1), "it was judged against the main before")
	for _, bad := range []string{"", "x", strings.Repeat("g", 64)} {
		assert.Equal(t, 400, passed(t, r, repository, bad))
	}
	assert.Equal(t, 400, passed(t, r, "platform", h1))
	f.token = ""
	assert.Equal(t, 502, passed(t, r, repository, h1), "the forge does not answer")
}

// What the hook in the forge makes of the same tree.
func TestADigestIsThatOfGit(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
		out, err := cmd.Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet")
	for _, path := range []string{"a.b", "a/c", "a-b/c", "apps/ä b/x.yaml", "z"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(path), 0o644))
	}
	require.NoError(t, os.Symlink("z", filepath.Join(dir, "link")))
	git("add", "--all")
	git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",sub")
	git("commit", "--quiet", "--message", "m")
	all := tree{}
	for line := range strings.SplitSeq(strings.TrimSuffix(git("ls-tree", "-r", "-z", "HEAD"), "\x00"), "\x00") {
		about, path, _ := strings.Cut(line, "\t")
		fields := strings.Fields(about)
		all[path] = entry{sha: fields[2], mode: fields[0]}
	}
	require.Len(t, all, 7)
	out, err := exec.Command("sh", "-c", "git -C "+dir+" ls-tree -r -z HEAD | sha256sum | cut -d ' ' -f 1").Output()
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSpace(string(out)), all.digest())
	_, err = hex.DecodeString(all.digest())
	require.NoError(t, err)
}
