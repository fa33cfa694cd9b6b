package tenancy

import (
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
)

// namespaceObject is a tenant's Namespace. The guardrails go by its first label, costs by
// the owner and the cost center.
func namespaceObject(t config.Tenant) manifest.Object {
	object := manifest.Namespace(t.Namespace)
	object["metadata"].(manifest.Object)["labels"] = manifest.Object{
		policy.TenantLabel: t.Namespace,
		"owner":            t.Owner,
		"cost-center":      t.CostCenter,
		// Not even what no policy forbids may reach the node, and so the other
		// tenants: no host path, host network or privileged container. More would
		// keep KServe's storage initializer out.
		"pod-security.kubernetes.io/enforce": "baseline",
	}
	return object
}

// QuotaName is the name of a namespace's ResourceQuota.
func QuotaName(namespace string) string { return namespace + "-namespace-quota" }

// LimitsName is the name of a namespace's LimitRange.
func LimitsName(namespace string) string { return namespace + "-namespace-limits" }

func quota(t config.Tenant) (map[string]any, error) {
	hard := map[string]any{
		"pods":                   strconv.Itoa(t.Quota.Pods),
		"count/deployments.apps": strconv.Itoa(t.Quota.Deployments),
		"count/inferenceservices.serving.kserve.io": strconv.Itoa(t.Quota.InferenceServices),
		// Even if no policy looked: the node's ports are the platform's.
		"services.nodeports": "0", "services.loadbalancers": "0",
		"services":               strconv.Itoa(t.Quota.Services),
		"configmaps":             strconv.Itoa(t.Quota.ConfigMaps),
		"secrets":                strconv.Itoa(t.Quota.Secrets),
		"persistentvolumeclaims": strconv.Itoa(t.Quota.VolumeClaims),
	}
	storage, err := quantity(t.Namespace, "quota.storage", t.Quota.Storage)
	if err != nil {
		return nil, err
	}
	hard["requests.storage"] = storage
	for prefix, shares := range map[string]config.Shares{"requests.": t.Quota.Requests, "limits.": t.Quota.Limits} {
		canonical, err := quantities(t.Namespace, "quota."+prefix, shares)
		if err != nil {
			return nil, err
		}
		for name, value := range canonical {
			hard[prefix+name] = value
		}
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "ResourceQuota",
		"metadata": map[string]any{"name": QuotaName(t.Namespace), "namespace": t.Namespace},
		"spec":     map[string]any{"hard": hard},
	}, nil
}

// systemPriority is the quota of pods that go before the cluster's own: none.
func systemPriority(t config.Tenant) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "ResourceQuota",
		"metadata": map[string]any{"name": t.Namespace + "-no-system-priority", "namespace": t.Namespace},
		"spec": map[string]any{
			"hard": map[string]any{"pods": "0"},
			"scopeSelector": map[string]any{"matchExpressions": []any{map[string]any{
				"scopeName": "PriorityClass", "operator": "In",
				"values": []any{"system-cluster-critical", "system-node-critical"},
			}}},
		},
	}
}

func limitRange(t config.Tenant) (map[string]any, error) {
	item := map[string]any{"type": "Container"}
	for name, shares := range map[string]config.Shares{
		"default": t.Limits.Default, "defaultRequest": t.Limits.DefaultRequest, "max": t.Limits.Max, "min": t.Limits.Min,
	} {
		canonical, err := quantities(t.Namespace, "limits."+name+".", shares)
		if err != nil {
			return nil, err
		}
		item[name] = canonical
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "LimitRange",
		"metadata": map[string]any{"name": LimitsName(t.Namespace), "namespace": t.Namespace},
		"spec":     map[string]any{"limits": []any{item}},
	}, nil
}

func quantities(tenant, field string, s config.Shares) (map[string]any, error) {
	out := map[string]any{}
	for name, text := range map[string]string{"cpu": s.CPU, "memory": s.Memory, "ephemeral-storage": s.EphemeralStorage} {
		q, err := quantity(tenant, field+name, text)
		if err != nil {
			return nil, err
		}
		out[name] = q
	}
	return out, nil
}

// quantity is an amount as the API server writes it, 8 for 8000m: what it wrote
// otherwise, Argo CD would see as a difference for ever.
func quantity(tenant, field, text string) (string, error) {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return "", fmt.Errorf("tenancy: tenant %s: %s is %q: %w", tenant, field, text, err)
	}
	return q.String(), nil
}

// ProjectName is the name of a tenant's AppProject.
func ProjectName(namespace string) string { return "tenant-" + namespace }

func project(t config.Tenant, repositories map[string]forge.Repository) argoproj.Project {
	p := argoproj.Project{
		Name: ProjectName(t.Namespace), Namespace: argocd.Namespace,
		Description:  "Model endpoints, merged by " + t.Owner,
		Destinations: []string{t.Namespace}, Kinds: argocd.TenantKinds,
	}
	for _, repository := range t.Repositories {
		p.Repositories = append(p.Repositories, repositories[repository].ReadURL())
	}
	return p
}
