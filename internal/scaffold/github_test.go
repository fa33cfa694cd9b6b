package scaffold

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
)

// newHub has a repository, anna who may write there, and bob who may not.
func newHub(t *testing.T) (*githubtest.Server, *githubtest.Repository) {
	t.Helper()
	s := githubtest.New(t, "acme")
	s.Grant("annas", "anna", githubtest.Permissions{"contents": "write", "pull_requests": "write"})
	s.Grant("bobs", "bob", githubtest.Permissions{"contents": "read", "pull_requests": "write"})
	return s, s.Repository("endpoints", githubtest.Files{"apps/old/a.yaml": {Content: "old"}})
}

func proposeAs(t *testing.T, s *githubtest.Server, token string, p Proposal) (string, error) {
	t.Helper()
	return ProposeOnGitHub(t.Context(), github.Access{URL: s.URL, Token: func() (string, error) { return token, nil }}, "acme", "endpoints", p)
}

func irisOf(content string) Proposal {
	return Proposal{Name: "iris", Files: Files{"service.yaml": content}, Text: "costs " + content}
}

func TestOnGitHubAProposalIsABranchAndAPullRequest(t *testing.T) {
	s, r := newHub(t)
	r.Commit("m1", githubtest.Files{"apps/other/a.yaml": {Content: "other"}})
	url, err := proposeAs(t, s, "annas", irisOf("one"))
	require.NoError(t, err)
	assert.Equal(t, "https://github.com/acme/endpoints/pull/1", url)
	want := githubtest.Pull{
		Number: 1, Title: "Add iris", Body: "costs one", From: "acme:anna/endpoint/iris", Onto: []string{"m1"},
		Files: githubtest.Files{"apps/old/a.yaml": {Content: "old"}, "apps/other/a.yaml": {Content: "other"}, "apps/iris/service.yaml": {Content: "one", Mode: "100644"}},
	}
	assert.Equal(t, []githubtest.Pull{want}, r.Pulls())

	again, err := proposeAs(t, s, "annas", irisOf("two"))
	require.NoError(t, err)
	assert.Equal(t, url, again, "a second pull request of the same")
	require.Len(t, r.Pulls(), 1)
	assert.Equal(t, "two", r.Pulls()[0].Files["apps/iris/service.yaml"].Content)
	assert.Equal(t, "costs two", r.Pulls()[0].Body)
}

func TestOnGitHubWhoMayNotWriteProposesByAFork(t *testing.T) {
	s, r := newHub(t)
	first, err := proposeAs(t, s, "bobs", irisOf("one"))
	require.NoError(t, err)
	require.Len(t, r.Pulls(), 1)
	assert.Equal(t, "bob:bob/endpoint/iris", r.Pulls()[0].From)

	r.Commit("m1", githubtest.Files{"apps/other/a.yaml": {Content: "other"}})
	again, err := proposeAs(t, s, "bobs", irisOf("two"))
	require.NoError(t, err)
	assert.Equal(t, first, again)
	assert.Equal(t, []string{"m1"}, r.Pulls()[0].Onto, "it begins from main as it was when the fork was made")

	_, err = proposeAs(t, s, "annas", irisOf("three"))
	require.NoError(t, err)
	assert.Len(t, r.Pulls(), 2, "one person changes what another has proposed")
	assert.Equal(t, "two", r.Pulls()[0].Files["apps/iris/service.yaml"].Content)
}

func TestOnGitHubWhatCannotBeProposedIsSaid(t *testing.T) {
	s, r := newHub(t)
	s.Grant("readers", "carl", githubtest.Permissions{"contents": "write"})
	s.Grant("strangers", "eve", nil)
	s.Hide("strangers", "endpoints")
	for token, want := range map[string]string{
		"annas":     "propose to acme/endpoints on GitHub: apps/old is there already: write another NAME, or change what is in it",
		"nobodys":   "GitHub does not know the token",
		"readers":   "apps/old is there already",
		"strangers": "/repos/acme/endpoints is not there, or the token does not see it",
	} {
		_, err := proposeAs(t, s, token, Proposal{Name: "old", Files: Files{"a.yaml": "x"}})
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), token)
	}
	_, err := proposeAs(t, s, "readers", irisOf("one"))
	require.ErrorContains(t, err, "the token has not the permission pull_requests=")
	s.Fail("POST /repos/acme/endpoints/forks", http.StatusForbidden)
	_, err = proposeAs(t, s, "bobs", irisOf("one"))
	require.ErrorContains(t, err, "bob may not write there, and a fork is not made")
	assert.Empty(t, r.Pulls())
}
