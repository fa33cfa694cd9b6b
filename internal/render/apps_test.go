package render

import (
	"io/fs"
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

func TestTheFirstEndpointsAreGoodExamples(t *testing.T) {
	nginx, err := platform(t).Upstream().Image("", "nginx")
	require.NoError(t, err)
	want := map[string]string{
		"Deployment":                    "nginx-test",
		"Service":                       "nginx-service",
		"InferenceService demo-iris-2":  "demo-iris-2",
		"InferenceService sklearn-iris": "sklearn-iris",
	}
	folders := map[string]string{"nginx-test": "test-app", "nginx-service": "test-app", "demo-iris-2": "demo-iris-2", "sklearn-iris": "ai-model-alpha"}
	replicas := map[string]int64{"demo-iris-2": 1, "sklearn-iris": 0}
	found := map[string]string{}
	require.NoError(t, fs.WalkDir(gitops.FS, "apps", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(gitops.FS, p)
		if err != nil {
			return err
		}
		o, err := decodeObject(data)
		if err != nil {
			return err
		}
		key := kindOf(o)
		pod := dig(o, "spec", "template", "spec")
		switch kindOf(o) {
		case "InferenceService":
			key += " " + nameOf(o)
			pod = nil
			model := dig(o, "spec", "predictor", "model")
			assert.Equal(t, "gs://kfserving-examples/models/sklearn/1.0/model", dig(model, "storageUri"))
			assert.Equal(t, true, dig(model, "securityContext", "runAsNonRoot"))
			assert.Equal(t, int64(1000), dig(model, "securityContext", "runAsUser"))
			assert.Equal(t, replicas[nameOf(o)], dig(o, "spec", "predictor", "minReplicas"))
			complete(t, p, model)
		case "Deployment":
			container := dig(pod, "containers").([]any)[0]
			assert.Equal(t, nginx, dig(container, "image"))
			assert.NotEmpty(t, dig(o, "spec", "template", "metadata", "labels", "owner"))
			assert.NotEmpty(t, dig(o, "spec", "template", "metadata", "labels", "cost-center"))
			assert.Equal(t, true, dig(pod, "securityContext", "runAsNonRoot"))
			complete(t, p, container)
		}
		assert.NotEmpty(t, dig(o, "metadata", "labels", "owner"), p)
		assert.NotEmpty(t, dig(o, "metadata", "labels", "cost-center"), p)
		assert.Empty(t, namespaceOf(o), "%s: the Application says where it goes", p)
		assert.Equal(t, "apps/"+folders[nameOf(o)], path.Dir(p))
		found[key] = nameOf(o)
		return nil
	}))
	assert.Equal(t, want, found)
}

func complete(t *testing.T, where string, container any) {
	t.Helper()
	for _, kind := range []string{"requests", "limits"} {
		for _, what := range []string{"cpu", "memory"} {
			assert.NotEmpty(t, dig(container, "resources", kind, what), "%s: resources.%s.%s", where, kind, what)
		}
	}
}
