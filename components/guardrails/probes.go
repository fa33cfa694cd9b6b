package guardrails

import (
	"errors"
	"fmt"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
)

type object = map[string]any

// faults make of a good object one that a policy has to refuse, and no other.
var faults = map[string]struct {
	good  func(name string) layer.Probe
	spoil func(o object)
}{
	"disallow-cluster-privileges": {deployment, func(o object) {
		at(o, "spec", "template", "spec")["priorityClassName"] = "system-node-critical"
	}},
	"disallow-latest-image-tag":                {deployment, func(o object) { container(o)["image"] = "probe.invalid/probe:latest" }},
	"disallow-root-containers":                 {deployment, func(o object) { delete(container(o), "securityContext") }},
	"require-cluster-ip-services":              {service, func(o object) { at(o, "spec")["type"] = "NodePort" }},
	"require-resource-requests-limits":         {deployment, func(o object) { delete(container(o), "resources") }},
	"require-standard-labels-deployment":       {deployment, func(o object) { delete(at(o, "metadata"), "labels") }},
	"require-standard-labels-inferenceservice": {inferenceService, func(o object) { delete(at(o, "metadata"), "labels") }},
}

// nativeProbes are good workloads, which all policies together have to admit,
// and for each policy one that it has to refuse.
func nativeProbes(policies []*policy.Policy) ([]layer.Probe, error) {
	probes := []layer.Probe{deployment("good"), inferenceService("good"), service("good")}
	var errs []error
	for _, p := range policies {
		fault, ok := faults[p.Name]
		if !ok {
			errs = append(errs, fmt.Errorf("guardrails: there is no probe for policy %s: add what it refuses to components/guardrails", p.Name))
			continue
		}
		bad := fault.good(p.Name)
		fault.spoil(bad.Object)
		bad.Expect, bad.By = layer.Deny, p.Name
		probes = append(probes, bad)
	}
	return probes, errors.Join(errs...)
}

// answers is a policy only Kyverno has. The API server's own refuse first what
// the others forbid, so that none of those shows whether Kyverno answers.
const answers = "kyverno-answers"

func kyvernoAnswers() object {
	return impatient(object{
		"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
		"metadata": object{"name": answers, "labels": object{"app.kubernetes.io/part-of": "neuroscale"}},
		"spec": object{
			"validationActions": []any{"Deny"},
			"failurePolicy":     "Ignore",
			"evaluation":        object{"background": object{"enabled": false}},
			"matchConstraints": object{
				"namespaceSelector": object{"matchLabels": object{"kubernetes.io/metadata.name": ProbeNamespace}},
				"resourceRules": []any{object{
					"apiGroups": []any{""}, "apiVersions": []any{"v1"},
					"operations": []any{"CREATE"}, "resources": []any{"configmaps"},
				}},
			},
			"matchConditions": []any{object{
				"name": "is-the-probe", "expression": "object.metadata.name == '" + answers + "'",
			}},
			"validations": []any{object{
				"expression": "false", "message": "Kyverno answers",
			}},
		},
	})
}

func kyvernoProbes() []layer.Probe {
	configMap := func(name string) object {
		return object{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": object{"name": name, "namespace": ProbeNamespace},
		}
	}
	return []layer.Probe{
		{Object: configMap("good"), Resource: "configmaps", Expect: layer.Admit},
		{
			Object: configMap(answers), Resource: "configmaps", Expect: layer.Deny,
			By: "vpol.validate.kyverno.svc-ignore-finegrained-" + answers,
		},
	}
}

func deployment(name string) layer.Probe {
	labels := func() object { return object{"app": "probe", "owner": "platform", "cost-center": "platform"} }
	return layer.Probe{Resource: "deployments", Expect: layer.Admit, Object: object{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": object{"name": name, "namespace": ProbeNamespace, "labels": labels()},
		"spec": object{
			"selector": object{"matchLabels": object{"app": "probe"}},
			"template": object{
				"metadata": object{"labels": labels()},
				"spec":     object{"containers": []any{checked(object{"name": "probe", "image": "probe.invalid/probe:0"})}},
			},
		},
	}}
}

func inferenceService(name string) layer.Probe {
	return layer.Probe{Resource: "inferenceservices", Expect: layer.Admit, Object: object{
		"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
		"metadata": object{
			"name": name, "namespace": ProbeNamespace,
			"labels": object{"owner": "platform", "cost-center": "platform"},
		},
		"spec": object{"predictor": object{"model": checked(object{
			"modelFormat": object{"name": "sklearn"}, "storageUri": "gs://probe/model",
		})}},
	}}
}

func service(name string) layer.Probe {
	return layer.Probe{Resource: "services", Expect: layer.Admit, Object: object{
		"apiVersion": "v1", "kind": "Service", "metadata": object{"name": name, "namespace": ProbeNamespace},
		"spec": object{"selector": object{"app": "probe"}, "ports": []any{object{"port": 80}}},
	}}
}

// checked adds to a container what the policies ask of one.
func checked(c object) object {
	c["resources"] = object{
		"requests": object{"cpu": "10m", "memory": "32Mi"},
		"limits":   object{"cpu": "10m", "memory": "32Mi"},
	}
	c["securityContext"] = object{"runAsNonRoot": true, "allowPrivilegeEscalation": false}
	return c
}

// container is the one of a Deployment.
func container(o object) object {
	return at(o, "spec", "template", "spec")["containers"].([]any)[0].(object)
}

func at(o object, keys ...string) object {
	for _, key := range keys {
		o = o[key].(object)
	}
	return o
}
