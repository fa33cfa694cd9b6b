package guard

import (
	"maps"
	"slices"
)

// rule is a policy as the engines need it.
type rule struct {
	name string
	// kyverno is the ValidatingPolicy.
	kyverno map[string]any
}

const inferenceService = "serving.kserve.io/InferenceService"

// podKinds are the kinds that end in a pod, KServe's aside.
var podKinds = []string{
	"Pod", "ReplicationController",
	"apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "apps/ReplicaSet", "batch/Job", "batch/CronJob",
	"serving.knative.dev/Service", "serving.knative.dev/Configuration", "serving.knative.dev/Revision",
}

// containerKinds are all kinds in which containers are written.
var containerKinds = append(slices.Clone(podKinds), inferenceService, "serving.kserve.io/ServingRuntime")

// coverage says, independently of both engines, which kinds every policy has to
// judge. It is written down twice on purpose: a policy that stops matching a kind
// looks to an engine like one that has nothing to say.
var coverage = map[string][]string{
	"require-standard-labels-inferenceservice": {inferenceService},
	"require-standard-labels-deployment":       podKinds,
	"require-resource-requests-limits":         containerKinds,
	"disallow-latest-image-tag":                containerKinds,
	"disallow-root-containers":                 containerKinds,
	"disallow-cluster-privileges":              containerKinds,
	"require-cluster-ip-services":              {"Service"},
}

// covers is whether the policy has to judge documents of that kind.
func covers(policy string, d *document) bool {
	return slices.Contains(coverage[policy], d.kindName())
}

// uncovered says what is wrong with the set of policies itself.
func uncovered(policies []rule) []Finding {
	c := &contents{}
	there := map[string]bool{}
	for _, p := range policies {
		there[p.name] = true
		if _, known := coverage[p.name]; !known {
			c.add(Error, RuleAccounting, "", 0, "policy %s is not in the table of kinds that policies have to judge: add it to internal/guard/coverage.go", p.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(coverage)) {
		if !there[name] {
			c.add(Error, RuleAccounting, "", 0, "policy %s is missing in gitops/policies, so nothing checks what it forbids", name)
		}
	}
	return c.findings
}
