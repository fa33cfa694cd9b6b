package scaffold

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/git"
)

// forge serves one repository and Gitea's API for pull requests of it.
type forge struct {
	remote git.Remote
	// bare is the repository on disk.
	bare string
	// answer is what the API says to a pull request that is to be opened.
	answer func(w http.ResponseWriter)
	// asked are the pull requests that it got.
	asked []map[string]string
}

func newForge(t *testing.T) *forge {
	t.Helper()
	root := t.TempDir()
	f := &forge{bare: filepath.Join(root, "neuroscale", "endpoints.git")}
	run := func(dir string, args ...string) {
		t.Helper()
		_, err := git.Run(t.Context(), dir, args...)
		require.NoError(t, err)
	}
	require.NoError(t, os.Mkdir(filepath.Dir(f.bare), 0o755))
	run(root, "init", "--quiet", "--bare", "--initial-branch=main", f.bare)
	run(f.bare, "config", "http.receivepack", "true")
	seed := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(seed, "apps", "there"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(seed, "apps", "there", "a.yaml"), []byte("a: b\n"), 0o644))
	run(seed, "init", "--quiet", "--initial-branch=main")
	run(seed, "add", "--all")
	run(seed, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", "Begin")
	run(seed, "push", "--quiet", f.bare, "main")

	programs, err := git.Run(t.Context(), root, "--exec-path")
	require.NoError(t, err)
	backend := &cgi.Handler{
		Path: filepath.Join(programs, "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=anna", "GIT_CONFIG_GLOBAL=/dev/null"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "anna" || password != "hunter2" {
			w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/repos/neuroscale/endpoints/pulls" {
			backend.ServeHTTP(w, r)
			return
		}
		var request map[string]string
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&request))
		f.asked = append(f.asked, request)
		f.answer(w)
	}))
	t.Cleanup(server.Close)
	f.remote = git.Remote{URL: server.URL + "/neuroscale/endpoints.git", Username: "anna", Password: "hunter2"}
	f.answer = func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"html_url":"`+server.URL+`/neuroscale/endpoints/pulls/1"}`)
	}
	return f
}

// git asks the repository on disk.
func (f *forge) git(t *testing.T, args ...string) string {
	t.Helper()
	out, err := git.Run(t.Context(), f.bare, args...)
	require.NoError(t, err)
	return out
}

func proposal(name string) Proposal {
	return Proposal{Name: name, Files: Files{"inference-service.yaml": "kind: InferenceService\n"}, Text: "costs little"}
}

func TestAProposalIsABranchAndAPullRequest(t *testing.T) {
	f := newForge(t)
	page, err := Propose(t.Context(), http.DefaultClient, f.remote, proposal("my-iris"))
	require.NoError(t, err)
	assert.Regexp(t, `^http://.*/neuroscale/endpoints/pulls/1$`, page)
	assert.Equal(t, []map[string]string{{"title": "Add my-iris", "head": "endpoint/my-iris", "base": "main", "body": "costs little"}}, f.asked)
	assert.Equal(t, "anna Add my-iris", f.git(t, "log", "-1", "--format=%an %s", "endpoint/my-iris"))
	assert.Equal(t, "A\tapps/my-iris/inference-service.yaml", f.git(t, "diff", "--name-status", "main", "endpoint/my-iris"))

	_, err = Propose(t.Context(), http.DefaultClient, f.remote, proposal("my-iris"))
	require.ErrorContains(t, err, "has a branch endpoint/my-iris already: merge or close its pull request and delete the branch, or write another NAME")
	assert.Len(t, f.asked, 1)
}

func TestAFolderOfTheRepositoryIsLeftAlone(t *testing.T) {
	f := newForge(t)
	_, err := Propose(t.Context(), http.DefaultClient, f.remote, proposal("there"))
	require.EqualError(t, err, f.remote.URL+"/apps/there is there already: write another NAME, or change what is in it")
	assert.Empty(t, f.asked)
	assert.Equal(t, "main", f.git(t, "branch", "--format=%(refname:short)"))
}

func TestWithoutAPullRequestNoBranchStays(t *testing.T) {
	for name, test := range map[string]struct {
		code       int
		body, want string
	}{
		"the forge refuses it":             {http.StatusForbidden, `{"message":"not\nyours"}`, "the forge answers 403 Forbidden to anna: not yours"},
		"the forge is broken":              {http.StatusBadGateway, "<html>", "the forge answers 502 Bad Gateway to anna: it does not say why"},
		"the answer is of another program": {http.StatusCreated, "", "its answer has no URL of it"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForge(t)
			f.answer = func(w http.ResponseWriter) { w.WriteHeader(test.code); _, _ = io.WriteString(w, test.body) }
			_, err := Propose(t.Context(), http.DefaultClient, f.remote, proposal("my-iris"))
			require.ErrorContains(t, err, "open a pull request: ")
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.NotContains(t, err.Error(), "\n")
			assert.Equal(t, "main", f.git(t, "branch", "--format=%(refname:short)"))
		})
	}
}

func TestWhoEndsAProposalLeavesNoBranch(t *testing.T) {
	f := newForge(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func(w http.ResponseWriter) { cancel(); w.WriteHeader(http.StatusGatewayTimeout) }
	_, err := Propose(ctx, http.DefaultClient, f.remote, proposal("my-iris"))
	require.Error(t, err)
	assert.Equal(t, "main", f.git(t, "branch", "--format=%(refname:short)"))
}

func TestTheAPIIsThatOfTheRepositorysForge(t *testing.T) {
	for repository, want := range map[string]string{
		"http://10.88.0.2:30082/neuroscale/endpoints.git": "http://10.88.0.2:30082/api/v1/repos/neuroscale/endpoints/pulls",
		"https://example.org/git/own/models.git":          "https://example.org/git/api/v1/repos/own/models/pulls",
	} {
		got, err := pullsOf(repository)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, repository := range []string{"endpoints", "http://example.org/endpoints.git", "http://%zz"} {
		_, err := pullsOf(repository)
		assert.ErrorContains(t, err, "no URL of a forge", repository)
	}
}
