package layer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

// Expect is what the API has to do with a probe.
type Expect string

// The two answers.
const (
	Admit Expect = "admit"
	Deny  Expect = "deny"
)

// Probe is an object that is offered to the API server, dry.
type Probe struct {
	Object map[string]any
	// Resource is the plural of its kind in the API, such as services.
	Resource string
	Expect   Expect
	// By is the admission webhook, or the ValidatingAdmissionPolicy with a binding
	// of the same name, that has to deny it; a refusal by anybody else does not
	// count.
	By string
}

func (p Probe) validate() error {
	var errs []error
	metadata, _ := p.Object["metadata"].(map[string]any)
	for _, field := range []struct {
		name  string
		value any
	}{
		{"apiVersion", p.Object["apiVersion"]},
		{"kind", p.Object["kind"]},
		{"metadata.name", metadata["name"]},
		{"metadata.namespace", metadata["namespace"]},
	} {
		if text, _ := field.value.(string); text == "" {
			errs = append(errs, fmt.Errorf("Object has no %s", field.name))
		}
	}
	if p.Resource == "" {
		errs = append(errs, errors.New("Resource is empty"))
	}
	switch {
	case p.Expect != Admit && p.Expect != Deny:
		errs = append(errs, fmt.Errorf("Expect is %q: %s or %s", p.Expect, Admit, Deny))
	case p.Expect == Deny && p.By == "":
		errs = append(errs, errors.New("By is empty, a denial needs the name of its webhook or policy"))
	}
	return errors.Join(errs...)
}

func (p Probe) namespace() string {
	return p.Object["metadata"].(map[string]any)["namespace"].(string)
}

func (p Probe) group() string {
	group, _, named := strings.Cut(p.Object["apiVersion"].(string), "/")
	if !named {
		return ""
	}
	return group
}

// addProbe registers the probe Job with an account that may create the probes'
// kinds in their namespaces, which args.DependsOn have to have made, and nothing
// else.
func addProbe(set *manifest.Set, l *Layer, args *Args, application pulumi.Resource) pulumi.Resource {
	d := args.Delivery
	account := "probe-" + l.Name
	logical := l.Name + "-probe"
	inNamespace := pulumi.DependsOn([]pulumi.Resource{d.Namespace})
	goes := pulumi.DeletedWith(d.Namespace)

	needs := []pulumi.Resource{set.Add(logical, manifest.Object{
		"apiVersion": "v1", "kind": "ServiceAccount",
		"metadata": manifest.Object{"name": account, "namespace": Namespace},
	}, inNamespace, goes)}

	byNamespace := map[string][]any{}
	seen := map[[3]string]bool{}
	for _, p := range args.Probe {
		kind := [3]string{p.namespace(), p.group(), p.Resource}
		if seen[kind] {
			continue
		}
		seen[kind] = true
		byNamespace[p.namespace()] = append(byNamespace[p.namespace()], manifest.Object{
			"apiGroups": []any{p.group()}, "resources": []any{p.Resource}, "verbs": []any{"create"},
		})
	}
	for _, ns := range sortedKeys(byNamespace) {
		metadata := manifest.Object{"name": account, "namespace": ns}
		role := set.Add(logical+"-"+ns, manifest.Object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
			"metadata": metadata, "rules": byNamespace[ns],
		}, inNamespace, pulumi.DependsOn(args.DependsOn))
		needs = append(needs, set.Add(logical+"-"+ns, manifest.Object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
			"metadata": metadata,
			"roleRef":  manifest.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
			"subjects": []any{manifest.Object{"kind": "ServiceAccount", "name": account, "namespace": Namespace}},
		}, pulumi.DependsOn([]pulumi.Resource{role})))
	}

	probes := encodeProbes(args.Probe)
	configMap := "probes-" + l.Name + "-" + manifest.Hash(probes)
	needs = append(needs, set.Add(logical, manifest.ConfigMap(Namespace, configMap,
		map[string]string{"probes.json": probes}), inNamespace, goes))
	needs = append(needs, d.pythonReady...)

	return set.Add(logical, l.pythonJob(d, pythonSpec{
		name: "probe-" + l.Name + "-" + l.Hash, script: "probe.py", account: account, files: configMap,
		env: map[string]string{"PROBES": files + "probes.json", "SECONDS": "240"},
	}), goes, manifest.JobTimeout(), pulumi.DependsOn(append(needs, application)))
}

func encodeProbes(probes []Probe) string {
	list := []any{}
	for _, p := range probes {
		list = append(list, map[string]any{
			"object": p.Object, "resource": p.Resource, "expect": p.Expect, "by": p.By,
		})
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		panic(err) // Object is decoded JSON or a literal of it
	}
	return string(text)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
