package samples

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
)

// The API server's own library says of every sample what it is there to show.
func TestEachPolicyRefusesItsSampleAndNoOther(t *testing.T) {
	policies, err := policy.Load(gitops.FS)
	require.NoError(t, err)
	engine, err := policy.NewEngine(policies)
	require.NoError(t, err)
	all := Good()
	var names []string
	for _, p := range policies {
		names = append(names, p.Name)
		bad, ok := Bad(p.Name)
		require.True(t, ok, "there is no bad sample of policy %s", p.Name)
		all = append(all, bad)
	}
	assert.ElementsMatch(t, names, Policies(), "a sample of a policy that is not there")
	for _, s := range all {
		verdicts, err := engine.Evaluate(t.Context(), policy.Request{
			Object: s.Object, Namespace: Namespace, NamespaceLabels: map[string]string{policy.TenantLabel: Namespace},
		})
		require.NoError(t, err)
		refused := ""
		for _, v := range verdicts {
			require.NoError(t, v.Err)
			if !v.Allowed {
				refused += v.Policy
			}
		}
		assert.Equal(t, s.RefusedBy, refused, "%v", at(s.Object, "metadata")["name"])
	}
	_, ok := Bad("no-such-policy")
	assert.False(t, ok)
}

func TestASampleIsNobodyElses(t *testing.T) {
	one, _ := Bad("disallow-latest-image-tag")
	container(one.Object)["image"] = "changed"
	other, _ := Bad("disallow-latest-image-tag")
	assert.Equal(t, "registry.example/probe:latest", container(other.Object)["image"], "whoever changes one changes all")
}
