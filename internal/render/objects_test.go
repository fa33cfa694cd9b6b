package render

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATreeOfObjectsIsNamedByWhatTheySayOnly(t *testing.T) {
	quota := map[string]any{"apiVersion": "v1", "kind": "ResourceQuota",
		"metadata": map[string]any{"name": "q", "namespace": "a"}, "spec": map[string]any{"hard": map[string]string{"pods": "20"}}}
	binding := map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
		"metadata": map[string]any{"name": "b", "namespace": "a"}}

	one, err := FromObjects("tenancy", "v1", []map[string]any{binding, quota})
	require.NoError(t, err)
	other, err := FromObjects("tenancy", "v2", []map[string]any{quota, binding})
	require.NoError(t, err)
	assert.Equal(t, one.Hash(), other.Hash(), "order of the input or the version must not move the layer")
	assert.Equal(t, "RoleBinding", one.Objects()[0]["kind"], "rights come before what needs them")
	assert.Empty(t, one.Images())

	quota["spec"] = map[string]any{"hard": map[string]string{"pods": "21"}}
	changed, err := FromObjects("tenancy", "v1", []map[string]any{binding, quota})
	require.NoError(t, err)
	assert.NotEqual(t, one.Hash(), changed.Hash())
}

func TestTwoObjectsOfOneNameAreNotATree(t *testing.T) {
	object := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c"}}
	_, err := FromObjects("tenancy", "", []map[string]any{object, object})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "layer tenancy: ")
}
