package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// whatOthersDidIsPutBack deletes and changes what the program itself applied,
// which no layer heals.
func (s *suite) whatOthersDidIsPutBack(t *testing.T) {
	const gone, changed = "argocd-cmd-params-cm", "platform"
	projects := schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "appprojects"}
	ctx := within(t, 3*time.Minute)
	before, err := s.cluster.Get(ctx, kube.ConfigMaps, argocd, gone)
	require.NoError(t, err)
	require.NotNil(t, before, "there is nothing to delete")
	assert.Empty(t, s.preview(ctx, t).Drift, "nobody did anything")

	require.NoError(t, s.cluster.Delete(ctx, kube.ConfigMaps, argocd, gone))
	// A label is not a field of the program's: nobody's business but his who wrote it.
	require.NoError(t, s.cluster.Patch(ctx, projects, argocd, changed, `{"metadata":{"labels":{"somebody":"was-here"}}}`))
	require.NoError(t, s.cluster.Patch(ctx, projects, argocd, changed, `{"spec":{"description":"somebody else's"}}`))
	wanted := []drift{
		{Kind: "AppProject", Namespace: argocd, Name: changed, Fields: []string{"spec.description"}},
		{Kind: "ConfigMap", Namespace: argocd, Name: gone, Gone: true},
	}
	seen := s.preview(ctx, t)
	assert.True(t, seen.Changed)
	assert.Equal(t, wanted, seen.Drift)
	text := succeed(ctx, t, s.command("preview")).Stdout
	assert.Contains(t, text, "ConfigMap argocd/"+gone+" is gone")
	assert.Contains(t, text, "2 to put back")

	report := s.up(ctx, t)
	assert.True(t, report.Changed)
	assert.Equal(t, wanted, report.Drift)
	after, err := s.cluster.Get(ctx, kube.ConfigMaps, argocd, gone)
	require.NoError(t, err)
	require.NotNil(t, after, "it stays away")
	assert.Equal(t, before.Object["data"], after.Object["data"])

	again := s.up(ctx, t)
	assert.False(t, again.Changed)
	assert.Empty(t, again.Drift)
	// Beside other tests. `make bench` says what it takes with nothing else running.
	assert.Less(t, again.Seconds, 20.0, "an up that changes nothing takes long")
}
