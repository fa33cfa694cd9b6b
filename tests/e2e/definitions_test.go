package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/stacks"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// layersAreTheSameEverywhere follows every definition all the way: what `render`
// prints is what the stack says it delivered, what Git has under the tag of that
// name, the commit that was computed before there was one, and what Argo CD synced.
func (s *suite) layersAreTheSameEverywhere(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	outputs := s.readOutputs(ctx, t)
	for _, d := range layers(t) {
		t.Run(d.Name, func(t *testing.T) {
			var rendered struct {
				Hash    string `json:"hash"`
				Version string `json:"version"`
			}
			decode(t, succeed(ctx, t, s.command("render", d.Name, "-o", "json")).Stdout, &rendered)
			require.NotEmpty(t, rendered.Hash)
			assert.Equal(t, rendered.Hash, outputs.Layers[d.Name].Hash, "the stack delivered another tree")
			assert.Equal(t, rendered.Version, outputs.Layers[d.Name].Version)
			if d.ByProgram {
				return
			}
			tag := "layer/" + d.Name + "/" + rendered.Hash
			app, err := s.cluster.Get(ctx, rig.Applications, argocd, d.Name)
			require.NoError(t, err)
			require.NotNil(t, app, "there is no Application")
			commit := taggedCommit(ctx, t, outputs, tag)
			assert.Equal(t, commit, rig.Text(app, "spec", "source", "targetRevision"), "the program computed another commit")
			assert.Equal(t, commit, rig.Text(app, "status", "sync", "revision"), "Argo CD synced another commit than the tag's")
		})
	}
}

// taggedCommit is the commit that a tag of the platform's repository names.
func taggedCommit(ctx context.Context, t *testing.T, o *stacks.Outputs, tag string) string {
	t.Helper()
	// Only tags are in it, so it cannot be cloned: it is asked from another's clone.
	platform := o.Repository[:strings.LastIndex(o.Repository, "/")] + "/platform.git"
	clone, err := git.Clone(ctx, git.Remote{URL: o.Repository, Username: o.ForgeUser, Password: o.ForgePassword},
		git.Author{Name: "test", Email: "test@example.test"}, t.TempDir())
	require.NoError(t, err)
	listed, err := clone.Git(ctx, "ls-remote", platform, "refs/tags/"+tag)
	require.NoError(t, err)
	commit, _, found := strings.Cut(listed, "\t")
	require.True(t, found, "%s is not in Git", tag)
	return commit
}
