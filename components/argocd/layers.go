package argocd

import (
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Layers of Argo CD: itself, which nobody but the program can bring up.
func Layers(s config.GitOps) layer.List {
	return layer.List{{
		Name: Layer, Namespaces: []string{Namespace}, ByProgram: true,
		Tree:     layer.Rendered(Layer, servicePatch(s.NodePort)),
		Forwards: []layer.Forward{{Name: "argocd", Namespace: Namespace, Service: service, Port: servicePort, LocalPort: 8081}},
	}}
}

// servicePatch makes people reach the server, which speaks plain HTTP.
func servicePatch(nodePort int) render.Patch {
	return render.Patch{Kind: "Service", Namespace: Namespace, Name: service, Merge: map[string]any{
		"spec": map[string]any{
			"type":  "NodePort",
			"ports": []any{map[string]any{"name": "http", "nodePort": nodePort}},
		},
	}}
}
