package layer

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// addDefinitions registers the layer's CustomResourceDefinitions, because Argo CD
// never deletes one together with its Application and a destroyed platform would
// leave them all behind. What is registered is an outline that accepts anything;
// Argo CD puts the whole definition in its place, and later changes are Argo CD's
// alone. The Application is deleted first, so controllers see their objects go.
func addDefinitions(set *manifest.Set, l *Layer, objects []map[string]any) []pulumi.Resource {
	var definitions []pulumi.Resource
	for _, object := range objects {
		if object["kind"] != "CustomResourceDefinition" {
			continue
		}
		name := object["metadata"].(map[string]any)["name"].(string)
		definitions = append(definitions, set.Add(l.Name+"-"+name, outline(name, object["spec"].(map[string]any)),
			pulumi.IgnoreChanges([]string{"spec"})))
	}
	return definitions
}

// outline is the smallest definition with the names and versions of spec.
func outline(name string, spec map[string]any) manifest.Object {
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
		"metadata": manifest.Object{"name": name},
		"spec": manifest.Object{
			"group": spec["group"], "names": spec["names"], "scope": spec["scope"], "versions": versions,
		},
	}
}
