package argocd

import (
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// Names of the projects.
const (
	PlatformProject = "platform"
	TenantsProject  = "tenants"
)

// PlatformNamespaces are where the platform's layers may put objects.
var PlatformNamespaces = []string{"knative-serving", "kourier-system", "kserve"}

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
	{"serving.kserve.io", "ClusterServingRuntime"},
	{"serving.kserve.io", "ClusterStorageContainer"},
}

// TenantKinds are what people may merge: all in a namespace, none that gives
// rights or reaches beyond it.
var TenantKinds = []Kind{
	{"", "ConfigMap"},
	{"", "Service"},
	{"apps", "Deployment"},
	{"serving.kserve.io", "InferenceService"},
}

func platformProject(args *Args) (string, manifest.Object) {
	return project(PlatformProject, "Layers of the platform, written by its program only",
		args.Platform.URL, PlatformNamespaces, PlatformClusterKinds, []Kind{{"*", "*"}})
}

func tenantsProject(args *Args) (string, manifest.Object) {
	return project(TenantsProject, "Model endpoints, merged by people",
		args.Endpoints.URL, args.TenantNamespaces, nil, TenantKinds)
}

func project(name, description, repository string, namespaces []string, cluster, namespaced []Kind) (string, manifest.Object) {
	destinations := []any{}
	for _, ns := range namespaces {
		destinations = append(destinations, manifest.Object{"server": layer.LocalCluster, "namespace": ns})
	}
	return name, manifest.Object{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
		"metadata": manifest.Object{"name": name, "namespace": Namespace},
		"spec": manifest.Object{
			"description":                description,
			"sourceRepos":                []any{repository},
			"destinations":               destinations,
			"clusterResourceWhitelist":   kinds(cluster),
			"namespaceResourceWhitelist": kinds(namespaced),
		},
	}
}

func kinds(list []Kind) []any {
	out := []any{}
	for _, k := range list {
		out = append(out, manifest.Object{"group": k.Group, "kind": k.Kind})
	}
	return out
}
