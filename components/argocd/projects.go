package argocd

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
)

// PlatformProject is the project of the platform's layers.
const PlatformProject = "platform"

// adopted is the namespace of a tenant that the platform does not delete with the
// tenant: without it, what a layer put there could not be pruned any more.
const adopted = "default"

// TenantKinds are what people may merge: all in a namespace, none that gives
// rights, reaches beyond it or changes what bounds it.
var TenantKinds = []schema.GroupKind{
	{Kind: "ConfigMap"},
	{Kind: "Service"},
	{Group: "apps", Kind: "Deployment"},
	{Group: "serving.kserve.io", Kind: "InferenceService"},
}

// platformProject lets layers do what they are defined to do. A tenant's namespace
// that the platform only adopts stays among them when the tenant goes.
func platformProject(args *Args) argoproj.Project {
	layers := args.Layers.FromGit()
	namespaces := slices.Concat(layers.Namespaces(), layers.Shared(), []string{adopted})
	slices.Sort(namespaces)
	return argoproj.Project{
		Name: PlatformProject, Namespace: Namespace, Description: "Layers of the platform, written by its program only",
		Repositories: []string{args.Platform.URL}, Destinations: slices.Compact(namespaces),
		ClusterKinds: layers.ClusterKinds(), Kinds: []schema.GroupKind{{Group: "*", Kind: "*"}},
	}
}
