package verify

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
)

// hubbed is a platform whose tenants' repositories are on a GitHub.
func hubbed(t *testing.T, permissions githubtest.Permissions) (*Platform, *githubtest.Repository) {
	t.Helper()
	s := githubtest.New(t, "acme")
	s.Grant("the-token", "guard", permissions)
	r := s.Repository("endpoints", githubtest.Files{"README.md": {Content: "x"}, "apps/iris/a.yaml": {Content: "a"}, "apps/iris/b.yaml": {Content: "b"}, "apps/README.md": {Content: "no folder"}})
	p := platform(t, kubetest.Object("v1", "Secret", "guard", "guard", object{"data": object{"password": base64.StdEncoding.EncodeToString([]byte("the-token"))}}))
	p.Config.Forge.Provider, p.Config.Forge.Organization, p.GitHub = config.ForgeGitHub, "acme", s.URL
	return p, r
}

var guards = githubtest.Permissions{"contents": "read", "pull_requests": "write", "statuses": "write"}

func TestOnGitHubAWayAroundTheGuardIsSeen(t *testing.T) {
	p, r := hubbed(t, guards)
	p.gitea(t, map[string]string{})
	_, err := p.mainIsProtected(t.Context())
	require.ErrorContains(t, err, "repository endpoints on GitHub: main does not demand the status neuroscale/guard")
	r.Demand("another")
	_, err = p.mainIsProtected(t.Context())
	require.ErrorContains(t, err, "main does not demand the status neuroscale/guard")
	r.Demand("another", reviewer.Context)
	evidence, err := p.mainIsProtected(t.Context())
	require.NoError(t, err)
	assert.Contains(t, evidence, "who may write there GitHub says")

	p.gitea(t, map[string]string{"/api/v1/repos/acme/platform": "{}"})
	_, err = p.mainIsProtected(t.Context())
	require.ErrorContains(t, err, "data-scientist sees repository platform")
}

func TestOnGitHubAPullRequestThatNobodyJudgesIsSeen(t *testing.T) {
	p, r := hubbed(t, guards)
	r.Propose(7, "h7", "m0", githubtest.Files{"apps/new/a.yaml": {Content: "new"}})
	r.At(7, time.Now())
	evidence, err := p.guardJudges(t.Context())
	require.NoError(t, err, "one that is new")
	assert.Contains(t, evidence, "1 open pull request judged")
	r.At(7, time.Now().Add(-time.Hour))
	_, err = p.guardJudges(t.Context())
	require.ErrorContains(t, err, "repository endpoints on GitHub: the guard says nothing of pull request 7")
	r.Say("h7", githubtest.Status{State: "success", Context: "another"})
	r.Say("h7", githubtest.Status{State: "pending", Context: reviewer.Context})
	_, err = p.guardJudges(t.Context())
	require.ErrorContains(t, err, "the guard says pending of pull request 7")
	r.Say("h7", githubtest.Status{State: "failure", Context: reviewer.Context})
	_, err = p.guardJudges(t.Context())
	require.NoError(t, err)
}

func TestOnGitHubFoldersAreThoseOfMain(t *testing.T) {
	p, _ := hubbed(t, guards)
	all, err := p.foldersInGit(t.Context(), "endpoints")
	require.NoError(t, err)
	assert.Equal(t, []string{"iris"}, all)
}

func TestOnGitHubATokenThatMayNotReadIsSaid(t *testing.T) {
	p, _ := hubbed(t, githubtest.Permissions{})
	_, err := p.foldersInGit(t.Context(), "endpoints")
	require.ErrorContains(t, err, "the token has not the permission contents=read")
	assert.NotContains(t, err.Error(), "the-token")
	q := platform(t)
	q.Config.Forge.Provider = config.ForgeGitHub
	_, err = q.foldersInGit(t.Context(), "endpoints")
	require.ErrorContains(t, err, "Secret guard/guard with the guard's token for GitHub is not there")
}

func TestOnGitHubSecretsAreLookedForThere(t *testing.T) {
	p, _ := hubbed(t, guards)
	g, err := p.newHub(t.Context())
	require.NoError(t, err)
	remote := g.remote("endpoints")
	assert.Equal(t, "https://github.com/acme/endpoints.git", remote.URL)
	assert.Equal(t, "the-token", remote.Password)
	assert.Empty(t, remote.Authority, "GitHub's certificate is not of the platform's authority")
}
