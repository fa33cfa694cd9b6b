// Package samples are workloads of which it is known what every policy says: who
// enforces policies proves on them that they are enforced.
package samples

import (
	"maps"
	"slices"
)

// Namespace is a tenant's in which nothing ever runs: what is offered to the API
// server there is not stored.
const Namespace = "neuroscale-probe"

// Object is a Kubernetes object as written in YAML.
type Object = map[string]any

// Sample is one object.
type Sample struct {
	Object Object
	// Resource is the plural of its kind in the API.
	Resource string
	// RefusedBy is the one policy that has to refuse it; "" if none may.
	RefusedBy string
}

// Good are samples that all policies together admit, one of each kind they judge.
func Good() []Sample {
	return []Sample{
		named("good-deployment", deployment()),
		named("good-inferenceservice", inferenceService()),
		named("good-service", service()),
	}
}

// faults make of a good object one that a policy refuses, and no other does.
var faults = map[string]struct {
	good  func() Sample
	spoil func(Object)
}{
	"disallow-cluster-privileges": {deployment, func(o Object) {
		at(o, "spec", "template", "spec")["priorityClassName"] = "system-node-critical"
	}},
	"disallow-latest-image-tag":                {deployment, func(o Object) { container(o)["image"] = "registry.example/probe:latest" }},
	"disallow-root-containers":                 {inferenceService, func(o Object) { at(model(o), "securityContext")["runAsNonRoot"] = false }},
	"require-cluster-ip-services":              {service, func(o Object) { at(o, "spec")["type"] = "NodePort" }},
	"require-resource-requests-limits":         {inferenceService, func(o Object) { delete(at(model(o), "resources", "limits"), "memory") }},
	"require-standard-labels-deployment":       {deployment, func(o Object) { at(o, "metadata", "labels")["owner"] = "" }},
	"require-standard-labels-inferenceservice": {inferenceService, func(o Object) { delete(at(o, "metadata", "labels"), "cost-center") }},
}

// Bad is the sample that a policy has to refuse; false if there is none of it.
func Bad(policy string) (Sample, bool) {
	fault, ok := faults[policy]
	if !ok {
		return Sample{}, false
	}
	s := named("bad-"+policy, fault.good())
	fault.spoil(s.Object)
	s.RefusedBy = policy
	return s, true
}

// Policies are those of which there is a bad sample, sorted.
func Policies() []string { return slices.Sorted(maps.Keys(faults)) }

func named(name string, s Sample) Sample {
	at(s.Object, "metadata")["name"] = name
	return s
}

func deployment() Sample {
	template := metadata()
	delete(template, "namespace")
	at(template, "labels")["app"] = "probe"
	return Sample{Resource: "deployments", Object: Object{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(),
		"spec": Object{
			"selector": Object{"matchLabels": Object{"app": "probe"}},
			"template": Object{
				"metadata": template,
				"spec": Object{"containers": []any{
					workable(Object{"name": "probe", "image": "registry.example/probe:1.0.0"}),
				}},
			},
		},
	}}
}

func inferenceService() Sample {
	return Sample{Resource: "inferenceservices", Object: Object{
		"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata(),
		"spec": Object{"predictor": Object{"model": workable(Object{
			"modelFormat": Object{"name": "sklearn"}, "storageUri": "gs://registry.example/probe",
		})}},
	}}
}

func service() Sample {
	return Sample{Resource: "services", Object: Object{
		"apiVersion": "v1", "kind": "Service", "metadata": metadata(),
		"spec": Object{"selector": Object{"app": "probe"}, "ports": []any{Object{"port": int64(80)}}},
	}}
}

func metadata() Object {
	return Object{"namespace": Namespace, "labels": Object{"owner": "platform", "cost-center": "platform"}}
}

// workable adds to a container what the policies ask of one.
func workable(container Object) Object {
	container["resources"] = Object{
		"requests": Object{"cpu": "10m", "memory": "32Mi"},
		"limits":   Object{"cpu": "100m", "memory": "64Mi"},
	}
	container["securityContext"] = Object{"runAsNonRoot": true, "runAsUser": int64(1000), "allowPrivilegeEscalation": false}
	return container
}

func model(o Object) Object { return at(o, "spec", "predictor", "model") }

func container(o Object) Object {
	return at(o, "spec", "template", "spec")["containers"].([]any)[0].(Object)
}

func at(o Object, keys ...string) Object {
	for _, key := range keys {
		o = o[key].(Object)
	}
	return o
}
