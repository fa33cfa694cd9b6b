package argocd

import (
	"strconv"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Layers of Argo CD: itself, which nobody but the program can bring up. Plain has its
// server speak HTTP.
func Layers(s config.GitOps, plain bool) layer.List {
	return layer.List{{
		Name: Layer, Namespaces: []string{Namespace}, ByProgram: true,
		Tree: layer.Rendered(Layer, serverPatches(s.NodePort, plain)...),
		// The controller that compares, and the cache, are one pod each, as upstream has them
		// where there is one Redis: Kubernetes makes them anew, and nothing is lost.
		Availability: layer.Availability{
			Deployments: []string{service, "argocd-repo-server", applicationSets},
			Patches: []render.Patch{{
				Kind: "Deployment", Namespace: Namespace, Name: applicationSets,
				Merge: map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{
					"name": applicationSets, "env": []any{map[string]any{
						"name": "ARGOCD_APPLICATIONSET_CONTROLLER_ENABLE_LEADER_ELECTION", "value": "true", "valueFrom": nil,
					}},
				}}}}}},
			}},
		},
		Holds:    []kube.Hold{{GroupVersionResource: kube.Applications, Finalizer: "resources-finalizer.argocd.argoproj.io"}},
		Forwards: []layer.Forward{{Name: "argocd", Namespace: Namespace, Service: service, Port: servicePort(plain), LocalPort: 8081, TLS: !plain}},
	}}
}

func servicePort(plain bool) int {
	if plain {
		return 80
	}
	return 443
}

// serverPatches make people reach the server, at the one port that its Service has
// then: every port of such a Service is open to the outside.
func serverPatches(nodePort int, plain bool) []render.Patch {
	ports := func(list any) render.Patch {
		return render.Patch{Kind: "Service", Namespace: Namespace, Name: service, Merge: map[string]any{
			"spec": map[string]any{"type": "NodePort", "ports": list},
		}}
	}
	return []render.Patch{
		ports(nil),
		ports([]any{map[string]any{
			"name": scheme(plain), "port": servicePort(plain), "targetPort": 8080, "protocol": "TCP", "nodePort": nodePort,
		}}),
		{Kind: "ConfigMap", Namespace: Namespace, Name: "argocd-cmd-params-cm", Merge: map[string]any{
			"data": map[string]any{"server.insecure": strconv.FormatBool(plain)},
		}},
		// It reads that only when it starts.
		{Kind: "Deployment", Namespace: Namespace, Name: service, Merge: map[string]any{
			"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
				"annotations": map[string]any{"neuroscale.dev/scheme": scheme(plain)},
			}}},
		}},
	}
}
