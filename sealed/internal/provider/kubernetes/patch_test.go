package kubernetes

import (
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server/servertest"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var urnPatch = servertest.URN("kubernetes:core/v1:NamespacePatch", "labels")

// patchOf is the inputs of a NamespacePatch, as the SDK sends them.
func patchOf(name string, labels m) props {
	return of(m{"apiVersion": "v1", "kind": "Namespace", "metadata": m{"name": name, "labels": labels}})
}

func labelsOf(api *fakeAPI, name string) map[string]string {
	return api.get("v1/namespaces", "", name).GetLabels()
}

func TestPatchNeedsTheNameOfWhatItPatches(t *testing.T) {
	e, api := start(t, nil)
	_, failures := e.Check(urnPatch, nil, of(m{"apiVersion": "v1", "kind": "Namespace", "metadata": m{"labels": m{"a": "b"}}}))
	require.Len(t, failures, 1, "a name made up would make a new object")
	assert.Equal(t, "metadata.name", failures[0].GetProperty())
	assert.Zero(t, api.asked("PATCH"))
}

func TestPatchUpdatesItsFieldsUnderTheSameManager(t *testing.T) {
	e, api := start(t, nil)
	api.put("v1/namespaces", "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default","labels":{"theirs":"1"}},"status":{"phase":"Active"}}`)
	r := e.Create(urnPatch, patchOf("default", m{"owner": "a", "gone": "x"}))
	assert.Equal(t, "default", r.ID)
	manager := r.Outputs[keyFieldManager].StringValue()
	assert.Regexp(t, "^"+fieldManager+"-.+", manager)
	r = e.Update(r, patchOf("default", m{"owner": "b"}))
	assert.Equal(t, manager, r.Outputs[keyFieldManager].StringValue(), "another manager could not give the fields back")
	assert.Equal(t, map[string]string{"theirs": "1", "owner": "b"}, labelsOf(api, "default"))
}

func TestPatchesOfOneObjectAreIndependent(t *testing.T) {
	e, api := start(t, nil)
	one := e.Create(urnPatch, patchOf("default", m{"one": "1"}))
	two := e.Create(servertest.URN("kubernetes:core/v1:NamespacePatch", "more"), patchOf("default", m{"two": "2"}))
	assert.NotEqual(t, one.Outputs[keyFieldManager], two.Outputs[keyFieldManager])
	assert.Equal(t, map[string]string{"one": "1", "two": "2"}, labelsOf(api, "default"))
	require.NoError(t, e.Delete(one, 0))
	assert.Equal(t, map[string]string{"two": "2"}, labelsOf(api, "default"))
}

func TestPatchTakesOverOnlyWhenToldTo(t *testing.T) {
	e, api := start(t, nil)
	api.mu.Lock()
	api.objects["v1/namespaces//default"].owners = map[string]map[string]any{"kubectl": {"metadata\x00labels\x00owner": "theirs"}}
	api.mu.Unlock()
	_, _, err := e.TryCreate(urnPatch, patchOf("default", m{"owner": "ours"}), 0)
	require.ErrorContains(t, err, `conflict with "kubectl"`)

	forced := patchOf("default", m{"owner": "ours"})
	forced["metadata"].ObjectValue()["annotations"] = of(m{"x": m{annotationPatchForce: "true"}})["x"]
	e.Create(urnPatch, forced)
	assert.Equal(t, "ours", labelsOf(api, "default")["owner"])
}

func TestRefreshOfAPatchShowsItsOwnFieldsOnly(t *testing.T) {
	e, api := start(t, nil)
	inputs := patchOf("default", m{"owner": "a"})
	r := e.Create(urnPatch, inputs)
	api.change("v1/namespaces", "", "default", func(o map[string]any) {
		o["metadata"].(m)["labels"].(m)["theirs"] = "new"
	})
	found, ok, err := e.Read(r)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, inputs["metadata"], found.Inputs["metadata"], "what others write is not ours to show")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(found, inputs).GetChanges())

	api.change("v1/namespaces", "", "default", func(o map[string]any) {
		o["metadata"].(m)["labels"].(m)["owner"] = "somebody else"
	})
	found, _, err = e.Read(r)
	require.NoError(t, err)
	assert.Contains(t, e.Diff(found, inputs).GetDetailedDiff(), "metadata.labels.owner")
	api.change("v1/namespaces", "", "default", func(o map[string]any) {
		delete(o["metadata"].(m)["labels"].(m), "owner")
	})
	found, _, err = e.Read(r)
	require.NoError(t, err)
	assert.NotEqual(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(found, inputs).GetChanges(), "a label taken off by hand must show")
}

func TestPatchOfAnotherObjectIsAnotherPatch(t *testing.T) {
	e, api := start(t, nil)
	api.put("v1/namespaces", "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"other"},"status":{"phase":"Active"}}`)
	r := e.Create(urnPatch, patchOf("default", m{"owner": "a"}))
	assert.Equal(t, []string{"metadata.name"}, e.Diff(r, patchOf("other", m{"owner": "a"})).GetReplaces())
	assert.Empty(t, e.Diff(r, patchOf("default", m{"owner": "b"})).GetReplaces())
}

