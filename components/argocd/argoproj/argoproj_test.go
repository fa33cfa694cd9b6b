package argoproj

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

func TestAnApplicationSaysOnlyWhatItWasGiven(t *testing.T) {
	spec := Application{Name: "a"}.Object()["spec"].(manifest.Object)
	assert.NotContains(t, spec, "ignoreDifferences")
	assert.NotContains(t, spec, "info")
	assert.NotContains(t, spec["source"], "kustomize", "Argo CD would look for a kustomization")

	spec = Application{
		Patches: []Patch{{Kind: "K", Name: "n", Operations: pulumi.String("[]")}},
		Ignore:  []IgnoredDifference{{Kind: "K", Name: "n", JQPaths: []string{".rules"}}},
	}.Object()["spec"].(manifest.Object)
	assert.Equal(t, []any{manifest.Object{
		"target": manifest.Object{"kind": "K", "name": "n"}, "patch": pulumi.String("[]"),
	}}, spec["source"].(manifest.Object)["kustomize"].(manifest.Object)["patches"], "an empty group is a group")
	assert.Equal(t, []any{manifest.Object{"kind": "K", "name": "n", "jqPathExpressions": []any{".rules"}}}, spec["ignoreDifferences"])
}

func TestTwoApplicationsAreNotReadyForEachOthersRevision(t *testing.T) {
	ready := func(revision string) any {
		metadata := Application{Revision: revision}.Object()["metadata"].(manifest.Object)
		return metadata["annotations"].(manifest.Object)[waitFor]
	}
	assert.Contains(t, ready("layer/a/1"), `targetRevision}=layer/a/1"`)
	assert.NotEqual(t, ready("layer/a/1"), ready("layer/a/2"))
}

func TestAProjectThatIsGivenNothingPermitsNothing(t *testing.T) {
	spec := Project{Name: "p"}.Object()["spec"].(manifest.Object)
	for _, list := range []string{"sourceRepos", "destinations", "clusterResourceWhitelist", "namespaceResourceWhitelist"} {
		assert.Equal(t, []any{}, spec[list], list)
	}
	spec = Project{
		Repositories: []string{"http://forge/r.git"}, Destinations: []string{"here"},
		ClusterKinds: []schema.GroupKind{{Kind: "Namespace"}}, Kinds: []schema.GroupKind{{Group: "apps", Kind: "Deployment"}},
	}.Object()["spec"].(manifest.Object)
	assert.Equal(t, []any{"http://forge/r.git"}, spec["sourceRepos"])
	assert.Equal(t, []any{manifest.Object{"server": LocalCluster, "namespace": "here"}}, spec["destinations"])
	assert.Equal(t, []any{manifest.Object{"group": "", "kind": "Namespace"}}, spec["clusterResourceWhitelist"])
	assert.Equal(t, []any{manifest.Object{"group": "apps", "kind": "Deployment"}}, spec["namespaceResourceWhitelist"])
}
