package guardrails

import (
	"errors"
	"fmt"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/samples"
)

type object = map[string]any

// nativeProbes are good workloads, which all policies together have to admit,
// and for each policy one that it has to refuse.
func nativeProbes(policies []*policy.Policy) ([]layer.Probe, error) {
	all := samples.Good()
	var errs []error
	for _, p := range policies {
		bad, ok := samples.Bad(p.Name)
		if !ok {
			errs = append(errs, fmt.Errorf("guardrails: there is no probe for policy %s: add what it refuses to internal/samples", p.Name))
			continue
		}
		all = append(all, bad)
	}
	var probes []layer.Probe
	for _, s := range all {
		expect := layer.Admit
		if s.RefusedBy != "" {
			expect = layer.Deny
		}
		probes = append(probes, layer.Probe{Object: s.Object, Resource: s.Resource, Expect: expect, By: s.RefusedBy})
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
				"namespaceSelector": object{"matchLabels": object{"kubernetes.io/metadata.name": samples.Namespace}},
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
			"metadata": object{"name": name, "namespace": samples.Namespace},
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
