package serving

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

func knativePatches(s config.Serving, plain bool) []render.Patch {
	return append([]render.Patch{
		configMap(KnativeNamespace, "config-domain", map[string]any{s.Domain: ""}),
		configMap(KnativeNamespace, "config-deployment", map[string]any{
			"registries-skipping-tag-resolving": strings.Join(s.RegistriesSkippingTagResolving, ","),
		}),
		configMap(KnativeNamespace, "config-autoscaler", map[string]any{
			"scale-to-zero-grace-period": s.ScaleToZeroGracePeriod.String(),
			"stable-window":              s.StableWindow.String(),
		}),
		configMap(KnativeNamespace, "config-network", map[string]any{"default-external-scheme": scheme(plain)}),
	}, append(gatewayPatches(s, plain), authPatches(s)...)...)
}

func scheme(plain bool) string {
	if plain {
		return "http"
	}
	return "https"
}

// gatewayPatches open one port of the gateway to the outside: every port of such a
// Service would get one. The gateway has its certificate from its controller, which
// reads where it is from its environment.
func gatewayPatches(s config.Serving, plain bool) []render.Patch {
	service := func(ports any) render.Patch {
		merge := map[string]any{"spec": map[string]any{"type": s.Gateway.Type, "ports": ports}}
		if len(s.Gateway.Annotations) > 0 {
			merge["metadata"] = map[string]any{"annotations": s.Gateway.Annotations}
		}
		return render.Patch{Kind: "Service", Namespace: GatewayNamespace, Name: gatewayService, Merge: merge}
	}
	if plain {
		return []render.Patch{service(nil), service([]any{map[string]any{
			"name": "http2", "port": gatewayPort(plain), "targetPort": 8080, "protocol": "TCP", "nodePort": s.Gateway.NodePort,
		}})}
	}
	return []render.Patch{service(nil), service([]any{map[string]any{
		"name": "https", "port": gatewayPort(plain), "targetPort": 8443, "protocol": "TCP", "nodePort": s.Gateway.NodePort,
	}}), {
		Kind: "Deployment", Namespace: KnativeNamespace, Name: controller,
		Merge: map[string]any{"spec": map[string]any{"template": map[string]any{
			// renewalPatch says which.
			"metadata": map[string]any{"annotations": map[string]any{certificateAnnotation: ""}},
			"spec": map[string]any{"containers": []any{map[string]any{"name": "controller", "env": []any{
				map[string]any{"name": "CERTS_SECRET_NAMESPACE", "value": GatewayNamespace},
				map[string]any{"name": "CERTS_SECRET_NAME", "value": gatewaySecret},
			}}}},
		}}},
	}}
}

// authPatches make the gateway ask the doorkeeper about every request to an
// endpoint, also from inside the cluster.
//
// net-kourier reads the same settings from its ConfigMap, config-kourier, at any
// time; but where the gateway finds the doorkeeper it tells it only when it starts,
// so that one without the other would refuse everybody. In its environment they
// change together, with a new pod.
func authPatches(s config.Serving) []render.Patch {
	if s.Auth != config.AuthKeys {
		return nil
	}
	var env []any
	for _, setting := range [][2]string{
		{"HOST", fmt.Sprintf("doorkeeper.%s.svc.cluster.local:%d", DoorkeeperNamespace, keys.GatePort)},
		// Over HTTP it would be told neither of other headers, nor from where a
		// request came and which endpoint it is for, nor could it take the key away.
		{"PROTOCOL", "grpc"},
		{"FAILUREMODEALLOW", strconv.FormatBool(s.AuthFailure == config.FailOpen)},
		{"TIMEOUT", "2000"}, // milliseconds
		// Bodies are not judged: one byte of them is the least that can be asked for,
		// and need not be text.
		{"MAXREQUESTBYTES", "1"},
		{"PACKASBYTES", "true"},
	} {
		env = append(env, map[string]any{"name": "KOURIER_EXTAUTHZ_" + setting[0], "value": setting[1]})
	}
	return []render.Patch{{
		Kind: "Deployment", Namespace: KnativeNamespace, Name: controller,
		Merge: podSpec(map[string]any{"containers": []any{map[string]any{"name": "controller", "env": env}}}),
	}}
}

func doorkeeperPatches(tenants []string) []render.Patch {
	args := []any{}
	for _, namespace := range tenants {
		args = append(args, namespace)
	}
	return []render.Patch{{
		Kind: "Deployment", Namespace: DoorkeeperNamespace, Name: "doorkeeper",
		Merge: podSpec(map[string]any{"containers": []any{map[string]any{"name": "doorkeeper", "args": args}}}),
	}}
}

func podSpec(spec map[string]any) map[string]any {
	return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": spec}}}
}

func kservePatches(s config.Serving, plain bool) []render.Patch {
	r := s.DefaultResources
	return []render.Patch{
		configMap(kserveNamespace, "inferenceservice-config", map[string]any{
			"inferenceService": map[string]any{"resource": map[string]any{
				"cpuRequest": r.CPU, "memoryRequest": r.Memory,
				"cpuLimit": r.Limits.CPU, "memoryLimit": r.Limits.Memory,
			}},
			"ingress": map[string]any{"ingressDomain": s.Domain, "urlScheme": scheme(plain)},
		}),
		// The controller reads the ingress settings only when it starts.
		{Kind: "Deployment", Namespace: kserveNamespace, Name: kserveController, Merge: map[string]any{
			"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
				"annotations": map[string]any{"neuroscale.dev/domain": s.Domain, "neuroscale.dev/scheme": scheme(plain)},
			}}},
		}},
	}
}

// kserveAvailability has one of KServe's controllers act, and the other answer the API
// server only.
func kserveAvailability() layer.Availability {
	const election = "leader-election"
	return layer.Availability{
		Deployments: []string{kserveController},
		Patches: []render.Patch{{
			Kind: "Deployment", Namespace: kserveNamespace, Name: kserveController,
			Merge: podSpec(map[string]any{"containers": []any{map[string]any{
				"name": "manager", "args": []any{"--metrics-addr=:8080", "--leader-elect"},
			}}}),
		}},
		Objects: []map[string]any{{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
			"metadata": map[string]any{"name": election, "namespace": kserveNamespace},
			"rules": []any{map[string]any{
				"apiGroups": []any{"coordination.k8s.io"}, "resources": []any{"leases"}, "verbs": []any{"create", "get", "update"},
			}},
		}, {
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
			"metadata": map[string]any{"name": election, "namespace": kserveNamespace},
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": election},
			"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": kserveController, "namespace": kserveNamespace}},
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
