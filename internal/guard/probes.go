package guard

import (
	"fmt"
	"maps"
	"slices"
)

// ProbeNamespace is a tenant's in which nothing ever runs.
const ProbeNamespace = "neuroscale-probe"

// probe is a built-in document of which the verdicts are known.
type probe struct {
	*document
	// refusedBy is the one policy that has to refuse it; "" for a good one.
	refusedBy string
}

// plain shortens literals.
type plain = map[string]any

// builtIn are the probes: a good document of each shape, and for every policy a
// bad one that breaks nothing else.
func builtIn() []probe {
	bad := map[string]plain{
		"require-standard-labels-inferenceservice": inferenceServiceWith(func(o plain) { delete(labelsOf(o), "cost-center") }),
		"require-standard-labels-deployment":       deploymentWith(func(o plain) { labelsOf(o)["owner"] = "" }),
		"require-resource-requests-limits": inferenceServiceWith(func(o plain) {
			delete(modelOf(o)["resources"].(plain)["limits"].(plain), "memory")
		}),
		"disallow-latest-image-tag": deploymentWith(func(o plain) { containerOf(o)["image"] = "registry.example/probe:latest" }),
		"disallow-root-containers": inferenceServiceWith(func(o plain) {
			modelOf(o)["securityContext"].(plain)["runAsNonRoot"] = false
		}),
		"disallow-cluster-privileges": deploymentWith(func(o plain) {
			o["spec"].(plain)["template"].(plain)["spec"].(plain)["priorityClassName"] = "system-node-critical"
		}),
		"require-cluster-ip-services": serviceWith(func(o plain) { o["spec"].(plain)["type"] = "NodePort" }),
	}
	all := []probe{
		newProbe("", "good-deployment", deploymentWith(func(plain) {})),
		newProbe("", "good-inferenceservice", inferenceServiceWith(func(plain) {})),
		newProbe("", "good-service", serviceWith(func(plain) {})),
	}
	for _, policy := range slices.Sorted(maps.Keys(bad)) {
		all = append(all, newProbe(policy, "bad-"+policy, bad[policy]))
	}
	return all
}

func newProbe(refusedBy, name string, object plain) probe {
	object["metadata"].(plain)["name"] = name
	d := &document{object: object}
	if problems := d.identify(); len(problems) > 0 {
		panic(fmt.Sprintf("probe %s: %s", name, problems))
	}
	return probe{d, refusedBy}
}

func metadata() plain {
	return plain{"namespace": ProbeNamespace, "labels": plain{"owner": "guard", "cost-center": "guard"}}
}

func workable(more plain) plain {
	c := plain{
		"resources": plain{
			"requests": plain{"cpu": "10m", "memory": "32Mi"},
			"limits":   plain{"cpu": "100m", "memory": "64Mi"},
		},
		"securityContext": plain{"runAsNonRoot": true, "runAsUser": int64(1000), "allowPrivilegeEscalation": false},
	}
	maps.Copy(c, more)
	return c
}

func deploymentWith(change func(plain)) plain {
	template := metadata()
	delete(template, "namespace")
	template["labels"].(plain)["app"] = "probe"
	o := plain{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(),
		"spec": plain{
			"selector": plain{"matchLabels": plain{"app": "probe"}},
			"template": plain{
				"metadata": template,
				"spec": plain{"containers": []any{
					workable(plain{"name": "probe", "image": "registry.example/probe:1.0.0"}),
				}},
			},
		},
	}
	change(o)
	return o
}

func inferenceServiceWith(change func(plain)) plain {
	o := plain{
		"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata(),
		"spec": plain{"predictor": plain{"model": workable(plain{
			"modelFormat": plain{"name": "sklearn"}, "storageUri": "gs://registry.example/probe",
		})}},
	}
	change(o)
	return o
}

func serviceWith(change func(plain)) plain {
	o := plain{
		"apiVersion": "v1", "kind": "Service", "metadata": metadata(),
		"spec": plain{"selector": plain{"app": "probe"}, "ports": []any{plain{"port": int64(80)}}},
	}
	change(o)
	return o
}

func labelsOf(o plain) plain { return o["metadata"].(plain)["labels"].(plain) }

func modelOf(o plain) plain { return o["spec"].(plain)["predictor"].(plain)["model"].(plain) }

func containerOf(o plain) plain {
	return o["spec"].(plain)["template"].(plain)["spec"].(plain)["containers"].([]any)[0].(plain)
}
