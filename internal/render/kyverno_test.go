package render

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

func TestKyvernoIsNoMoreThanTwoControllers(t *testing.T) {
	tree := rendered(t, "kyverno")
	var deployments, definitions, bound []string
	for _, o := range tree.Objects() {
		switch kindOf(o) {
		case "Deployment":
			deployments = append(deployments, nameOf(o))
			assert.EqualValues(t, 1, dig(o, "spec", "replicas"), describe(o))
			assert.Nil(t, dig(o, "spec", "template", "spec", "initContainers"), describe(o))
		case crdKind:
			definitions = append(definitions, nameOf(o))
		case "ClusterRoleBinding":
			bound = append(bound, nameOf(o))
		}
	}
	assert.Equal(t, []string{"kyverno-admission-controller", "kyverno-reports-controller"}, deployments)
	// Every one of them is watched: with one missing the admission controller
	// waits for it for ever, Ready but without a webhook.
	assert.Equal(t, []string{
		"clusterephemeralreports.reports.kyverno.io",
		"clusterpolicies.kyverno.io",
		"clusterpolicyreports.wgpolicyk8s.io",
		"ephemeralreports.reports.kyverno.io",
		"generatingpolicies.policies.kyverno.io",
		"globalcontextentries.kyverno.io",
		"imagevalidatingpolicies.policies.kyverno.io",
		"mutatingpolicies.policies.kyverno.io",
		"namespacedgeneratingpolicies.policies.kyverno.io",
		"namespacedimagevalidatingpolicies.policies.kyverno.io",
		"namespacedmutatingpolicies.policies.kyverno.io",
		"namespacedvalidatingpolicies.policies.kyverno.io",
		"policies.kyverno.io",
		"policyexceptions.kyverno.io",
		"policyexceptions.policies.kyverno.io",
		"policyreports.wgpolicyk8s.io",
		"updaterequests.kyverno.io",
		"validatingpolicies.policies.kyverno.io",
	}, definitions)
	assert.Equal(t, []string{"kyverno:admission-controller", "kyverno:reports-controller"}, bound,
		"upstream also lets both read most of the cluster")
	assert.Len(t, tree.Images(), 2)
}

func TestKyvernoBlocksNobodyAndMakesNoPolicies(t *testing.T) {
	tree := rendered(t, "kyverno")
	args := func(deployment string) []any {
		containers := dig(object(t, tree, "Deployment", deployment), "spec", "template", "spec", "containers").([]any)
		require.Len(t, containers, 1)
		return dig(containers[0], "args").([]any)
	}
	admission := args("kyverno-admission-controller")
	assert.Contains(t, admission, "--forceFailurePolicyIgnore=true", "without it nothing can be created while Kyverno is away")
	assert.Contains(t, admission, "--generateValidatingAdmissionPolicy=false", "its own would leave holes when they are made")
	assert.Contains(t, args("kyverno-reports-controller"), "--validatingAdmissionPolicyReports=false")

	for _, o := range tree.Objects() {
		for label := range asMap(dig(o, "metadata", "labels")) {
			assert.NotRegexp(t, "aggregate-to-(admin|edit)$", label, "%s lets tenants make policies", describe(o))
		}
		rules, _ := o["rules"].([]any)
		for _, rule := range rules {
			resources, _ := dig(rule, "resources").([]any)
			for _, r := range resources {
				if name, _ := r.(string); strings.HasPrefix(name, "validatingadmissionpol") || strings.HasPrefix(name, "mutatingadmissionpol") || name == "*" {
					verbs := dig(rule, "verbs").([]any)
					assert.Subset(t, []any{"get", "list", "watch"}, verbs, "%s may change the API server's policies", describe(o))
				}
			}
		}
	}
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// Kyverno says that a policy is not Ready while its reports controller may not
// read all the policy matches, and its reports miss what it cannot read.
func TestTheReportsControllerReadsWhatThePoliciesMatch(t *testing.T) {
	matched := map[string]bool{}
	files, err := fs.Glob(gitops.FS, "policies/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		data, err := fs.ReadFile(gitops.FS, file)
		require.NoError(t, err)
		var policy struct {
			Spec struct {
				MatchConstraints struct{ ResourceRules []apiRule }
			}
		}
		require.NoError(t, yaml.Unmarshal(data, &policy))
		for _, rule := range policy.Spec.MatchConstraints.ResourceRules {
			rule.each(func(resource string) { matched[resource] = true })
		}
	}
	readable := map[string]bool{}
	var role struct{ Rules []apiRule }
	data, err := yaml.Marshal(object(t, rendered(t, "kyverno"), "ClusterRole", "kyverno:reports-controller:workloads"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, &role))
	for _, rule := range role.Rules {
		slices.Sort(rule.Verbs)
		assert.Equal(t, []string{"get", "list", "watch"}, rule.Verbs)
		rule.each(func(resource string) { readable[resource] = true })
	}
	assert.Equal(t, matched, readable, "access.yaml of the layer kyverno and the policies differ")
}

// apiRule is what rules of policies and of roles have in common.
type apiRule struct{ APIGroups, Resources, Verbs []string }

func (r apiRule) each(f func(resource string)) {
	for _, group := range r.APIGroups {
		for _, resource := range r.Resources {
			f(group + "/" + resource)
		}
	}
}
