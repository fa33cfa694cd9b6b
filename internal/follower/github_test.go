package follower

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi/github"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
)

func TestOnGitHubAMergeIsFoundAndItsAuthorToldWhatBecameOfIt(t *testing.T) {
	s := githubtest.New(t, "acme")
	s.Grant("token", "guard", githubtest.Permissions{"contents": "read", "pull_requests": "write"})
	repo := s.Repository("endpoints", githubtest.Files{"README.md": {Content: "hello"}})
	api, err := github.New(slog.New(slog.DiscardHandler), github.Args{
		URL: s.URL, Organization: "acme", Token: func() (string, error) { return "token", nil }, Poll: 50 * time.Millisecond,
	})
	require.NoError(t, err)
	f, cluster := following(api, set("False"), application("m2", "Synced", "Healthy", object{"phase": "Succeeded", "finishedAt": time.Now().Add(-time.Minute).Format(time.RFC3339)}), service("True", ""))
	repo.Propose(7, "h7", "m0", githubtest.Files{"apps/iris/a.yaml": {Content: "iris"}})
	repo.Propose(8, "h8", "m0", githubtest.Files{"apps/never/a.yaml": {Content: "never"}})
	repo.Close(8)

	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { f.Run(ctx) })
	defer done.Wait()
	defer cancel()
	require.Eventually(t, func() bool { return refresh(t, cluster) != "" }, 10*time.Second, 10*time.Millisecond)
	first := refresh(t, cluster)

	repo.Merge(7, "m1", time.Now().Add(-2*time.Minute))
	repo.Commit("m2", githubtest.Files{"apps/other/a.yaml": {Content: "other"}})
	require.Eventually(t, func() bool { return refresh(t, cluster) != first }, 10*time.Second, 10*time.Millisecond, "Argo CD is not told of a merge")
	require.Eventually(t, func() bool { return len(repo.Comments(7)) == 1 }, 10*time.Second, 10*time.Millisecond)
	said := repo.Comments(7)[0].Body
	assert.Contains(t, said, Marker)
	assert.Contains(t, said, "`apps/iris`: it answers.")
	assert.Contains(t, said, "@anna")
	assert.Empty(t, repo.Comments(8), "one that was closed is taken for merged")
}
