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

// PlatformNamespaces are where the platform's layers may put objects, beside the
// namespaces of tenants.
var PlatformNamespaces = []string{"knative-serving", "kourier-system", "kserve", "kyverno", "neuroscale-probe"}

// PlatformClusterKinds are the kinds outside namespaces that layers are made of.
var PlatformClusterKinds = []schema.GroupKind{
	{Kind: "Namespace"},
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"},
	{Group: "policies.kyverno.io", Kind: "ValidatingPolicy"},
	{Group: "serving.kserve.io", Kind: "ClusterServingRuntime"},
	{Group: "serving.kserve.io", Kind: "ClusterStorageContainer"},
}

// TenantKinds are what people may merge: all in a namespace, none that gives
// rights, reaches beyond it or changes what bounds it.
var TenantKinds = []schema.GroupKind{
	{Kind: "ConfigMap"},
	{Kind: "Service"},
	{Group: "apps", Kind: "Deployment"},
	{Group: "serving.kserve.io", Kind: "InferenceService"},
}

func platformProject(args *Args) argoproj.Project {
	namespaces := slices.Concat(PlatformNamespaces, args.TenantNamespaces)
	if !slices.Contains(namespaces, adopted) {
		namespaces = append(namespaces, adopted)
	}
	return argoproj.Project{
		Name: PlatformProject, Namespace: Namespace, Description: "Layers of the platform, written by its program only",
		Repositories: []string{args.Platform.URL}, Destinations: namespaces,
		ClusterKinds: PlatformClusterKinds, Kinds: []schema.GroupKind{{Group: "*", Kind: "*"}},
	}
}
