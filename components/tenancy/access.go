package tenancy

import (
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/follower"
)

// access is the name of a tenant's Role and of its binding.
const access = "neuroscale-tenant"

// Group is what the people of a tenant are members of, however the cluster's
// administrator signs them in.
func Group(namespace string) string { return "neuroscale:tenant:" + namespace }

// rule is one rule of a Role.
type rule struct{ groups, resources, verbs, names []string }

var look = []string{"get", "list", "watch"}

// rules let people see all that becomes of what they merged, and get into a pod
// that does not work: never change what Git says, nor see a Secret.
//
// A debugging container is a change, but of a pod only, gone with it, and the
// guardrails judge its image and its user like any other's (Git never lists pods,
// so nothing is healed either). To run a command in a container that Git describes
// (pods/exec) is left out: nobody judges it and nothing shows it afterwards.
var rules = []rule{
	{groups: []string{""}, resources: []string{
		"configmaps", "endpoints", "events", "limitranges", "pods", "pods/log", "pods/status", "resourcequotas", "services",
	}, verbs: look},
	{groups: []string{"events.k8s.io"}, resources: []string{"events"}, verbs: look},
	{groups: []string{"discovery.k8s.io"}, resources: []string{"endpointslices"}, verbs: look},
	{groups: []string{"apps"}, resources: []string{"daemonsets", "deployments", "replicasets", "statefulsets"}, verbs: look},
	{groups: []string{"batch"}, resources: []string{"cronjobs", "jobs"}, verbs: look},
	{groups: []string{"serving.kserve.io"}, resources: []string{"inferenceservices"}, verbs: look},
	{groups: []string{"serving.knative.dev"}, resources: []string{"configurations", "revisions", "routes", "services"}, verbs: look},
	{groups: []string{"autoscaling.internal.knative.dev"}, resources: []string{"podautoscalers"}, verbs: look},
	{groups: []string{"wgpolicyk8s.io"}, resources: []string{"policyreports"}, verbs: look},
	{groups: []string{"openreports.io"}, resources: []string{"reports"}, verbs: look},
	{groups: []string{""}, resources: []string{"pods/ephemeralcontainers"}, verbs: []string{"patch"}},
	{groups: []string{""}, resources: []string{"pods/attach", "pods/portforward"}, verbs: []string{"create", "get"}},
}

// serviceAccount is the one Kubernetes gives every namespace, and every pod of a
// tenant's runs as. Nothing of theirs asks the API server, so none gets its token. By
// the Secrets in it KServe knows what a model is fetched with.
func serviceAccount(t config.Tenant) map[string]any {
	metadata := map[string]any{"name": "default", "namespace": t.Namespace}
	account := map[string]any{
		"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": false,
	}
	if len(t.ModelAccess.Annotations) > 0 {
		metadata["annotations"] = t.ModelAccess.Annotations
	}
	if len(t.ModelAccess.Secrets) > 0 {
		secrets := []any{}
		for _, name := range t.ModelAccess.Secrets {
			secrets = append(secrets, map[string]any{"name": name})
		}
		account["secrets"] = secrets
	}
	return account
}

func role(t config.Tenant) map[string]any {
	list := []any{}
	// Their own namespace, whose labels say who pays.
	own := rule{groups: []string{""}, resources: []string{"namespaces"}, verbs: []string{"get"}, names: []string{t.Namespace}}
	for _, r := range append([]rule{own}, rules...) {
		entry := map[string]any{"apiGroups": anyList(r.groups), "resources": anyList(r.resources), "verbs": anyList(r.verbs)}
		if len(r.names) > 0 {
			entry["resourceNames"] = anyList(r.names)
		}
		list = append(list, entry)
	}
	return map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
		"metadata": map[string]any{"name": access, "namespace": t.Namespace},
		"rules":    list,
	}
}

func roleBinding(t config.Tenant) map[string]any {
	return map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
		"metadata": map[string]any{"name": access, "namespace": t.Namespace},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": access},
		"subjects": []any{map[string]any{
			"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": Group(t.Namespace),
		}},
	}
}

// doorkeeper is the name of a Role in a tenant's namespace, and of its binding.
const doorkeeper = "neuroscale-doorkeeper"

// doorkeeperRole lets what judges keys see the addresses of a tenant's pods, which
// may ask the tenant's own endpoints without one.
func doorkeeperRole(t config.Tenant) map[string]any {
	return map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
		"metadata": map[string]any{"name": doorkeeper, "namespace": t.Namespace},
		"rules":    []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"list", "watch"}}},
	}
}

func doorkeeperBinding(t config.Tenant) map[string]any {
	return bindAccount(t, doorkeeper, serving.DoorkeeperAccount, serving.DoorkeeperNamespace)
}

// followerRoleName is the name of a Role in a tenant's namespace, and of its binding.
const followerRoleName = "neuroscale-follower"

// followerRole lets what tells people what became of a merge read that: endpoints,
// and of their pods and of warnings why they do not answer.
func followerRole(t config.Tenant) map[string]any {
	return map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
		"metadata": map[string]any{"name": followerRoleName, "namespace": t.Namespace},
		"rules": []any{
			map[string]any{"apiGroups": []any{""}, "resources": []any{"pods", "events"}, "verbs": []any{"list"}},
			map[string]any{"apiGroups": []any{"serving.kserve.io"}, "resources": []any{"inferenceservices"}, "verbs": []any{"list"}},
		},
	}
}

func followerBinding(t config.Tenant) map[string]any {
	return bindAccount(t, followerRoleName, follower.ServiceAccount, follower.Namespace)
}

// portalReader is the name of a Role in a tenant's namespace, and of its binding.
const portalReader = "neuroscale-portal"

// portalRole lets the portal show a tenant's endpoints, and how many replicas run of
// one.
func portalRole(t config.Tenant) map[string]any {
	return map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
		"metadata": map[string]any{"name": portalReader, "namespace": t.Namespace},
		"rules": []any{
			map[string]any{"apiGroups": []any{"serving.kserve.io"}, "resources": []any{"inferenceservices"}, "verbs": anyList(look)},
			map[string]any{"apiGroups": []any{"serving.knative.dev"}, "resources": []any{"revisions"}, "verbs": []any{"get"}},
		},
	}
}

func portalBinding(t config.Tenant) map[string]any {
	return bindAccount(t, portalReader, portal.Account, portal.Namespace)
}

// bindAccount gives a Role of the tenant's namespace, under its name, to an account of the
// platform's.
func bindAccount(t config.Tenant, role, account, namespace string) map[string]any {
	return map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
		"metadata": map[string]any{"name": role, "namespace": t.Namespace},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": account, "namespace": namespace}},
	}
}

func anyList(list []string) []any {
	out := make([]any, 0, len(list))
	for _, each := range list {
		out = append(out, each)
	}
	return out
}
