package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bare is an empty repository, and its URL.
func bare(t *testing.T) (dir, url string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "r.git")
	_, err := Run(t.Context(), t.TempDir(), "init", "--quiet", "--bare", "--initial-branch=main", dir)
	require.NoError(t, err)
	return dir, "file://" + dir
}

// commits pushes a commit with a file to a branch of a repository, on top of what that
// has.
func commits(t *testing.T, repository, branch, file string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "w")
	_, err := Run(t.Context(), t.TempDir(), "clone", "--quiet", repository, dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(file), 0o644))
	for _, args := range [][]string{
		{"add", "--all"}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", file}, {"push", "--quiet", "origin", "HEAD:" + branch},
	} {
		_, err := Run(t.Context(), dir, args...)
		require.NoError(t, err)
	}
}

func allRefs(t *testing.T, repository string) string {
	t.Helper()
	out, err := Run(t.Context(), repository, "for-each-ref", "--format=%(refname) %(objectname)")
	require.NoError(t, err)
	return out
}

func move(t *testing.T, from, to string) (Moved, error) {
	t.Helper()
	return Move(t.Context(), Remote{URL: from, Username: "a", Password: "secret-of-a"}, Remote{URL: to, Username: "b", Password: "secret-of-b"}, t.TempDir())
}

func TestBranchesAndTagsAreMovedWithTheirHistoryAndNothingElse(t *testing.T) {
	from, fromURL := bare(t)
	to, toURL := bare(t)
	commits(t, from, "refs/heads/main", "one")
	commits(t, from, "refs/heads/main", "two")
	commits(t, from, "refs/heads/other", "three")
	commits(t, from, "refs/tags/v1", "four")
	want := allRefs(t, from)
	commits(t, from, "refs/pull/7/head", "proposed")

	moved, err := move(t, fromURL, toURL)
	require.NoError(t, err)
	assert.Equal(t, Moved{Refs: 3, New: 3}, moved)
	assert.Equal(t, want, allRefs(t, to), "not what there was, or a pull request's as well")
	count, err := Run(t.Context(), to, "rev-list", "--count", "main")
	require.NoError(t, err)
	assert.Equal(t, "2", count)

	moved, err = move(t, fromURL, toURL)
	require.NoError(t, err)
	assert.Equal(t, Moved{Refs: 3}, moved, "it cannot be done again")
	commits(t, from, "refs/heads/main", "five")
	moved, err = move(t, fromURL, toURL)
	require.NoError(t, err)
	assert.Equal(t, Moved{Refs: 3, New: 1}, moved, "what came since is left behind")
}

func TestWhatIsSomebodyElsesIsNotWrittenOver(t *testing.T) {
	for name, write := range map[string]func(t *testing.T, to string){
		"another history":        func(t *testing.T, to string) { commits(t, to, "refs/heads/main", "theirs") },
		"a branch of their own":  func(t *testing.T, to string) { commits(t, to, "refs/heads/theirs", "theirs") },
		"a tag of the same name": func(t *testing.T, to string) { commits(t, to, "refs/tags/v1", "theirs") },
	} {
		t.Run(name, func(t *testing.T) {
			from, fromURL := bare(t)
			to, toURL := bare(t)
			commits(t, from, "refs/heads/main", "ours")
			commits(t, from, "refs/tags/v1", "ours-too")
			write(t, to)
			before := allRefs(t, to)
			_, err := move(t, fromURL, toURL)
			var other OtherContent
			require.ErrorAs(t, err, &other)
			assert.Len(t, other, 1)
			assert.Equal(t, before, allRefs(t, to), "something was pushed")
		})
	}
	// What was moved and then gone on with there.
	from, fromURL := bare(t)
	to, toURL := bare(t)
	commits(t, from, "refs/heads/main", "ours")
	_, err := move(t, fromURL, toURL)
	require.NoError(t, err)
	commits(t, to, "refs/heads/main", "more")
	_, err = move(t, fromURL, toURL)
	require.ErrorContains(t, err, "it has what is not to be moved there: heads/main at ")
}

func TestAnEmptyRepositoryIsNotMoved(t *testing.T) {
	_, from := bare(t)
	_, to := bare(t)
	_, err := move(t, from, to)
	require.ErrorIs(t, err, ErrEmpty)
	_, err = move(t, from+"-gone", to)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
}

func TestNoPasswordOfAMoveIsAnArgument(t *testing.T) {
	calls := logged(t)
	from, fromURL := bare(t)
	_, toURL := bare(t)
	commits(t, from, "refs/heads/main", "one")
	_, err := move(t, fromURL, toURL)
	require.NoError(t, err)
	assert.True(t, strings.Contains(calls(), "push"), "this shows nothing")
	assert.NotContains(t, calls(), "secret-of")
}
