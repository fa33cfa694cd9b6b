package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// layersAreTheSameEverywhere follows every definition all the way: what `render`
// prints is what the stack says it delivered, what Git has under the tag of that
// name, the commit that was computed before there was one, and what Argo CD synced.
func (s *suite) layersAreTheSameEverywhere(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	outputs, tags := s.readOutputs(ctx, t), s.tags(ctx, t)
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
			app, err := s.cluster.Get(ctx, kube.Applications, argocd, d.Name)
			require.NoError(t, err)
			require.NotNil(t, app, "there is no Application")
			commit := tags[tag]
			require.NotEmpty(t, commit, "%s is not in Git", tag)
			assert.Equal(t, commit, rig.Text(app, "spec", "source", "targetRevision"), "the program computed another commit")
			assert.Equal(t, commit, rig.Text(app, "status", "sync", "revision"), "Argo CD synced another commit than the tag's")
			if slices.Contains(d.ClusterKinds, schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}) {
				s.foundItsKindsWhole(ctx, t, app)
			}
		})
	}
}

// foundItsKindsWhole looks when Argo CD's name came to each definition of a layer: what
// is applied a second time and says the same does not change.
func (s *suite) foundItsKindsWhole(ctx context.Context, t *testing.T, app *unstructured.Unstructured) {
	t.Helper()
	role, err := s.cluster.Get(ctx, kube.ClusterRoles, "", manifest.Manager+"-definitions-"+app.GetName())
	require.NoError(t, err)
	require.NotNil(t, role, "nobody may define the kinds of %s first", app.GetName())
	rules, _, err := unstructured.NestedSlice(role.Object, "rules")
	require.NoError(t, err)
	names, _, err := unstructured.NestedStringSlice(rules[0].(map[string]any), "resourceNames")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		definition, err := s.cluster.Get(ctx, kube.CRDs, "", name)
		require.NoError(t, err)
		require.NotNil(t, definition, name)
		applied := slices.IndexFunc(definition.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == argoproj.FieldManager })
		require.GreaterOrEqual(t, applied, 0, "%s is an outline still", name)
		at := definition.GetManagedFields()[applied].Time
		assert.False(t, at.After(app.GetCreationTimestamp().Time), "Argo CD has changed %s at %s, and asked for all schemas again", name, at)
	}
}

// tags are the commits that the tags of the platform's repository name. There is
// nothing else in it, so that it cannot be cloned: it is asked from another's clone.
func (s *suite) tags(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	listed, err := s.clone(ctx, t, s.outputs.Repository, s.administrator()).Git(ctx, "ls-remote", "--tags", s.urlOf(t, forge.Platform))
	require.NoError(t, err)
	commits := map[string]string{}
	for line := range strings.Lines(listed) {
		commit, reference, found := strings.Cut(strings.TrimSpace(line), "\t")
		require.True(t, found, line)
		commits[strings.TrimPrefix(reference, "refs/tags/")] = commit
	}
	return commits
}
