package kubernetes

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// unsupported are the tokens that are not one Kubernetes object each.
var unsupported = map[string]string{
	"helm.sh/v3:Release": "Helm releases",
	"helm.sh/v4:Chart":   "Helm charts",
}

// kindOf reads group, version and kind out of a resource's type token, e.g.
// kubernetes:apps/v1:Deployment or kubernetes:core/v1:Secret.
func kindOf(urn resource.URN) (schema.GroupVersionKind, error) {
	token := string(urn.Type())
	parts := strings.SplitN(token, ":", 3)
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return schema.GroupVersionKind{}, fmt.Errorf("type %q is not of the form kubernetes:<group/version>:<Kind>", token)
	}
	if what, ok := unsupported[parts[1]+":"+parts[2]]; ok {
		return schema.GroupVersionKind{}, fmt.Errorf("the stand-in for the Kubernetes provider does not support %s (%s): use the real plugin or the objects themselves", what, token)
	}
	gv, err := schema.ParseGroupVersion(strings.TrimPrefix(parts[1], "core/"))
	if err != nil || gv.Version == "" {
		return schema.GroupVersionKind{}, fmt.Errorf("type %q names no API version", token)
	}
	return gv.WithKind(parts[2]), nil
}

// clusterScoped lists the kinds of Kubernetes itself that have no namespace, so
// that their scope is known without asking a cluster.
var clusterScoped = map[string]bool{
	"Namespace": true, "Node": true, "PersistentVolume": true, "ComponentStatus": true,
	"ClusterRole": true, "ClusterRoleBinding": true,
	"CustomResourceDefinition": true, "APIService": true,
	"MutatingWebhookConfiguration": true, "ValidatingWebhookConfiguration": true,
	"MutatingAdmissionPolicy": true, "MutatingAdmissionPolicyBinding": true,
	"ValidatingAdmissionPolicy": true, "ValidatingAdmissionPolicyBinding": true,
	"StorageClass": true, "CSIDriver": true, "CSINode": true, "VolumeAttachment": true, "VolumeAttributesClass": true,
	"PriorityClass": true, "RuntimeClass": true, "IngressClass": true, "DeviceClass": true, "ResourceSlice": true,
	"CertificateSigningRequest": true, "ClusterTrustBundle": true,
	"FlowSchema": true, "PriorityLevelConfiguration": true, "ServiceCIDR": true, "IPAddress": true,
	"TokenReview": true, "SubjectAccessReview": true, "SelfSubjectAccessReview": true,
	"SelfSubjectRulesReview": true, "SelfSubjectReview": true, "StorageVersion": true,
}

// builtinScope tells whether a kind of Kubernetes itself is namespaced; known is
// false for the kinds of others, whose scope only the cluster knows.
func builtinScope(gvk schema.GroupVersionKind) (namespaced, known bool) {
	switch {
	case gvk.Group == "snapshot.storage.k8s.io", gvk.Group == "gateway.networking.k8s.io", gvk.Group == "metrics.k8s.io",
		gvk.Group == "policy.networking.k8s.io":
		return false, false // delivered as CRDs or by an aggregated API
	case !strings.Contains(gvk.Group, "."), strings.HasSuffix(gvk.Group, ".k8s.io") && !strings.Contains(gvk.Group, ".x-k8s.io"):
		return !clusterScoped[gvk.Kind], true
	}
	return false, false
}

// objectID is the identity the state keeps: namespace/name, or name.
func objectID(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

func splitID(id string) (namespace, name string) {
	if ns, name, ok := strings.Cut(id, "/"); ok {
		return ns, name
	}
	return "", id
}
