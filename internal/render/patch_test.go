package render

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func replaceOnce(t *testing.T, text, from, to string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(text, from), "%q", from)
	return strings.Replace(text, from, to, 1)
}

func TestAPatchThatMatchesNothingIsNamed(t *testing.T) {
	for want, patch := range map[string]Patch{
		`patch of ConfigMap confg matches no object of the layer: unknown ConfigMap "confg": did you mean "config"?`: {Kind: "ConfigMap", Name: "confg"},
		`patch of ConfigMap other/config matches no object of the layer`:                                             {Kind: "ConfigMap", Name: "config", Namespace: "other"},
		`patch of Ingress server matches no object of the layer`:                                                     {Kind: "Ingress", Name: "server"},
	} {
		_, err := smallTree(t, nil, patch)
		assert.ErrorContains(t, err, want)
	}
}

func TestAnAmbiguousPatchIsRefused(t *testing.T) {
	other := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config, namespace: other}\ndata: {text: x}\n"
	change := map[string]string{
		"platform/tool/other.yaml":         other,
		"platform/tool/kustomization.yaml": replaceOnce(t, kustomizationText, "[", "[other.yaml, "),
	}
	patch := Patch{Kind: "ConfigMap", Name: "config", Merge: map[string]any{"data": map[string]any{"text": "y"}}}
	_, err := smallTree(t, change, patch)
	require.ErrorContains(t, err, "patch of ConfigMap config matches 2 objects: name the namespace")
	patch.Namespace = "other"
	assert.Equal(t, "y", dig(mustTree(t, change, patch).objects[1], "data", "text"))
}

func TestAnArgsPatchChangesOnlyItsObject(t *testing.T) {
	plain := rendered(t, "kserve")
	patched := rendered(t, "kserve", Patch{Kind: "ConfigMap", Name: "inferenceservice-config", Namespace: "kserve", Merge: map[string]any{
		"data": map[string]any{"inferenceService": map[string]any{"resource": map[string]any{"cpuRequest": "100m"}}},
	}})
	require.NotEqual(t, plain.Hash(), patched.Hash())
	var changed []string
	for i, f := range plain.files {
		require.Equal(t, f.name, patched.files[i].name)
		if string(f.data) != string(patched.files[i].data) {
			changed = append(changed, f.name)
		}
	}
	assert.Equal(t, []string{"configmap.kserve.inferenceservice-config.yaml"}, changed)
	document, err := decodeObject([]byte(dig(object(t, patched, "ConfigMap", "inferenceservice-config"), "data", "inferenceService").(string)))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"resource": map[string]any{
		"cpuRequest": "100m", "cpuLimit": "1", "memoryRequest": "256Mi", "memoryLimit": "512Mi",
	}}, document)
	assert.Equal(t, plain.Hash(), rendered(t, "kserve").Hash(), "a patch may not leak into the next render")
}

func TestMerge(t *testing.T) {
	container := func(fields map[string]any) map[string]any {
		fields["name"] = "server"
		return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{fields}}}}}
	}
	for name, c := range map[string]struct {
		kind  string
		merge map[string]any
		keys  []string
		want  any
	}{
		"lists with names are merged by them": {
			"Deployment",
			container(map[string]any{"env": []map[string]string{{"name": "B", "value": "3"}, {"name": "C", "value": "4"}}}),
			[]string{"spec", "template", "spec", "containers"},
			[]any{map[string]any{
				"name": "server", "image": "example.org/server:v1.2.3",
				"env": []any{
					map[string]any{"name": "A", "value": "1"},
					map[string]any{"name": "B", "value": "3"},
					map[string]any{"name": "C", "value": "4"},
				},
			}},
		},
		"lists without names are replaced": {
			"Deployment",
			container(map[string]any{"args": []string{"--x"}}),
			[]string{"spec", "template", "spec", "containers"},
			[]any{map[string]any{
				"name": "server", "image": "example.org/server:v1.2.3", "args": []any{"--x"},
				"env": []any{map[string]any{"name": "A", "value": "1"}, map[string]any{"name": "B", "value": "2"}},
			}},
		},
		"nil deletes": {
			"ConfigMap",
			map[string]any{"data": map[string]any{"text": nil, "document": nil, "new": "x"}},
			[]string{"data"},
			map[string]any{"new": "x"},
		},
		"a map goes into a JSON text": {
			"ConfigMap",
			map[string]any{"data": map[string]any{"document": map[string]any{"a": map[string]any{"c": nil, "d": 3}}}},
			[]string{"data", "document"},
			"{\n  \"a\": {\n    \"b\": 1,\n    \"d\": 3\n  }\n}",
		},
		"a new map has no nil": {
			"ConfigMap",
			map[string]any{"metadata": map[string]any{"annotations": map[string]any{"a": "b", "c": nil}}},
			[]string{"metadata", "annotations"},
			map[string]any{"a": "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := map[string]string{"Deployment": "server", "ConfigMap": "config"}[c.kind]
			tree := mustTree(t, nil, Patch{Kind: c.kind, Name: object, Merge: c.merge})
			for _, o := range tree.Objects() {
				if kindOf(o) == c.kind {
					assert.Equal(t, c.want, dig(o, c.keys...))
				}
			}
		})
	}
}

func TestAPatchThatCannotWorkIsRefused(t *testing.T) {
	for want, merge := range map[string]map[string]any{
		"data.text is a text that holds no JSON object": {"data": map[string]any{"text": map[string]any{"a": 1}}},
		"it may not change kind, name or namespace":     {"metadata": map[string]any{"name": "other"}},
		"not a JSON document":                           {"data": map[string]any{"text": func() {}}},
	} {
		_, err := smallTree(t, nil, Patch{Kind: "ConfigMap", Name: "config", Merge: merge})
		assert.ErrorContains(t, err, want)
	}
}
