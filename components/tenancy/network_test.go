package tenancy

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// network decodes a tenant's policy as the API server will.
func network(t *testing.T, tenant config.Tenant, stores ...config.Egress) networkingv1.NetworkPolicy {
	t.Helper()
	raw, err := json.Marshal(networkPolicy(tenant, stores))
	require.NoError(t, err)
	var p networkingv1.NetworkPolicy
	require.NoError(t, json.Unmarshal(raw, &p))
	return p
}

// numbers are the ports of a rule.
func numbers(list []networkingv1.NetworkPolicyPort) []int {
	var out []int
	for _, p := range list {
		out = append(out, p.Port.IntValue())
	}
	return out
}

func podLabel(s *metav1.LabelSelector) string {
	if s == nil {
		return ""
	}
	return s.MatchLabels["k8s-app"]
}

func TestATenantsPodsAreReachedByTheirOwnTheGatewayAndKnativeOnly(t *testing.T) {
	p := network(t, tenants()[1])
	assert.Equal(t, "team", p.Namespace)
	assert.Empty(t, p.Spec.PodSelector.MatchLabels, "a pod without a policy is open")
	assert.ElementsMatch(t, []networkingv1.PolicyType{"Ingress", "Egress"}, p.Spec.PolicyTypes)
	got := map[string][]int{}
	for _, rule := range p.Spec.Ingress {
		require.Len(t, rule.From, 1, "an empty list means everybody")
		from := rule.From[0]
		assert.Nil(t, from.IPBlock)
		if from.NamespaceSelector == nil {
			require.NotNil(t, from.PodSelector)
			got["own"] = nil
			continue
		}
		require.Len(t, from.NamespaceSelector.MatchLabels, 1)
		got[from.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]] = numbers(rule.Ports)
	}
	assert.Equal(t, map[string][]int{
		"own": nil, "kourier-system": {8012, 8112}, "knative-serving": {8012, 8112, 9090, 9091},
	}, got)
}

func TestATenantsPodsReachDNSStoresAndWhatIsConfiguredOnly(t *testing.T) {
	tenant := tenants()[1]
	tenant.Egress = []config.Egress{{CIDR: "10.1.2.0/24", Ports: []int{5432}}}
	p := network(t, tenant, config.Default().Serving.ModelStores...)
	got := map[string][]int{}
	var except []string
	for _, rule := range p.Spec.Egress {
		require.Len(t, rule.To, 1, "an empty list means everywhere")
		to := rule.To[0]
		switch {
		case to.IPBlock != nil:
			got[to.IPBlock.CIDR] = numbers(rule.Ports)
			except = slices.Concat(except, to.IPBlock.Except)
		case to.NamespaceSelector == nil:
			got["own"] = nil
		default:
			got[to.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]+"/"+podLabel(to.PodSelector)] = numbers(rule.Ports)
		}
	}
	assert.Equal(t, map[string][]int{
		"own": nil, "kube-system/kube-dns": {53, 53}, "kourier-system/": {8081, 8444},
		"0.0.0.0/0": {443}, "10.1.2.0/24": {5432},
	}, got)
	assert.Contains(t, except, "169.254.0.0/16", "a cloud's metadata service gives away the node's credentials")
	assert.Contains(t, except, "10.0.0.0/8", "the cluster itself, its neighbours and the API server are in there")
}
