package schema

import (
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// renderer shares the command line's cache of rendered layers.
func renderer(t testing.TB) *render.Renderer {
	t.Helper()
	if testing.Short() {
		t.Skip("downloads upstream modules")
	}
	dir, err := os.UserCacheDir()
	require.NoError(t, err)
	r, err := render.New(gitops.FS, filepath.Join(dir, "neuroscale", "render"))
	require.NoError(t, err)
	return r
}

// shared keeps the schemas of one test run; they are always made in that run.
var shared struct {
	once sync.Once
	dir  string
	v    *Validator
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(shared.dir)
	os.Exit(code)
}

func platform(t testing.TB) *Validator {
	t.Helper()
	r := renderer(t)
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "neuroscale-schema-"); shared.err == nil {
			shared.v, shared.err = New(context.Background(), Options{Renderer: r, CacheDir: shared.dir})
		}
	})
	require.NoError(t, shared.err)
	return shared.v
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {owner: team, cost-center: cc1}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 1}}
  template:
    metadata:
      labels: {app: web, owner: team, cost-center: cc1}
    spec:
      securityContext: {runAsNonRoot: true}
      containers:
        - name: web
          image: docker.io/nginxinc/nginx-unprivileged:1.27.5
          ports: [{containerPort: 8080}]
          env: [{name: MODE, value: "1"}]
          readinessProbe: {httpGet: {path: /, port: 8080}}
          resources:
            requests: {cpu: 100m, memory: 64Mi}
            limits: {cpu: 0.5, memory: 128Mi}
`

const inferenceService = `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: iris
  labels: {owner: team, cost-center: cc1}
spec:
  predictor:
    minReplicas: 0
    maxReplicas: 3
    model:
      modelFormat: {name: sklearn}
      storageUri: s3://models/iris
      securityContext: {runAsNonRoot: true, runAsUser: 1000}
      resources:
        requests: {cpu: 100m, memory: 256Mi}
        limits: {cpu: 1, memory: 512Mi}
  transformer:
    containers:
      - name: kserve-container
        image: docker.io/example/transformer:v1
        env: [{name: MODE, value: "1"}]
`

func swap(t *testing.T, document, from, to string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(document, from), "%q has to be there once", from)
	return strings.Replace(document, from, to, 1)
}

func TestGoodDocumentsAreValid(t *testing.T) {
	v := platform(t)
	for name, document := range map[string]string{
		"deployment":               deployment,
		"inference service":        inferenceService,
		"starts with a separator":  "---\n" + deployment,
		"comment and separator":    "# ours\n---\n" + deployment + "...\n",
		"port by name":             swap(t, deployment, "path: /, port: 8080", "path: /, port: http"),
		"whole cores":              swap(t, deployment, "limits: {cpu: 0.5,", "limits: {cpu: 2,"),
		"cores as text":            swap(t, deployment, "limits: {cpu: 0.5,", `limits: {cpu: "2",`),
		"memory in bytes":          swap(t, deployment, "memory: 128Mi", "memory: 134217728"),
		"memory with an exponent":  swap(t, deployment, "memory: 128Mi", "memory: 128e6"),
		"nothing in an optional":   swap(t, deployment, "replicas: 2", "replicas:"),
		"creation time of nothing": swap(t, deployment, "  name: web\n  labels", "  creationTimestamp: null\n  name: web\n  labels"),
		"generated name":           swap(t, deployment, "  name: web\n  labels", "  generateName: web-\n  labels"),
		"a status":                 deployment + "status: {}\n",
		"anchors":                  swap(t, swap(t, deployment, "requests: {", "requests: &r {"), "limits: {cpu: 0.5, memory: 128Mi}", "limits: *r"),
		"JSON":                     `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"1"}}`,
		"secret":                   "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: aGVsbG8=, b: ''}\n",
		"list":                     "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n",
		"resource definition inside a resource definition": `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {a: {type: array, items: {type: string}}}}}}
