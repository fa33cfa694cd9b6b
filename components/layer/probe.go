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

// Expect is what the API has to do with a canary.
type Expect string

// The two answers.
const (
	Admit Expect = "admit"
	Deny  Expect = "deny"
)

// Canary is an object that is offered to the API server, dry.
type Canary struct {
	Object map[string]any
	// Resource is the plural of its kind in the API, such as services.
	Resource string
	Expect   Expect
	// By is the admission webhook, or the ValidatingAdmissionPolicy with a binding
	// of the same name, that has to deny it; a refusal by anybody else does not
	// count.
	By string
}

func (c Canary) validate() error {
	var errs []error
	metadata, _ := c.Object["metadata"].(map[string]any)
	for _, field := range []struct {
		name  string
		value any
	}{
		{"apiVersion", c.Object["apiVersion"]},
		{"kind", c.Object["kind"]},
		{"metadata.name", metadata["name"]},
		{"metadata.namespace", metadata["namespace"]},
	} {
		if text, _ := field.value.(string); text == "" {
			errs = append(errs, fmt.Errorf("Object has no %s", field.name))
		}
	}
	if c.Resource == "" {
		errs = append(errs, errors.New("Resource is empty"))
	}
	switch {
	case c.Expect != Admit && c.Expect != Deny:
		errs = append(errs, fmt.Errorf("Expect is %q: %s or %s", c.Expect, Admit, Deny))
	case c.Expect == Deny && c.By == "":
		errs = append(errs, errors.New("By is empty, a denial needs the name of its webhook or policy"))
	}
	return errors.Join(errs...)
}

func (c Canary) namespace() string {
	return c.Object["metadata"].(map[string]any)["namespace"].(string)
}

func (c Canary) group() string {
	group, _, named := strings.Cut(c.Object["apiVersion"].(string), "/")
	if !named {
		return ""
	}
	return group
}

// addProbe registers the probe Job with an account that may create the canaries'
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
	for _, c := range args.Probe {
		kind := [3]string{c.namespace(), c.group(), c.Resource}
		if seen[kind] {
			continue
		}
		seen[kind] = true
		byNamespace[c.namespace()] = append(byNamespace[c.namespace()], manifest.Object{
			"apiGroups": []any{c.group()}, "resources": []any{c.Resource}, "verbs": []any{"create"},
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

	canaries := encodeCanaries(args.Probe)
	configMap := "canaries-" + l.Name + "-" + manifest.Hash(canaries)
	needs = append(needs, set.Add(logical, manifest.ConfigMap(Namespace, configMap,
		map[string]string{"canaries.json": canaries}), inNamespace, goes))
	needs = append(needs, d.probeReady...)

	return set.Add(logical, manifest.Job(manifest.JobSpec{
		Namespace: Namespace, Name: "probe-" + l.Name + "-" + l.Hash, Labels: l.labels(),
		UID: probeUID, ServiceAccount: account,
		Container: manifest.Object{
			"name": "probe", "image": d.args.ProbeImage,
			"command": []any{"python3", "/etc/probe/scripts/probe.py"},
			"env": []any{
				manifest.Object{"name": "CANARIES", "value": "/etc/probe/canaries/canaries.json"},
				manifest.Object{"name": "ACCOUNT", "value": "/var/run/secrets/kubernetes.io/serviceaccount"},
				manifest.Object{"name": "SECONDS", "value": "240"},
				manifest.Object{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
			},
			"volumeMounts": []any{
				manifest.Mount("canaries", "/etc/probe/canaries", true),
				manifest.Mount("scripts", "/etc/probe/scripts", true),
			},
			"resources": manifest.SmallResources(),
		},
		Volumes: []any{
			manifest.ConfigMapVolume("canaries", configMap),
			manifest.ConfigMapVolume("scripts", probeScripts()),
		},
	}), goes, manifest.JobTimeout(), pulumi.DependsOn(append(needs, application)))
}

func encodeCanaries(canaries []Canary) string {
	list := []any{}
	for _, c := range canaries {
		list = append(list, map[string]any{
			"object": c.Object, "resource": c.Resource, "expect": c.Expect, "by": c.By,
		})
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		panic(err) // Object is decoded JSON or a literal of it
	}
	return string(text)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func anyMap(m map[string]string) map[string]any {
	out := map[string]any{}
	for key, value := range m {
		out[key] = value
	}
	return out
}
