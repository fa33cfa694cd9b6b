package reviews

import (
	"fmt"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/follower"
)

const (
	// accessName is of the Role in Argo CD's namespace and of its binding.
	accessName = "neuroscale-follower"
	// boundName is of the policy that bounds what the follower changes, and of its
	// binding.
	boundName = "neuroscale-follower-refreshes"
	rbac      = "rbac.authorization.k8s.io"
)

// bound lets the follower have ApplicationSets looked at: RBAC lets it change them, in
// which case what they make could be anything.
func bound() []manifest.Object {
	same := func(field string) manifest.Object {
		return manifest.Object{
			"expression": fmt.Sprintf("has(object.%[1]s) == has(oldObject.%[1]s) && (!has(object.%[1]s) || object.%[1]s == oldObject.%[1]s)", field),
			"message":    "the follower changes nothing of an ApplicationSet but that it is looked at",
		}
	}
	annotations := fmt.Sprintf(`has(object.metadata.annotations) && object.metadata.annotations.all(k, k == '%[1]s' || (has(oldObject.metadata.annotations) && k in oldObject.metadata.annotations && oldObject.metadata.annotations[k] == object.metadata.annotations[k])) `+
		`&& (!has(oldObject.metadata.annotations) || oldObject.metadata.annotations.all(k, k == '%[1]s' || k in object.metadata.annotations))`, follower.Refresh)
	const group = "admissionregistration.k8s.io/v1"
	return []manifest.Object{
		{
			"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "metadata": manifest.Object{"name": boundName},
			"spec": manifest.Object{
				"failurePolicy": "Fail",
				"matchConstraints": manifest.Object{"resourceRules": []any{manifest.Object{
					"apiGroups": []any{"argoproj.io"}, "apiVersions": []any{"*"}, "resources": []any{"applicationsets", "applicationsets/*"}, "operations": []any{"CREATE", "UPDATE", "DELETE"},
				}}},
				"matchConditions": []any{manifest.Object{
					"name": "the-follower", "expression": fmt.Sprintf("request.userInfo.username == 'system:serviceaccount:%s:%s'", follower.Namespace, follower.ServiceAccount),
				}},
				"validations": []any{
					manifest.Object{"expression": "request.operation == 'UPDATE' && (!has(request.subResource) || request.subResource == '')", "message": "the follower makes and deletes no ApplicationSet"},
					same("spec"), same("metadata.labels"), same("metadata.finalizers"), same("metadata.ownerReferences"),
					manifest.Object{"expression": annotations, "message": "the follower changes nothing of an ApplicationSet but that it is looked at"},
				},
			},
		},
		{
			"apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding", "metadata": manifest.Object{"name": boundName},
			"spec": manifest.Object{"policyName": boundName, "validationActions": []any{"Deny"}},
		},
	}
}

// access lets the follower read Applications, and have these ApplicationSets looked at.
func access(applicationSets []any) []manifest.Object {
	metadata := func() manifest.Object { return manifest.Object{"name": accessName, "namespace": argocd.Namespace} }
	return []manifest.Object{
		{
			"apiVersion": rbac + "/v1", "kind": "Role", "metadata": metadata(),
			"rules": []any{
				manifest.Object{"apiGroups": []any{"argoproj.io"}, "resources": []any{"applications"}, "verbs": []any{"get"}},
				manifest.Object{"apiGroups": []any{"argoproj.io"}, "resources": []any{"applicationsets"}, "resourceNames": applicationSets, "verbs": []any{"get", "patch"}},
			},
		},
		{
			"apiVersion": rbac + "/v1", "kind": "RoleBinding", "metadata": metadata(),
			"roleRef":  manifest.Object{"apiGroup": rbac, "kind": "Role", "name": accessName},
			"subjects": []any{manifest.Object{"kind": "ServiceAccount", "name": follower.ServiceAccount, "namespace": follower.Namespace}},
		},
	}
}
