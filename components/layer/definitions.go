package layer

import (
	"context"
	"fmt"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// kind is a layer's CustomResourceDefinition.
type kind struct {
	layer, name string
	definition  map[string]any
}

// kinds of all layers, in their order.
func (l List) kinds(ctx context.Context, s Source) ([]kind, error) {
	var all []kind
	for _, d := range l {
		tree, err := d.Tree(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", d.Name, err)
		}
		all = append(all, kindsOf(d.Name, tree.Objects())...)
	}
	return all, nil
}

func kindsOf(layer string, objects []map[string]any) []kind {
	var all []kind
	for _, object := range objects {
		if object["kind"] == "CustomResourceDefinition" {
			all = append(all, kind{layer, object["metadata"].(map[string]any)["name"].(string), object})
		}
	}
	return all
}

// outline is the smallest definition with the names and versions of the kind.
func (k kind) outline() manifest.Object {
	spec := k.definition["spec"].(map[string]any)
	versions := []any{}
	for _, each := range spec["versions"].([]any) {
		version := each.(map[string]any)
		short := manifest.Object{
			"name": version["name"], "served": version["served"], "storage": version["storage"],
			"schema": manifest.Object{"openAPIV3Schema": manifest.Object{
				"type": "object", "x-kubernetes-preserve-unknown-fields": true,
			}},
		}
		if subresources, ok := version["subresources"]; ok {
			short["subresources"] = subresources
		}
		versions = append(versions, short)
	}
	return manifest.Object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": manifest.Object{"name": k.name},
		"spec": manifest.Object{
			"group": spec["group"], "names": spec["names"], "scope": spec["scope"], "versions": versions,
		},
	}
}
