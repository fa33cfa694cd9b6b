package render

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// twoDeployments is a tree that an Application can patch.
func twoDeployments(t *testing.T) *Tree {
	t.Helper()
	deployment := func(name string) map[string]any {
		return map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name, "namespace": "there"},
			"spec": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": name}}, "template": map[string]any{}},
		}
	}
	tree, err := FromObjects("some", "v1", []map[string]any{
		deployment("one"), deployment("two"),
		{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "last", "namespace": "there"}},
	})
	require.NoError(t, err)
	var entries []entry
	for _, o := range tree.objects {
		e, err := write(o)
		require.NoError(t, err)
		entries = append(entries, e)
	}
	tree, err = treeFrom("some", "v1", &Upstream{}, true, entries)
	require.NoError(t, err)
	return tree
}

func TestAnAvailableDeploymentHasTwoPodsApartOfWhichOneStays(t *testing.T) {
	before := twoDeployments(t)
	hash := before.Hash()
	tree, err := before.Available([]string{"one"}, nil, []map[string]any{
		{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": map[string]any{"name": "election", "namespace": "there"}},
	})
	require.NoError(t, err)
	assert.Equal(t, hash, before.Hash(), "the tree it was made of changed")
	assert.NotEqual(t, hash, tree.Hash())
	assert.True(t, tree.IsKustomization(), "no Application can patch it any more")
	assert.Equal(t, "v1", tree.Version())
	text, err := tree.YAML()
	require.NoError(t, err)
	assert.Equal(t, `---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: election
  namespace: there
---
apiVersion: v1
kind: Service
metadata:
  name: last
  namespace: there
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: one
  namespace: there
spec:
  replicas: 2
  selector:
    matchLabels:
      app: one
  template:
    spec:
      topologySpreadConstraints:
      - labelSelector:
          matchLabels:
            app: one
        matchLabelKeys:
        - pod-template-hash
        maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: two
  namespace: there
spec:
  selector:
    matchLabels:
      app: two
  template: {}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: one
  namespace: there
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      app: one
  unhealthyPodEvictionPolicy: AlwaysAllow
`, string(text))
	for _, f := range tree.files {
		if f.name == "kustomization.yaml" {
			assert.Contains(t, string(f.data), "- poddisruptionbudget.there.one.yaml\n", "an Application would not bring it")
		}
	}
}

func TestADeploymentThatCannotBeAvailableIsNamed(t *testing.T) {
	_, err := twoDeployments(t).Available([]string{"one", "three", "four"}, nil, nil)
	assert.ErrorContains(t, err, "layer some: there is no Deployment three")
	assert.ErrorContains(t, err, "there is no Deployment four")

	_, err = twoDeployments(t).Available([]string{"one"}, []Patch{{Kind: "Deployment", Name: "tow", Merge: map[string]any{}}}, nil)
	assert.ErrorContains(t, err, `layer some: patch of Deployment tow`)

	bare, err := FromObjects("bare", "v1", []map[string]any{
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "one", "namespace": "there"}, "spec": map[string]any{}},
	})
	require.NoError(t, err)
	_, err = bare.Available([]string{"one"}, nil, nil)
	assert.ErrorContains(t, err, "layer bare: Deployment one selects no pods")
}
