package serving

import (
	"strings"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

func knativePatches(s config.Serving) []render.Patch {
	return []render.Patch{
		configMap(KnativeNamespace, "config-domain", map[string]any{s.Domain: ""}),
		configMap(KnativeNamespace, "config-deployment", map[string]any{
			"registries-skipping-tag-resolving": strings.Join(s.RegistriesSkippingTagResolving, ","),
		}),
		configMap(KnativeNamespace, "config-autoscaler", map[string]any{
			"scale-to-zero-grace-period": s.ScaleToZeroGracePeriod.String(),
			"stable-window":              s.StableWindow.String(),
		}),
		{Kind: "Service", Namespace: GatewayNamespace, Name: gatewayService, Merge: map[string]any{
			"spec": map[string]any{
				"type":  "NodePort",
				"ports": []any{map[string]any{"name": "http2", "nodePort": s.Gateway.NodePort}},
			},
		}},
	}
}

func kservePatches(s config.Serving) []render.Patch {
	r := s.DefaultResources
	return []render.Patch{
		configMap(kserveNamespace, "inferenceservice-config", map[string]any{
			"inferenceService": map[string]any{"resource": map[string]any{
				"cpuRequest": r.CPU, "memoryRequest": r.Memory,
				"cpuLimit": r.Limits.CPU, "memoryLimit": r.Limits.Memory,
			}},
			"ingress": map[string]any{"ingressDomain": s.Domain},
		}),
		// The controller reads the ingress settings only when it starts.
		{Kind: "Deployment", Namespace: kserveNamespace, Name: "kserve-controller-manager", Merge: map[string]any{
			"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
				"annotations": map[string]any{"neuroscale.dev/domain": s.Domain},
			}}},
		}},
	}
}

func configMap(namespace, name string, data map[string]any) render.Patch {
	return render.Patch{
		Kind: "ConfigMap", Namespace: namespace, Name: name,
		Merge: map[string]any{"data": data},
	}
}

// knativeDifferences are what Knative's webhook writes into its own
// configurations, and the rules that Kubernetes collects into aggregated roles.
// Healing either would never end: its writer puts it back at once.
func knativeDifferences() []layer.IgnoredDifference {
	written := []string{
		".webhooks[]?.clientConfig.caBundle",
		".webhooks[]?.clientConfig.service.path",
		".webhooks[]?.namespaceSelector",
		".webhooks[]?.reinvocationPolicy",
		".webhooks[]?.rules",
	}
	return []layer.IgnoredDifference{
		{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration", JQPaths: written},
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration", JQPaths: written},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", JQPaths: []string{
			"select(.aggregationRule != null) | .rules",
		}},
	}
}
