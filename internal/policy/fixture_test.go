package policy

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

const (
	latest         = "disallow-latest-image-tag"
	root           = "disallow-root-containers"
	resources      = "require-resource-requests-limits"
	workloadLabels = "require-standard-labels-deployment"
	isvcLabels     = "require-standard-labels-inferenceservice"
	clusterIP      = "require-cluster-ip-services"
	privileges     = "disallow-cluster-privileges"
)

// names of all policies, sorted.
var names = []string{privileges, latest, root, clusterIP, resources, workloadLabels, isvcLabels}

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var tenant = map[string]string{TenantLabel: "default"}

var engineOnce = sync.OnceValues(func() (*Engine, error) {
	policies, err := Load(gitops.FS)
	if err != nil {
		return nil, err
	}
	return NewEngine(policies)
})

func engine(t testing.TB) *Engine {
	t.Helper()
	e, err := engineOnce()
	require.NoError(t, err)
	return e
}

// decode reads YAML, as whoever calls the engine does.
func decode(t testing.TB, text string) map[string]any {
	t.Helper()
	var object map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &object), text)
	return object
}

const container = `{name: %s, image: "registry.example:5000/team/%s:1.2.3",
  securityContext: {runAsNonRoot: true, runAsUser: 1000, allowPrivilegeEscalation: false},
  resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {cpu: 1, memory: 512Mi}}}`

func one(name string) string { return fmt.Sprintf(container, name, name) }

var podSpec = fmt.Sprintf("{containers: [%s], initContainers: [%s]}", one("main"), one("setup"))

const (
	both     = "labels: {owner: data-science, cost-center: ml-research}"
	template = "template: {metadata: {" + both + "}, spec: POD}"
)

// shapes are good objects of every kind; POD is a good pod spec.
var shapes = map[string]string{
	"Pod":                          "{apiVersion: v1, kind: Pod, spec: POD}",
	"ReplicationController":        "{apiVersion: v1, kind: ReplicationController, spec: {" + template + "}}",
	"Deployment":                   "{apiVersion: apps/v1, kind: Deployment, spec: {" + template + "}}",
	"StatefulSet":                  "{apiVersion: apps/v1, kind: StatefulSet, spec: {" + template + "}}",
	"DaemonSet":                    "{apiVersion: apps/v1, kind: DaemonSet, spec: {" + template + "}}",
	"ReplicaSet":                   "{apiVersion: apps/v1, kind: ReplicaSet, spec: {" + template + "}}",
	"Job":                          "{apiVersion: batch/v1, kind: Job, spec: {" + template + "}}",
	"CronJob":                      "{apiVersion: batch/v1, kind: CronJob, spec: {jobTemplate: {spec: {" + template + "}}}}",
	"Service":                      "{apiVersion: serving.knative.dev/v1, kind: Service, spec: {" + template + "}}",
	"Configuration":                "{apiVersion: serving.knative.dev/v1, kind: Configuration, spec: {" + template + "}}",
	"Revision":                     "{apiVersion: serving.knative.dev/v1, kind: Revision, spec: POD}",
	"InferenceService/custom":      "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, spec: {predictor: POD}}",
	"InferenceService/transformer": "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, spec: {predictor: {model: MODEL}, transformer: POD}}",
	"InferenceService/explainer":   "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, spec: {predictor: {model: MODEL}, explainer: POD}}",
	"InferenceService/worker":      "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, spec: {predictor: {model: MODEL, workerSpec: POD}}}",
	"ServingRuntime":               "{apiVersion: serving.kserve.io/v1alpha1, kind: ServingRuntime, spec: POD}",
	"ServingRuntime/worker":        "{apiVersion: serving.kserve.io/v1alpha1, kind: ServingRuntime, spec: {containers: [], workerSpec: POD}}",
}

const model = `{modelFormat: {name: sklearn}, storageUri: "gs://bucket/model", name: "",
  securityContext: {runAsNonRoot: true, runAsUser: 1000},
  resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {cpu: "1", memory: 512Mi}}}`

// good is an object every policy allows; its only names are main and setup.
func good(t testing.TB, shape string) map[string]any {
	t.Helper()
	text, ok := shapes[shape]
	require.True(t, ok, shape)
	o := decode(t, strings.NewReplacer("POD", podSpec, "MODEL", model).Replace(text))
	o["metadata"] = decode(t, "{name: thing, "+both+"}")
	return o
}

// served is a good InferenceService with a model in the predictor's field.
func served(t testing.TB, field string) map[string]any {
	t.Helper()
	o := decode(t, "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, spec: {predictor: {}}}")
	o["metadata"] = decode(t, "{name: thing, "+both+"}")
	at(o, "spec", "predictor")[field] = decode(t, model)
	return o
}

// at is the map at the end of keys, which are of maps or, as container names, of
// lists.
func at(o map[string]any, keys ...string) map[string]any {
	var v any = o
	for _, key := range keys {
		switch w := v.(type) {
		case map[string]any:
			v = w[key]
		case []any:
			v = nil
			for _, e := range w {
				if e.(map[string]any)["name"] == key {
					v = e
				}
			}
		}
	}
	m, ok := v.(map[string]any)
	if !ok {
		panic(fmt.Sprintf("nothing at %v", keys))
	}
	return m
}

// pod is where POD stands in a shape.
func pod(o map[string]any, shape string) map[string]any {
	switch kind, part, _ := strings.Cut(shape, "/"); {
	case kind == "Pod", kind == "Revision", shape == "ServingRuntime":
		return at(o, "spec")
	case kind == "CronJob":
		return at(o, "spec", "jobTemplate", "spec", "template", "spec")
	case part == "custom":
		return at(o, "spec", "predictor")
	case shape == "InferenceService/worker":
		return at(o, "spec", "predictor", "workerSpec")
	case shape == "ServingRuntime/worker":
		return at(o, "spec", "workerSpec")
	case part != "":
		return at(o, "spec", part)
	}
	return at(o, "spec", "template", "spec")
}

func evaluate(t testing.TB, r Request) map[string]Verdict {
	t.Helper()
	if r.Namespace == "" {
		r.Namespace = "default"
	}
	if r.NamespaceLabels == nil {
		r.NamespaceLabels = tenant
	}
	verdicts, err := engine(t).Evaluate(context.Background(), r)
	require.NoError(t, err)
	byName := map[string]Verdict{}
	for _, v := range verdicts {
		byName[v.Policy] = v
	}
	require.Len(t, byName, len(names))
	return byName
}

// refusedIf is what refuses a request that is bad in the eyes of one policy.
func refusedIf(bad bool, policy string) []string {
	if bad {
		return []string{policy}
	}
	return nil
}

// judged asserts that exactly the policies in refused refuse, without errors, and
// with all of says in the message.
func judged(t testing.TB, r Request, refused []string, says ...string) {
	t.Helper()
	var got []string
	var messages []string
	verdicts := evaluate(t, r)
	for _, name := range names {
		v := verdicts[name]
		assert.NoError(t, v.Err)
		if !v.Allowed {
			assert.True(t, v.Matched, name)
			got = append(got, name)
			messages = append(messages, v.Message)
		}
	}
	assert.Equal(t, refused, got, strings.Join(messages, "\n"))
	for _, s := range says {
		assert.Contains(t, strings.Join(messages, "\n"), s)
	}
}