func TestPatchOfAVanishedObjectIsGone(t *testing.T) {
	e, api := start(t, nil)
	api.put("v1/namespaces", "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"other"},"status":{"phase":"Active"}}`)
	r := e.Create(urnPatch, patchOf("other", m{"owner": "a"}))
	api.drop("v1/namespaces", "", "other")
	_, ok, err := e.Read(r)
	require.NoError(t, err)
	assert.False(t, ok)
	require.NoError(t, e.Delete(r, 0))
	assert.Nil(t, api.get("v1/namespaces", "", "other"), "giving fields back must not make the object again")
}

func TestEngineTakesAPatchThroughItsWholeLife(t *testing.T) {
	api := newEngineAPI(t)
	owner := "a"
	stack := engine(t, func(ctx *pulumi.Context) error {
		var k8s pulumi.ProviderResourceState
		if err := ctx.RegisterResource("pulumi:providers:kubernetes", "cluster", pulumi.Map{"kubeconfig": fixed(api)()}, &k8s); err != nil {
			return err
		}
		_, err := custom(ctx, "kubernetes:core/v1:NamespacePatch", "labels", pulumi.Map{
			"apiVersion": pulumi.String("v1"), "kind": pulumi.String("Namespace"),
			"metadata": pulumi.Map{"name": pulumi.String("default"), "labels": pulumi.Map{"owner": pulumi.String(owner)}},
		}, pulumi.Provider(&k8s))
		return err
	})
	_, err := stack.Up(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"owner": "a"}, labelsOf(api, "default"))
	_, err = stack.Up(t.Context(), optup.ExpectNoChanges())
	require.NoError(t, err)
	_, err = stack.Refresh(t.Context(), optrefresh.ExpectNoChanges())
	require.NoError(t, err)

	owner = "b"
	up, err := stack.Up(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, (*up.Summary.ResourceChanges)["update"])
	assert.Equal(t, map[string]string{"owner": "b"}, labelsOf(api, "default"))

	_, err = stack.Destroy(t.Context(), optdestroy.Remove())
	require.NoError(t, err)
	require.NotNil(t, api.get("v1/namespaces", "", "default"), "the object is not the stack's to delete")
	assert.Empty(t, labelsOf(api, "default"))
}

func TestRealClusterGetsItsFieldsBackFromAPatch(t *testing.T) {
	e, ns := realCluster(t, nil)
	r := e.Create(urnPatch, patchOf(ns, m{"owner": "a", "cost-center": "b"}))
	r = e.Update(r, patchOf(ns, m{"owner": "c"}))
	labels := field(t, r.Outputs, "metadata", "labels").ObjectValue()
	assert.Equal(t, "c", labels["owner"].StringValue())
	assert.NotContains(t, labels, "cost-center")
	found, ok, err := e.Read(r)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(found, patchOf(ns, m{"owner": "c"})).GetChanges())

	require.NoError(t, e.Delete(r, 30))
	space, ok, err := e.Read(servertest.Resource{URN: urnNamespace, ID: ns})
	require.NoError(t, err)
	require.True(t, ok, "a patch must never delete the object it patches")
	assert.NotContains(t, field(t, space.Outputs, "metadata", "labels").ObjectValue(), "owner")
}
