package render

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

// A field of a patch that Kubernetes does not know, or that is nested one level
// too high, would be dropped by the API server without a word.
func TestEveryFieldIsOneKubernetesKnows(t *testing.T) {
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	checked := 0
	for _, name := range platform(t).Layers() {
		for _, o := range rendered(t, name).Objects() {
			data, err := json.Marshal(o)
			require.NoError(t, err)
			_, _, err = strict.Decode(data, nil, nil)
			if runtime.IsNotRegisteredError(err) {
				continue
			}
			checked++
			assert.NoError(t, err, "layer %s: %s", name, describe(o))
		}
	}
	assert.Greater(t, checked, 50)
}

// The same for KServe's own kinds, by the schemas of its layer.
func TestEveryFieldIsOneKServeKnows(t *testing.T) {
	schemas := map[string]any{}
	for _, o := range rendered(t, "kserve").Objects() {
		if kindOf(o) != crdKind {
			continue
		}
		versions, _ := dig(o, "spec", "versions").([]any)
		for _, v := range versions {
			key := fmt.Sprintf("%s/%s %s", dig(o, "spec", "group"), dig(v, "name"), dig(o, "spec", "names", "kind"))
			schemas[key] = dig(v, "schema", "openAPIV3Schema")
		}
	}
	check := func(where string, o map[string]any) {
		key := fmt.Sprintf("%s %s", o["apiVersion"], kindOf(o))
		require.Contains(t, schemas, key, where)
		assert.Empty(t, strangers(schemas[key], o, ""), "%s: unknown fields", where)
	}
	for _, o := range rendered(t, "kserve-runtimes").Objects() {
		if !isWebhook(kindOf(o)) {
			check(describe(o), o)
		}
	}
	for _, folder := range []string{"demo-iris-2", "ai-model-alpha"} {
		data, err := fs.ReadFile(gitops.FS, "apps/"+folder+"/inference-service.yaml")
		require.NoError(t, err)
		o, err := decodeObject(data)
		require.NoError(t, err)
		check(folder, o)
	}
	assert.Equal(t, []string{".spec.predictor.modl"},
		strangers(schemas["serving.kserve.io/v1beta1 InferenceService"], map[string]any{
			"spec": map[string]any{"predictor": map[string]any{"modl": "x", "minReplicas": int64(1)}},
		}, ""), "the check itself has to see an unknown field")
}

// strangers are the fields below v that schema does not have.
func strangers(schema, v any, at string) []string {
	var found []string
	switch v := v.(type) {
	case map[string]any:
		properties, _ := dig(schema, "properties").(map[string]any)
		if properties == nil {
			return nil
		}
		for key, e := range v {
			next, known := properties[key]
			if !known {
				found = append(found, at+"."+key)
				continue
			}
			found = append(found, strangers(next, e, at+"."+key)...)
		}
	case []any:
		for i, e := range v {
			found = append(found, strangers(dig(schema, "items"), e, fmt.Sprintf("%s[%d]", at, i))...)
		}
	}
	return found
}
