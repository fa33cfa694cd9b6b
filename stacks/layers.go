package stacks

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/render"
	"github.com/neuroscale-platform/neuroscale/internal/schema"
)

// Layers of the platform as a configuration makes them, in their order. The error
// names every definition that cannot be delivered.
func Layers(cfg *config.Config) (layer.List, error) {
	parts, err := layersOfParts(cfg)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(parts...)
	return all, all.Validate()
}

// Part of the platform: a name and the layers it is made of, of which it may have
// none.
type Part struct {
	Name   string
	Layers layer.List
}

// LayersOf the part of that name; none if there is no such part.
func LayersOf(parts []Part, name string) layer.List {
	i := slices.IndexFunc(parts, func(p Part) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return parts[i].Layers
}

// AllLayers of parts, in their order.
func AllLayers(parts []Part) layer.List {
	var all layer.List
	for _, p := range parts {
		all = append(all, p.Layers...)
	}
	return all
}

// Parts of the platform as a configuration makes them, in their order.
func Parts(cfg *config.Config) ([]Part, error) {
	lists, err := layersOfParts(cfg)
	if err != nil {
		return nil, err
	}
	parts := make([]Part, len(platform))
	for i, p := range platform {
		parts[i] = Part{Name: p.name, Layers: lists[i]}
	}
	return parts, nil
}

// layersOfParts are the layers of each part of the platform, in its order.
func layersOfParts(cfg *config.Config) ([]layer.List, error) {
	parts := make([]layer.List, len(platform))
	for i, p := range platform {
		if p.layers == nil {
			continue
		}
		var err error
		if parts[i], err = p.layers(cfg); err != nil {
			return nil, fmt.Errorf("layers of %s: %w", p.name, err)
		}
		if cfg.Cluster.HighAvailability {
			parts[i] = parts[i].Available()
		}
	}
	return parts, nil
}

// Source is what layers are rendered from.
func Source(renderer *render.Renderer, layers layer.List) layer.Source {
	return layer.Source{
		Renderer: renderer, Exempt: ownNamespaces(layers), Reserved: layers.Names(),
		Schemas: func(ctx context.Context) (map[string][]byte, error) {
			v, err := schema.New(ctx, schema.Options{Renderer: renderer, CacheDir: filepath.Join(filepath.Dir(renderer.CacheDir()), "schemas")})
			if err != nil {
				return nil, err
			}
			return v.Files()
		},
	}
}

// clusterNamespaces every cluster has, and no tenant.
var clusterNamespaces = []string{"kube-node-lease", "kube-public", "kube-system"}

// ownNamespaces are the cluster's and the platform's, sorted.
func ownNamespaces(layers layer.List) []string {
	all := slices.Concat(clusterNamespaces, layers.Namespaces(), []string{forge.Namespace, layer.Namespace})
	slices.Sort(all)
	return slices.Compact(all)
}

// forwards are the services worth a port-forward.
func forwards(layers layer.List, t config.TLS) []layer.Forward {
	return append(layers.Forwards(), layer.Forward{
		Name: "forge", Namespace: forge.Namespace, Service: forge.Service, Port: forge.Port, LocalPort: 8083, TLS: !t.Plain(config.ServerForge),
	})
}

// Config is a complete, valid configuration; see config.Load. No tenant may have
// a namespace of the platform's.
func Config(raw map[string]string) (*config.Config, error) {
	layers, err := Layers(config.Default())
	if err != nil {
		return nil, err
	}
	return config.Load(raw, ownNamespaces(layers)...)
}
