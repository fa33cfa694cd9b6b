package scaffold

import (
	"context"
	"io"
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
)

// forge serves one repository and Gitea's API for pull requests of it.
type forge struct {
	remote git.Remote
	// bare is the repository on disk.
	bare string
	// answer is what the API says to who asks for the open pull requests, of which one
	// is of the commit.
	answer func(w http.ResponseWriter, commit string)
	// asked are the pages that were asked for.
	asked []string
	// merge is what it says to who has it merge, merges what it was told.
	merge  func(w http.ResponseWriter)
	merges []string
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
	run(f.bare, "config", "receive.advertisePushOptions", "true")
	options := "#!/bin/sh\nfor i in 0 1 2 3; do eval echo \\\"\\$GIT_PUSH_OPTION_$i\\\"; done >options\n"
	require.NoError(t, os.WriteFile(filepath.Join(f.bare, "hooks", "pre-receive"), []byte(options), 0o755))
	seed := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(seed, "apps", "there"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(seed, "apps", "there", "a.yaml"), []byte("a: b\n"), 0o644))
	run(seed, "init", "--quiet", "--initial-branch=main")
	run(seed, "add", "--all")
	run(seed, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", "Begin")
	run(seed, "push", "--quiet", f.bare, "main")

	backend := gittest.Backend(t, root, "anna")
	server := httptest.NewServer(gittest.Guarded("anna", "hunter2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/repos/neuroscale/endpoints/pulls/1/merge" {
			body, _ := io.ReadAll(r.Body)
			f.merges = append(f.merges, string(body))
			f.merge(w)
			return
		}
		if r.Method != http.MethodGet || r.URL.Path != "/api/v1/repos/neuroscale/endpoints/pulls" {
			backend.ServeHTTP(w, r)
			return
		}
		f.asked = append(f.asked, r.URL.RawQuery)
		commit, err := git.Run(context.Background(), f.bare, "rev-parse", pushed)
		assert.NoError(t, err)
		f.answer(w, commit)
	})))
	t.Cleanup(server.Close)
	f.remote = git.Remote{URL: server.URL + "/neuroscale/endpoints.git", Username: "anna", Password: "hunter2"}
	f.answer = func(w http.ResponseWriter, commit string) {
		_, _ = io.WriteString(w, `[{"html_url":"`+server.URL+`/neuroscale/endpoints/pulls/2","head":{"sha":"0123"}},
			{"html_url":"`+server.URL+`/neuroscale/endpoints/pulls/1","number":1,"head":{"sha":"`+commit+`"}}]`)
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

// pushed is where everything is pushed to.
const pushed = "refs/for/main"

func proposal(name string) Proposal {
	return Proposal{Name: name, Files: Files{"inference-service.yaml": "kind: InferenceService\n"}, Text: "costs\nlittle"}
}

func TestAProposalIsPushedForReview(t *testing.T) {
	f := newForge(t)
	for range 2 { // again, while it is open
		page, err := Propose(t.Context(), http.DefaultClient, f.remote, proposal("my-iris"))
		require.NoError(t, err)
		assert.Regexp(t, `^http://.*/neuroscale/endpoints/pulls/1$`, page, "another's of the same name")
		assert.Equal(t, "anna Add my-iris", f.git(t, "log", "-1", "--format=%an %s", pushed))
		assert.Equal(t, "A\tapps/my-iris/inference-service.yaml", f.git(t, "diff", "--name-status", "main", pushed))
		options, err := os.ReadFile(filepath.Join(f.bare, "options"))
		require.NoError(t, err)
		assert.Equal(t, "topic=endpoint/my-iris\ntitle=Add my-iris\ndescription={base64}Y29zdHMKbGl0dGxl\nforce-push=true\n", string(options))
		f.git(t, "update-ref", "-d", pushed) // Gitea keeps it as the pull request's
	}
	assert.Equal(t, "main", f.git(t, "branch", "--format=%(refname:short)"), "a branch takes the right to write")
	assert.Equal(t, []string{"state=open&limit=50&page=1", "state=open&limit=50&page=1"}, f.asked)
}

func TestAProposalIsMergedByItselfIfThatIsAskedFor(t *testing.T) {
	for name, test := range map[string]struct {
		answers []int
		message string
		want    string
	}{
		"to be merged":         {[]int{201}, "", ""},
		"passed already":       {[]int{200}, "", ""},
		"asked for before":     {[]int{409}, "", ""},
		"conflicts looked for": {[]int{405, 405, 201}, tryAgain, ""},
		"no merger":            {[]int{405}, "User not allowed to merge PR", "/pulls/1 is open, but will not be merged by itself: the forge answers 405 to anna: User not allowed to merge PR"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForge(t)
			f.merge = func(w http.ResponseWriter) {
				w.WriteHeader(test.answers[len(f.merges)-1])
				_, _ = io.WriteString(w, `{"message":"`+test.message+`"}`)
			}
			p := proposal("my-iris")
			p.Merge = true
			page, err := Propose(t.Context(), http.DefaultClient, f.remote, p)
			assert.Contains(t, page, "/pulls/1", "it is open")
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.want)
			}
			assert.Len(t, f.merges, len(test.answers))
			assert.JSONEq(t, `{"Do":"merge","merge_when_checks_succeed":true}`, f.merges[0])
		})
	}
}

func TestAFolderOfTheRepositoryIsLeftAlone(t *testing.T) {
	f := newForge(t)
	_, err := Propose(t.Context(), http.DefaultClient, f.remote, proposal("there"))
	require.EqualError(t, err, f.remote.URL+"/apps/there is there already: write another NAME, or change what is in it")
	assert.Empty(t, f.asked)
	assert.Equal(t, "main", f.git(t, "branch", "--format=%(refname:short)"))
}

func TestWithoutAPullRequestTheReasonIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		code       int
		body, want string
	}{
		"the forge refuses it":             {http.StatusForbidden, `{"message":"not\nyours"}`, "the forge answers 403 Forbidden to anna: not yours"},
		"the forge is broken":              {http.StatusBadGateway, "<html>", "the forge answers 502 Bad Gateway to anna: it does not say why"},
		"the answer is of another program": {http.StatusOK, "", "no list of pull requests"},
		"there is none":                    {http.StatusOK, "[]", "has no pull request of it"},
		"it has no page":                   {http.StatusOK, `[{"head":{"sha":"COMMIT"}}]`, "says no URL of it"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForge(t)
			f.answer = func(w http.ResponseWriter, commit string) {
				w.WriteHeader(test.code)
				_, _ = io.WriteString(w, strings.ReplaceAll(test.body, "COMMIT", commit))
			}
			_, err := Propose(t.Context(), http.DefaultClient, f.remote, proposal("my-iris"))
			require.ErrorContains(t, err, "find the pull request: ")
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.NotContains(t, err.Error(), "\n")
		})
	}
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
