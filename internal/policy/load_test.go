package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

func TestThePoliciesKeepTheirNames(t *testing.T) {
	policies, err := Load(gitops.FS)
	require.NoError(t, err)
	var names []string
	for _, p := range policies {
		names = append(names, p.Name)
		assert.Equal(t, p.Name, p.Native.Name)
		assert.Equal(t, p.Name, p.Binding.Name)
		assert.Equal(t, p.Name, p.Binding.Spec.PolicyName)
	}
	assert.Equal(t, []string{
		"disallow-latest-image-tag",
		"disallow-root-containers",
		"require-resource-requests-limits",
		"require-standard-labels-deployment",
		"require-standard-labels-inferenceservice",
	}, names)
}