`,
	} {
		t.Run(name, func(t *testing.T) { assert.Empty(t, v.Validate([]byte(document))) })
	}
}

func TestBadDocumentsAreNamedWithFieldAndFix(t *testing.T) {
	v := platform(t)
	const container = "spec.template.spec.containers[0]"
	for name, c := range map[string]struct {
		document string
		want     []string
		// lenient is set if Kubernetes' own strict decoder has nothing against it;
		// the API server looks at required fields and names only later.
		lenient bool
	}{
		"unknown field deep in a pod": {
			document: swap(t, deployment, "ports: [{containerPort: 8080}]", "ports: [{containerPorts: 8080, containerPort: 8080}]"),
			want:     []string{container + `.ports[0].containerPorts: unknown field: did you mean "containerPort"?`},
		},
		"field one level too high": {
			document: swap(t, deployment, "  replicas: 2\n", "  replicas: 2\n  containers: []\n"),
			want:     []string{"spec.containers: unknown field: remove it or use one of minReadySeconds, paused, progress"},
		},
		"two fields of one parent and one elsewhere": {
			document: swap(t, swap(t, deployment, "          image:", "          imagePullPolice: Always\n          image:"), "replicas: 2", `replicas: "2"`),
			want: []string{
				"spec.replicas: is text, but has to be a whole number: write 2 without quotes",
				container + `.imagePullPolice: unknown field: did you mean "imagePullPolicy"?`,
			},
		},
		"number as text": {
			document: swap(t, deployment, "containerPort: 8080", `containerPort: "8080"`),
			want:     []string{container + ".ports[0].containerPort: is text, but has to be a whole number: write 8080 without quotes"},
		},
		"text as number": {
			document: swap(t, deployment, `value: "1"`, "value: 1"),
			want:     []string{container + ".env[0].value: is a number, but has to be text: put it in quotes"},
		},
		"label that YAML reads as true": {
			document: swap(t, deployment, "  labels: {owner: team", "  labels: {owner: yes"),
			want:     []string{"metadata.labels.owner: is true or false, but has to be text: put it in quotes"},
		},
		"label of nothing": {
			document: swap(t, deployment, "  labels: {owner: team", "  labels: {owner: , example.org/tier: 1"),
			want: []string{
				"metadata.labels.owner: is empty, but has to be text: add what is missing or remove the field",
				`metadata.labels["example.org/tier"]: is a number, but has to be text: put it in quotes`,
			},
		},
		"true as text": {
			document: swap(t, deployment, "runAsNonRoot: true", `runAsNonRoot: "true"`),
			want:     []string{"spec.template.spec.securityContext.runAsNonRoot: is text, but has to be true or false: write true without quotes"},
		},
		"half a replica": {
			document: swap(t, deployment, "replicas: 2", "replicas: 1.5"),
			want:     []string{"spec.replicas: is a number, but has to be a whole number: correct it"},
		},
		"more replicas than fit": {
			document: swap(t, deployment, "replicas: 2", "replicas: 3000000000"),
			want:     []string{"spec.replicas: 3000000000 is too large: it can be at most 2147483647"},
		},
		"object where a list is needed": {
			document: swap(t, deployment, "ports: [{containerPort: 8080}]", "ports: {containerPort: 8080}"),
			want:     []string{container + ".ports: is an object, but has to be a list: correct it"},
		},
		"no quantity": {
			document: swap(t, deployment, "memory: 128Mi", "memory: 128MB"),
			want:     []string{container + `.resources.limits.memory: "128MB" is not a quantity: write for instance 500m, 2 or 512Mi`},
		},
		"text where an object is needed, which is not repeated": {
			document: swap(t, deployment, "securityContext: {runAsNonRoot: true}", `securityContext: '{"a": "hunter2"}'`),
			want:     []string{"spec.template.spec.securityContext: is text, but has to be an object: correct it"},
		},
		"list where a number or text is needed": {
			document: swap(t, deployment, "maxSurge: 25%", "maxSurge: [1]"),
			want:     []string{"spec.strategy.rollingUpdate.maxSurge: is a list, but has to be a whole number or text: correct it"},
		},
		"no selector": {
			document: swap(t, deployment, "  selector: {matchLabels: {app: web}}\n", ""),
			want:     []string{"spec.selector: is missing: add it"}, lenient: true,
		},
		"container without a name": {
			document: swap(t, deployment, "- name: web\n          image:", "- image:"),
			want:     []string{container + ".name: is missing: add it"}, lenient: true,
		},
		"empty template": {
			document: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  selector: {}\n  template:\n",
			want:     []string{"spec.template: is empty, but has to be an object: add what is missing or remove the field"}, lenient: true,
		},
		"no name": {
			document: swap(t, deployment, "  name: web\n  labels", "  labels"),
			want:     []string{"metadata.name: is missing: name the object"}, lenient: true,
		},
		"no metadata": {
			document: "apiVersion: v1\nkind: ConfigMap\n",
			want:     []string{"metadata: is missing: add it"}, lenient: true,
		},
		"secret that is not base64, which is not repeated": {
			document: "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {password: hunter2!}\n",
			want:     []string{"data.password: is not base64: encode it"},
		},
		"field of a resource definition's schema": {
			document: `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"a"},"spec":{"group":"a","scope":"Namespaced",
"names":{"kind":"A","plural":"as"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"properties":{"a":{"propertis":{}}}}}}]}}`,
			want: []string{`spec.versions[0].schema.openAPIV3Schema.properties.a.propertis: unknown field: did you mean "properties"?`},
		},
		"duplicate keys": {
			document: swap(t, deployment, "  replicas: 2\n", "  replicas: 2\n  replicas: 3\n"),
			want:     []string{`line 8: key "replicas" is written twice: keep one`},
		},
		"duplicate keys in JSON": {
			document: `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","name":"b"}}`,
			want:     []string{`line 1: key "name" is written twice: keep one`},
		},
		"misspelt field of an InferenceService": {
			document: swap(t, inferenceService, "minReplicas: 0", "minReplica: 0"),
			want:     []string{`spec.predictor.minReplica: unknown field: did you mean "minReplicas"?`},
		},
		"misspelt field of a model": {
			document: swap(t, inferenceService, "storageUri:", "storageURI:"),
			want:     []string{`spec.predictor.model.storageURI: unknown field: did you mean "storageUri"?`},
		},
		"misspelt field of a transformer's container": {
			document: swap(t, inferenceService, "        image:", "        imagePullPolice: Always\n        image:"),
			want:     []string{`spec.transformer.containers[0].imagePullPolice: unknown field: did you mean "imagePullPolicy"?`},
		},
		"misspelt metadata of an InferenceService": {
			document: swap(t, inferenceService, "  labels:", "  label:"),
			want:     []string{`metadata.label: unknown field: did you mean "labels"?`},
		},
		"half a core in an InferenceService, which only takes whole numbers": {
			document: swap(t, inferenceService, "limits: {cpu: 1,", "limits: {cpu: 0.5,"),
			want:     []string{"spec.predictor.model.resources.limits.cpu: is a number, but has to be a whole number or text: put it in quotes"},
		},
		"no quantity in an InferenceService": {
			document: swap(t, inferenceService, "memory: 512Mi", "memory: 512mb"),
			want:     []string{`spec.predictor.model.resources.limits.memory: "512mb" is not a quantity: write for instance 500m, 2 or 512Mi`},
		},
		"model without its format": {
			document: swap(t, inferenceService, "      modelFormat: {name: sklearn}\n", "      modelFormat: {}\n"),
			want:     []string{"spec.predictor.model.modelFormat.name: is missing: add it"},
		},
		"environment number in an InferenceService": {
			document: swap(t, inferenceService, `value: "1"`, "value: 1"),
			want:     []string{"spec.transformer.containers[0].env[0].value: is a number, but has to be text: put it in quotes"},
		},
		"unknown kind": {
			document: swap(t, deployment, "kind: Deployment", "kind: Deploymnt"),
			want:     []string{`kind: Deploymnt of apps/v1 is unknown: did you mean "Deployment"?`},
		},
		"kind in lower case": {
			document: swap(t, deployment, "kind: Deployment", "kind: deployment"),
			want:     []string{`kind: deployment of apps/v1 is unknown: did you mean "Deployment"?`},
		},
		"kind of a path": {
			document: swap(t, deployment, "kind: Deployment", "kind: ../apps/deployment"),
			want:     []string{`kind: ../apps/deployment of apps/v1 is unknown: did you mean`},
		},
		"kind of another group": {
			document: swap(t, deployment, "apiVersion: apps/v1", "apiVersion: extensions/v1beta1"),
			want:     []string{"apiVersion: extensions/v1beta1 has no kind Deployment: write apps/v1"}, lenient: true,
		},
		"old version of an InferenceService": {
			document: swap(t, inferenceService, "serving.kserve.io/v1beta1", "serving.kserve.io/v1alpha1"),
			want:     []string{"apiVersion: serving.kserve.io/v1alpha1 has no kind InferenceService: write serving.kserve.io/v1beta1"},
		},
		"version that Kubernetes does not serve by default": {
			document: "apiVersion: resource.k8s.io/v1beta1\nkind: DeviceClass\nmetadata: {name: a}\n",
			want:     []string{"apiVersion: resource.k8s.io/v1beta1 has no kind DeviceClass: write resource.k8s.io/v1"}, lenient: true,
		},
		"kind of nobody": {
			document: "apiVersion: cloud.example.org/v1\nkind: Zxqwvutsrponml\nmetadata: {name: a}\n",
			want:     []string{"kind: Zxqwvutsrponml of cloud.example.org/v1 is unknown: use a kind of Kubernetes or of the platform's layers"},
		},
		"no kind": {
			document: "apiVersion: v1\nmetadata: {name: a}\n",
			want:     []string{"kind: is missing or no text: every object has to say its apiVersion and kind"},
		},
		"item of a list": {
			document: "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: 1}}\n- a\n",
			want: []string{
				"items[0].data.a: is a number, but has to be text: put it in quotes",
				"items[1]: is text: an object is needed",
			},
		},
		"list of nothing": {document: "apiVersion: v1\nkind: List\nitems: []\n", want: []string{"items: a List needs items: add them or remove the document"}},
		"nothing":         {document: "", want: []string{"the document is empty: write an object or remove it"}},
		"only a comment":  {document: "# nothing\n", want: []string{"the document is empty: write an object or remove it"}},
		"no object":       {document: "- a\n", want: []string{"the document is a list: an object with apiVersion, kind and metadata is needed"}},
		"two documents": {
			document: deployment + "---\n" + deployment,
			want:     []string{"there is more than one document in it: check them one by one"}, lenient: true,
		},
		"second document is broken": {
			document: deployment + "---\n\t-",
			want:     []string{"there is more than one document in it: check them one by one"}, lenient: true,
		},
		"no YAML":            {document: "a: [", want: []string{"it is not valid YAML: line 1: did not find expected node content"}},
		"template braces":    {document: "apiVersion: v1\nkind: {{ .Kind }}\n", want: []string{"it is not valid YAML: "}},
		"tab as indentation": {document: "a:\n\tb: 1\n", want: []string{"it is not valid YAML: line 2: found character that cannot start any token"}},
	} {
		t.Run(name, func(t *testing.T) {
			problems := v.Validate([]byte(c.document))
			var said []string
			for _, p := range problems {
				said = append(said, p.String())
			}
			require.Len(t, said, len(c.want), "%q", said)
			for i := range c.want {
				assert.True(t, strings.HasPrefix(said[i], c.want[i]), "said %q, wanted %q", said[i], c.want[i])
			}
			if strings.Contains(c.document, "serving.kserve.io") || strings.Contains(c.document, "kind: List") || c.document == "" {
				return
			}
			strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
			_, _, err := strict.Decode([]byte(c.document), nil, nil)
			if runtime.IsNotRegisteredError(err) {
				return
			}
			assert.Equal(t, c.lenient, err == nil, "Kubernetes' own decoder says %v", err)
		})
	}
}

