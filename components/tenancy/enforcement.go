package tenancy

import (
	_ "embed"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

//go:embed enforcement.py
var enforcementScript string

const (
	enforcement    = "network-policy-probe"
	enforcementUID = 1000
)

// EnforcementPods selects, in the namespace layer.Namespace, the pod that found out
// whether the cluster enforces NetworkPolicies: it says Enforced or NotEnforced
// when it ends.
const EnforcementPods = "neuroscale.dev/probe=" + enforcement

// Verdicts of EnforcementPods.
const (
	Enforced    = "enforced"
	NotEnforced = "not enforced"
)

// addEnforcement registers a Job that tries what a NetworkPolicy forbids it. If it
// succeeds, that is an error of the Job only where args want it to be.
func addEnforcement(set *manifest.Set, args *Args) pulumi.Resource {
	labels := map[string]string{"app.kubernetes.io/part-of": "neuroscale", "neuroscale.dev/probe": enforcement}
	goes := pulumi.DeletedWith(args.Delivery.Namespace)
	inNamespace := pulumi.DependsOn([]pulumi.Resource{args.Delivery.Namespace})
	required := strconv.FormatBool(args.RequireNetworkPolicy)
	script := enforcement + "-" + manifest.Hash(enforcementScript)

	policy := set.Add(enforcement, manifest.Object{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": manifest.Object{"name": enforcement, "namespace": layer.Namespace},
		"spec": manifest.Object{
			"podSelector": manifest.Object{"matchLabels": manifest.Object{"neuroscale.dev/probe": enforcement}},
			"policyTypes": []any{"Egress"},
			"egress":      []any{dnsEgress()},
		},
	}, inNamespace, goes)
	scripts := set.Add(enforcement, manifest.ConfigMap(layer.Namespace, script,
		map[string]string{"enforcement.py": enforcementScript}), inNamespace, goes)
	return set.Add(enforcement, manifest.Job(manifest.JobSpec{
		Namespace: layer.Namespace, Name: enforcement + "-" + manifest.Hash(enforcementScript, args.ProbeImage, required),
		Labels: labels, UID: enforcementUID,
		Container: manifest.Object{
			"name": "probe", "image": args.ProbeImage,
			"command": []any{"python3", "/etc/probe/enforcement.py"},
			"env": []any{
				manifest.Object{"name": "NAME", "value": "kubernetes.default.svc"},
				manifest.Object{"name": "VERDICT", "value": "/dev/termination-log"},
				manifest.Object{"name": "SECONDS", "value": "20"},
				manifest.Object{"name": "REQUIRED", "value": required},
				manifest.Object{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
			},
			"volumeMounts": []any{manifest.Mount("script", "/etc/probe", true)},
			"resources":    manifest.SmallResources(),
		},
		Volumes: []any{manifest.ConfigMapVolume("script", script)},
	}), goes, manifest.JobTimeout(), pulumi.DependsOn([]pulumi.Resource{policy, scripts}))
}
