package github

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	hub "github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
)

func TestOnlyWhatAKilledUpMadeIsRemoved(t *testing.T) {
	s := githubtest.New(t, "acme")
	s.Grant("token", "anna", nil)
	r := s.Repository("endpoints", nil)
	c, err := hub.NewClient(hub.Access{URL: s.URL, Token: func() (string, error) { return "token", nil }})
	require.NoError(t, err)
	remove := func(token string, inputs map[string]any) {
		t.Helper()
		require.NoError(t, RemoveAbandoned(t.Context(), c, "acme", token, inputs))
	}
	ours := githubtest.Protection{"requiresStatusChecks": true, "requiredStatusCheckContexts": []any{"neuroscale/guard"}}
	protection := map[string]any{
		"repositoryId": r.Node(), "pattern": "main",
		"requiredStatusChecks": []any{map[string]any{"contexts": []any{"neuroscale/guard"}, "strict": true}},
	}
	const kind = "github:index/branchProtection:BranchProtection"

	r.Protect("release", ours)
	r.Protect("main", githubtest.Protection{"requiresStatusChecks": true, "requiredStatusCheckContexts": []any{"their/check"}})
	remove(kind, protection)
	assert.Len(t, r.Protections(), 2, "the protection of somebody else is gone")
	r.Protect("main", ours)
	remove(kind, protection)
	assert.NotContains(t, r.Protections(), "main", "GitHub refuses the next one")
	assert.Contains(t, r.Protections(), "release")
	remove(kind, protection)
	remove(kind, map[string]any{"repositoryId": "R_of_nothing", "pattern": "main"})

	r.AddKey("Argo CD of NeuroScale", "ssh-ed25519 AAAA", true)
	r.AddKey("anna", "ssh-ed25519 BBBB", false)
	key := map[string]any{"repository": "endpoints", "title": "Argo CD of NeuroScale", "key": "ssh-ed25519 AAAA comment\n"}
	remove("github:index/repositoryDeployKey:RepositoryDeployKey", key)
	require.Len(t, r.Keys(), 1)
	assert.Equal(t, "anna", r.Keys()[0].Title)

	for _, gone := range []string{"repositoryDeployKey:RepositoryDeployKey", "repositoryWebhook:RepositoryWebhook", "actionsVariable:ActionsVariable"} {
		remove("github:index/"+gone, map[string]any{"repository": "gone", "key": "ssh-ed25519 AAAA", "variableName": "DOMAIN"})
	}
	remove("github:index/repository:Repository", map[string]any{"name": "endpoints"})
	require.NotNil(t, s.Named("endpoints"), "people's work is gone")

	s.Grant("token", "anna", githubtest.Permissions{"contents": "write"})
	r.Protect("main", ours)
	err = RemoveAbandoned(t.Context(), c, "acme", kind, protection)
	require.EqualError(t, err, "remove what an up that was killed left on GitHub: Resource not accessible by personal access token")
}