func TestEveryKindHasASchemaThatCompilesAndKnowsItsFields(t *testing.T) {
	v := platform(t)
	count := 0
	for _, apiVersion := range slices.Sorted(maps.Keys(v.kinds)) {
		for _, name := range slices.Sorted(maps.Keys(v.kinds[apiVersion])) {
			document, err := json.Marshal(map[string]any{
				"apiVersion": apiVersion, "kind": name, "metadata": map[string]any{"name": "a"}, "zzz": 1,
			})
			require.NoError(t, err)
			unknown := 0
			for _, p := range v.Validate(document) {
				assert.NotContains(t, p.Message, "could not be checked", "%s %s", apiVersion, name)
				if p.Path == "zzz" {
					unknown++
				}
			}
			assert.Equal(t, 1, unknown, "%s %s takes an unknown field", apiVersion, name)
			count++
		}
	}
	assert.Greater(t, count, 75)
	for apiVersion, name := range map[string]string{
		"v1": "Pod", "batch/v1": "CronJob", "networking.k8s.io/v1": "NetworkPolicy", "serving.knative.dev/v1": "Service",
		"serving.kserve.io/v1alpha1": "ServingRuntime", "argoproj.io/v1alpha1": "Application",
	} {
		assert.Contains(t, v.kinds[apiVersion], name)
	}
}

