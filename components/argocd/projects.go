package argocd

import (
	"slices"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// PlatformProject is the project of the platform's layers.
const PlatformProject = "platform"

// adopted is the namespace of a tenant that the platform does not delete with the
// tenant: without it, what a layer put there could not be pruned any more.
const adopted = "default"

// PlatformNamespaces are where the platform's layers may put objects, beside the
// namespaces of tenants.
var PlatformNamespaces = []string{"knative-serving", "kourier-system", "kserve", "kyverno", "neuroscale-probe"}

// Kind is a group and kind; the core group is "".
type Kind struct{ Group, Kind string }

// PlatformClusterKinds are the kinds outside namespaces that layers are made of.
var PlatformClusterKinds = []Kind{
	{"", "Namespace"},
	{"apiextensions.k8s.io", "CustomResourceDefinition"},
	{"rbac.authorization.k8s.io", "ClusterRole"},
	{"rbac.authorization.k8s.io", "ClusterRoleBinding"},
	{"admissionregistration.k8s.io", "MutatingWebhookConfiguration"},
	{"admissionregistration.k8s.io", "ValidatingWebhookConfiguration"},
	{"admissionregistration.k8s.io", "ValidatingAdmissionPolicy"},
	{"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"},
	{"policies.kyverno.io", "ValidatingPolicy"},
	{"serving.kserve.io", "ClusterServingRuntime"},
	{"serving.kserve.io", "ClusterStorageContainer"},
}

// TenantKinds are what people may merge: all in a namespace, none that gives
// rights, reaches beyond it or changes what bounds it.
var TenantKinds = []Kind{
	{"", "ConfigMap"},
	{"", "Service"},
	{"apps", "Deployment"},
	{"serving.kserve.io", "InferenceService"},
}

// Project is an AppProject: what its Applications may take from where to where.
type Project struct {
	Name, Description string
	// Repositories are URLs.
	Repositories, Namespaces []string
	// ClusterKinds are kinds outside namespaces, Kinds those within.
	ClusterKinds, Kinds []Kind
}

// Object is the AppProject.
func (p Project) Object() manifest.Object {
	destinations, repositories := []any{}, []any{}
	for _, ns := range p.Namespaces {
		destinations = append(destinations, manifest.Object{"server": layer.LocalCluster, "namespace": ns})
	}
	for _, repository := range p.Repositories {
		repositories = append(repositories, repository)
	}
	return manifest.Object{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
		"metadata": manifest.Object{"name": p.Name, "namespace": Namespace},
		"spec": manifest.Object{
			"description":                p.Description,
			"sourceRepos":                repositories,
			"destinations":               destinations,
			"clusterResourceWhitelist":   kinds(p.ClusterKinds),
			"namespaceResourceWhitelist": kinds(p.Kinds),
		},
	}
}

func platformProject(args *Args) Project {
	namespaces := slices.Concat(PlatformNamespaces, args.TenantNamespaces)
	if !slices.Contains(namespaces, adopted) {
		namespaces = append(namespaces, adopted)
	}
	return Project{
		Name: PlatformProject, Description: "Layers of the platform, written by its program only",
		Repositories: []string{args.Platform.URL}, Namespaces: namespaces,
		ClusterKinds: PlatformClusterKinds, Kinds: []Kind{{"*", "*"}},
	}
}

func kinds(list []Kind) []any {
	out := []any{}
	for _, k := range list {
		out = append(out, manifest.Object{"group": k.Group, "kind": k.Kind})
	}
	return out
}
