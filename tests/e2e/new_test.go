package e2e

import (
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const proposed = "proposed-iris"

// proposedEndpoint has an endpoint proposed and merges it, as a member would.
func (s *suite) proposedEndpoint(t *testing.T) {
	ctx := within(t, 4*time.Minute)
	by := s.member(t, scientist)
	r := succeed(ctx, t, s.command("new", "endpoint", proposed, "--propose",
		"--storage-uri", "gs://kfserving-examples/models/sklearn/1.0/model"))
	assert.NotContains(t, r.Stdout+r.Stderr, by.password)
	repository := path.Base(strings.TrimSuffix(s.outputs.Repository, ".git"))
	merge := "/repos/" + organization() + "/" + repository + "/pulls/" + path.Base(strings.TrimSpace(r.Stdout)) + "/merge"
	// The forge looks first whether a new pull request has conflicts: until then 405.
	require.Eventually(t, func() bool {
		return s.askForge(ctx, t, by, http.MethodPost, merge, `{"Do":"merge","delete_branch_after_merge":true}`).code == http.StatusOK
	}, 30*time.Second, time.Second, "%s does not merge", r.Stdout)
	s.awaitAnswer(ctx, t, proposed, strings.Replace(s.hostOf(t, example), example, proposed, 1))
	unmerge(ctx, t, s.clone(ctx, t, s.outputs.Repository, by), proposed)
}
