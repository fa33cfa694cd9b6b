package argoproj

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// Project is what its Applications may take from where to where.
type Project struct {
	Name, Namespace, Description string
	// Repositories are URLs.
	Repositories []string
	// Destinations are namespaces.
	Destinations []string
	// ClusterKinds are kinds outside namespaces, Kinds those within.
	ClusterKinds, Kinds []schema.GroupKind
}

// Object is the AppProject.
func (p Project) Object() manifest.Object {
	destinations := []any{}
	for _, namespace := range p.Destinations {
		destinations = append(destinations, destination(namespace))
	}
	return manifest.Object{
		"apiVersion": apiVersion, "kind": "AppProject",
		"metadata": manifest.Object{"name": p.Name, "namespace": p.Namespace},
		"spec": manifest.Object{
			"description":                p.Description,
			"sourceRepos":                texts(p.Repositories),
			"destinations":               destinations,
			"clusterResourceWhitelist":   kinds(p.ClusterKinds),
			"namespaceResourceWhitelist": kinds(p.Kinds),
		},
	}
}

func kinds(list []schema.GroupKind) []any {
	out := []any{}
	for _, k := range list {
		out = append(out, manifest.Object{"group": k.Group, "kind": k.Kind})
	}
	return out
}
