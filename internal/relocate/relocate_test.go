package relocate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/git/gittest"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
)

// served are bare repositories in a folder, by Git's HTTP, to whoever knows a password.
func served(t *testing.T, user, password string, api http.HandlerFunc) (root, url string) {
	t.Helper()
	root = t.TempDir()
	backend := gittest.Backend(t, root, user)
	s := httptest.NewServer(gittest.Guarded(user, password, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			api(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	})))
	t.Cleanup(s.Close)
	return root, s.URL
}

func initBare(t *testing.T, root, name string) string {
	t.Helper()
	dir := filepath.Join(root, "acme", name+".git")
	require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	for _, args := range [][]string{{"init", "--quiet", "--bare", "--initial-branch=main", dir}, {"-C", dir, "config", "http.receivepack", "true"}} {
		_, err := git.Run(t.Context(), root, args...)
		require.NoError(t, err)
	}
	return dir
}

func commit(t *testing.T, repository, file string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "w")
	_, err := git.Run(t.Context(), t.TempDir(), "clone", "--quiet", repository, dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(file), 0o644))
	for _, args := range [][]string{{"add", "--all"}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", file}, {"push", "--quiet", "origin", "HEAD:main"}} {
		_, err := git.Run(t.Context(), dir, args...)
		require.NoError(t, err)
	}
}

func mainOf(t *testing.T, repository string) string {
	t.Helper()
	out, err := git.Run(t.Context(), repository, "rev-parse", "main")
	require.NoError(t, err)
	return out
}

// both are a Gitea and a GitHub, and the folders their repositories are in. Open are the
// pull requests in Gitea, as it lists them.
func both(t *testing.T, open string) (g *Gitea, h *GitHub, inGitea, onGitHub string, hub *githubtest.Server) {
	t.Helper()
	inGitea, url := served(t, "ops", "hunter2", func(w http.ResponseWriter, r *http.Request) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/v1/repos/acme/"), "/")
		_, err := os.Stat(filepath.Join(inGitea, "acme", name+".git"))
		switch {
		case r.Method == http.MethodPost && r.URL.Path == "/api/v1/orgs/acme/repos":
			var sent struct {
				Name    string
				Private bool
			}
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&sent))
			assert.True(t, sent.Private)
			initBare(t, inGitea, sent.Name)
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, "{}")
		case err != nil:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "{}")
		case rest == "pulls":
			fmt.Fprint(w, open)
		default:
			fmt.Fprint(w, "{}")
		}
	})
	g = &Gitea{URL: url, Organization: "acme", Username: "ops", Password: "hunter2", HTTP: http.DefaultClient}
	onGitHub, at := served(t, "x-access-token", "admins", nil)
	hub = githubtest.New(t, "acme")
	hub.Grant("admins", "anna", nil)
	h, err := NewGitHub(hub.URL, "acme", "admins")
	require.NoError(t, err)
	h.Git = at
	return g, h, inGitea, onGitHub, hub
}

func TestToGitHubAndBackWithHistoryAndWhatStaysBehindIsSaid(t *testing.T) {
	g, h, inGitea, onGitHub, hub := both(t, `[{"number":3},{"number":7}]`)
	source, there := initBare(t, inGitea, "endpoints"), initBare(t, onGitHub, "endpoints")
	commit(t, source, "one")
	commit(t, source, "two")

	moved, err := Move(t.Context(), g, h, []string{"endpoints"})
	require.NoError(t, err)
	assert.Equal(t, []Result{{Repository: "endpoints", Made: true, Refs: 1, New: 1, Left: []int64{3, 7}}}, moved)
	assert.Equal(t, mainOf(t, source), mainOf(t, there))
	moved, err = Move(t.Context(), g, h, []string{"endpoints"})
	require.NoError(t, err)
	assert.Equal(t, []Result{{Repository: "endpoints", Refs: 1, Left: []int64{3, 7}}}, moved, "it cannot be done again")

	commit(t, there, "three")
	require.NoError(t, os.RemoveAll(source))
	hub.Repository("endpoints", nil).Propose(9, "h9", "m0", nil)
	moved, err = Move(t.Context(), h, g, []string{"endpoints"})
	require.NoError(t, err)
	assert.Equal(t, []Result{{Repository: "endpoints", Made: true, Refs: 1, New: 1, Left: []int64{9}}}, moved)
	assert.Equal(t, mainOf(t, there), mainOf(t, source))
}

func TestOneThatCannotBeMovedKeepsNoOther(t *testing.T) {
	g, h, inGitea, onGitHub, hub := both(t, "[]")
	for _, name := range []string{"mine", "taken"} {
		commit(t, initBare(t, inGitea, name), name)
		initBare(t, onGitHub, name)
	}
	hub.Repository("taken", nil)
	commit(t, filepath.Join(onGitHub, "acme", "taken.git"), "theirs")
	before := mainOf(t, filepath.Join(onGitHub, "acme", "taken.git"))

	moved, err := Move(t.Context(), g, h, []string{"gone", "taken", "mine"})
	require.ErrorContains(t, err, "gone stays on Gitea: list the pull requests")
	require.ErrorContains(t, err, "taken stays on Gitea: it has what is not to be moved there: heads/main at ")
	require.Len(t, moved, 1)
	assert.Equal(t, "mine", moved[0].Repository)
	assert.Equal(t, before, mainOf(t, filepath.Join(onGitHub, "acme", "taken.git")), "somebody else's was written over")
}

func TestATokenThatMakesNoRepositoryIsSaid(t *testing.T) {
	g, h, inGitea, _, hub := both(t, "[]")
	commit(t, initBare(t, inGitea, "endpoints"), "one")
	hub.Grant("admins", "anna", githubtest.Permissions{"contents": "write"})
	_, err := Move(t.Context(), g, h, []string{"endpoints"})
	require.ErrorContains(t, err, "endpoints stays on Gitea: make repository acme/endpoints: the token has not the permission administration=write")
	assert.NotContains(t, err.Error(), "admins")
}