func TestTheExampleEndpointsAndThePoliciesAreValid(t *testing.T) {
	v := platform(t)
	for folder, atLeast := range map[string]int{"apps": 4, "policies": 5} {
		checked := 0
		require.NoError(t, fs.WalkDir(gitops.FS, folder, func(file string, _ fs.DirEntry, err error) error {
			if err != nil || path.Ext(file) != ".yaml" {
				return err
			}
			data, err := fs.ReadFile(gitops.FS, file)
			assert.Empty(t, v.Validate(data), file)
			checked++
			return err
		}))
		assert.GreaterOrEqual(t, checked, atLeast, folder)
	}
}

// What Argo CD applies to a real cluster is valid, so a schema that is too strict
// would be seen here.
func TestEverythingInTheLayersIsValid(t *testing.T) {
	v, r := platform(t), renderer(t)
	for _, layer := range r.Layers() {
		tree, err := r.Layer(t.Context(), layer)
		require.NoError(t, err)
		require.NotEmpty(t, tree.Objects())
		for _, object := range tree.Objects() {
			data, err := json.Marshal(object)
			require.NoError(t, err)
			metadata := object["metadata"].(map[string]any)
			assert.Empty(t, v.Validate(data), "layer %s: %s %s", layer, object["kind"], metadata["name"])
		}
	}
}

func TestManyDocumentsAtOnce(t *testing.T) {
	v := platform(t)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			assert.Empty(t, v.Validate([]byte(deployment)))
			assert.Len(t, v.Validate([]byte(strings.Replace(deployment, "image:", "imag:", 1))), 1)
		})
	}
	wait.Wait()
}

func TestOptionsAreNeeded(t *testing.T) {
	_, err := New(t.Context(), Options{CacheDir: t.TempDir()})
	assert.EqualError(t, err, "schemas need a renderer and a cache folder: set Options.Renderer and Options.CacheDir")
}
