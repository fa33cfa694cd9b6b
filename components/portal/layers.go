package portal

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

const (
	// Layer is the name of the portal's, and of its objects.
	Layer = "portal"
	// Namespace has the portal.
	Namespace = "portal"
	// Skeleton is the ConfigMap with the texts that the forms fill in.
	Skeleton = Layer + "-skeleton"
	// Account is the service account it looks at the cluster with.
	Account = "portal"

	// Host is its name in the cluster, which it answers at Port.
	Host = Layer + "." + Namespace + ".svc"
	Port = 7007

	localPort = 7010
)

// Excluded are the folders of a tenant's first repository, as glob patterns, that no
// endpoint may be in, given the names of all layers.
type Excluded func(tenants []config.Tenant, namespace string, reserved []string) []string

// Layers of the portal as a configuration makes them: one, or none if there is to be
// no portal.
func Layers(c *config.Config, excluded Excluded) layer.List {
	if !c.Portal.Enabled {
		return nil
	}
	return layer.List{{
		Name: Layer, Namespaces: []string{Namespace}, ClusterKinds: []schema.GroupKind{},
		Tree: func(ctx context.Context, s layer.Source) (*render.Tree, error) {
			patches, err := patches(c, excluded, s.Reserved)
			if err != nil {
				return nil, err
			}
			return s.Renderer.Layer(ctx, Layer, patches...)
		},
		Forwards: []layer.Forward{{Name: Layer, Namespace: Namespace, Service: Layer, Port: Port, LocalPort: localPort, TLS: !c.TLS.Plain(config.ServerPortal)}},
	}}
}

func patches(c *config.Config, excluded Excluded, reserved []string) ([]render.Patch, error) {
	app, err := newAppConfig(c, excluded, reserved)
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	text, err := app.encode()
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	files := map[string]any{}
	for name, file := range app.skeleton {
		files[name] = file
	}
	// It reads both only when it starts.
	hash := manifest.Hash(text["app-config.yaml"], text["templates.yaml"], fmt.Sprint(app.skeleton))
	plain := c.TLS.Plain(config.ServerPortal)
	pod := map[string]any{"metadata": map[string]any{"annotations": map[string]any{"neuroscale.dev/settings": hash}}}
	if plain {
		pod["spec"] = map[string]any{"containers": []any{overHTTP()}}
	}
	return []render.Patch{
		{Kind: "ConfigMap", Namespace: Namespace, Name: Layer, Merge: map[string]any{"data": anyMap(text)}},
		{Kind: "ConfigMap", Namespace: Namespace, Name: Skeleton, Merge: map[string]any{"data": files}},
		{Kind: "PersistentVolumeClaim", Namespace: Namespace, Name: Layer, Merge: map[string]any{
			"spec": manifest.Claim(c.Portal.Storage, c.Cluster.StorageClass),
		}},
		{Kind: "Service", Namespace: Namespace, Name: Layer, Merge: map[string]any{
			"spec": map[string]any{"ports": []any{map[string]any{"name": "http", "nodePort": c.Portal.NodePort}}},
		}},
		{Kind: "Deployment", Namespace: Namespace, Name: Layer, Merge: map[string]any{
			"spec": map[string]any{"template": pod},
		}},
	}, nil
}

// overHTTP are its probes without TLS.
func overHTTP() map[string]any {
	container := map[string]any{"name": Layer}
	for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
		container[probe] = map[string]any{"httpGet": map[string]any{"scheme": "HTTP"}}
	}
	return container
}

func anyMap(m map[string]string) map[string]any {
	out := map[string]any{}
	for key, value := range m {
		out[key] = value
	}
	return out
}
