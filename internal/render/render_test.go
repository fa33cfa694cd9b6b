package render

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

const pins = `
upstreams:
  tool:
    module: example.org/tool
    version: v1.2.3
    sum: h1:good
    images:
      server: example.org/server:v1.2.3
`

const manifest = `# comment only
---
apiVersion: apps/v1
kind: Deployment
metadata: # of the server
  labels: {app: server}
  name: "server"
  namespace: tool
spec:
  template:
    spec:
      containers:
      - name: server
        image: ko://example.org/server
        env:
        - {name: A, value: "1"}
        - {name: B, value: "2"}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: config
  namespace: tool
data:
  _example: nothing
  document: '{"a": {"b": 1, "c": 2}}'
  text: plain
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: server
  namespace: tool
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: tools.example.org
  creationTimestamp: null
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: gone
        type: object
        properties:
          description: {type: string, description: gone}
          size: {type: integer, maximum: 4294967295, description: gone}
status:
  conditions: []
`

const layerText = `
version: [tool]
upstreams:
  - name: tool
    paths: [config/*.yaml]
    replace:
      ko://example.org/server: ${image:tool/server}
drop:
  - {kind: HorizontalPodAutoscaler}
`

const kustomizationText = `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [upstream/tool.yaml]
`

// small is a renderer of one layer, tool, over the manifest above. change may
// add, replace or, with "", remove files.
func small(t *testing.T, cache string, change map[string]string) (*Renderer, error) {
	t.Helper()
	module := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(module, "config"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(module, "config", "all.yaml"), []byte(manifest), 0o644))
	fsys := fstest.MapFS{}
	files := map[string]string{
		"upstream.yaml":                    pins,
		"platform/tool/layer.yaml":         layerText,
		"platform/tool/kustomization.yaml": kustomizationText,
	}
	for name, text := range change {
		files[name] = text
	}
	for name, text := range files {
		if text != "" {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	r, err := New(fsys, cache)
	if err == nil {
		r.fetch = func(context.Context, []Module) ([]string, error) { return []string{module}, nil }
	}
	return r, err
}

func smallTree(t *testing.T, change map[string]string, patches ...Patch) (*Tree, error) {
	t.Helper()
	r, err := small(t, "", change)
	if err != nil {
		return nil, err
	}
	return r.Layer(context.Background(), "tool", patches...)
}

func TestUnknownLayerIsNamedWithTheNearest(t *testing.T) {
	_, err := platform(t).Layer(context.Background(), "kserv")
	require.EqualError(t, err, `unknown layer "kserv": did you mean "kserve"?`)
	_, err = platform(t).Layer(context.Background(), "zzzzzzzzzz")
	require.EqualError(t, err, `unknown layer "zzzzzzzzzz": known are `+strings.Join(platform(t).Layers(), ", "))
}

func TestUpstreamIsSlimmedAndDropped(t *testing.T) {
	tree, err := smallTree(t, nil)
	require.NoError(t, err)
	var kinds []string
	for _, o := range tree.Objects() {
		kinds = append(kinds, kindOf(o))
	}
	assert.Equal(t, []string{crdKind, "ConfigMap", "Deployment"}, kinds)
	crd := object(t, tree, crdKind, "tools.example.org")
	assert.NotContains(t, crd, "status")
	assert.NotContains(t, crd["metadata"], "creationTimestamp")
	schema := dig(crd["spec"].(map[string]any)["versions"].([]any)[0], "schema", "openAPIV3Schema")
	assert.Equal(t, map[string]any{
		"type": "object",
		"properties": map[string]any{
			"description": map[string]any{"type": "string"},
			"size":        map[string]any{"type": "integer", "maximum": int64(4294967295)},
		},
	}, schema, "a property called description stays, descriptions go, numbers stay whole")
	assert.NotContains(t, object(t, tree, "ConfigMap", "config")["data"], "_example")
	assert.Equal(t, []string{"example.org/server:v1.2.3"}, tree.Images())
	assert.Equal(t, "tool v1.2.3", tree.Version())
}

// Definitions go past kustomize unless the layer says that a patch needs them.
func TestADefinitionCanBePatched(t *testing.T) {
	patch := `patches:
- target: {kind: CustomResourceDefinition, name: tools.example.org}
  patch: |-
    - op: replace
      path: /spec/versions/0/schema/openAPIV3Schema/properties
      value: {}
`
	for layer, want := range map[string]int{layerText: 2, layerText + "patchedDefinitions: [tools.example.org]\n": 0} {
		tree := mustTree(t, map[string]string{
			"platform/tool/layer.yaml":         layer,
			"platform/tool/kustomization.yaml": kustomizationText + patch,
		})
		crd := object(t, tree, crdKind, "tools.example.org")
		properties := dig(crd["spec"].(map[string]any)["versions"].([]any)[0], "schema", "openAPIV3Schema", "properties")
		assert.Len(t, properties, want)
	}
}

func TestAFaultyLayerIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]string
		want   string
	}{
		"unknown key in layer.yaml": {
			map[string]string{"platform/tool/layer.yaml": "upstream: []\n"},
			`platform/tool/layer.yaml: unknown key "upstream": did you mean "upstreams"?`,
		},
		"unknown key in the pins": {
			map[string]string{"upstream.yaml": "upstreams: {tool: {modul: x}}\n"},
			`upstream.yaml: unknown key "modul": did you mean "module"?`,
		},
		"pin without checksum": {
			map[string]string{"upstream.yaml": "upstreams: {tool: {module: example.org/tool, version: v1}}\n"},
			`upstream.yaml: upstreams.tool.sum is missing`,
		},
		"floating image in the pins": {
			map[string]string{"upstream.yaml": "images: {x: example.org/x:latest}\n"},
			`upstream.yaml: images.x: the image example.org/x:latest floats: pin a version or a digest`,
		},
		"unknown upstream": {
			map[string]string{"platform/tool/layer.yaml": "upstreams: [{name: tol, paths: [x]}]\n"},
			`platform/tool/layer.yaml: unknown upstream "tol": did you mean "tool"?`,
		},
		"drop rule that matches nothing": {
			map[string]string{"platform/tool/layer.yaml": layerText + "  - {kind: Secret, name: s*}\n"},
			`render layer tool: drop rule "Secret s*" matches nothing upstream: remove or correct it`,
		},
		"patched definition that is not there": {
			map[string]string{"platform/tool/layer.yaml": layerText + "patchedDefinitions: [tool.example.org]\n"},
			`render layer tool: patchedDefinitions "tool.example.org" is not there upstream: remove or correct it`,
		},
		"replace rule that matches nothing": {
			map[string]string{"platform/tool/layer.yaml": "upstreams: [{name: tool, paths: [config/*.yaml], replace: {ko://gone: x}}]\n"},
			`render layer tool: upstream tool: nothing there is called "ko://gone" any more: correct the replace rule`,
		},
		"path that is not there": {
			map[string]string{"platform/tool/layer.yaml": "upstreams: [{name: tool, paths: [confg/*.yaml]}]\n"},
			`render layer tool: upstream tool: there is no file "confg/*.yaml": correct the paths of the layer`,
		},
		"Go import path left": {
			map[string]string{"platform/tool/layer.yaml": "upstreams: [{name: tool, paths: [config/*.yaml]}]\n"},
			`the image ko://example.org/server is a Go import path, not an image`,
		},
		"unknown image": {
			map[string]string{"platform/tool/layer.yaml": "upstreams: [{name: tool, paths: [config/*.yaml], replace: {ko://example.org/server: '${image:tool/serve}'}}]\n"},
			`replace "ko://example.org/server": ${image:tool/serve}: unknown image of tool "serve": did you mean "server"?`,
		},
		"patch for nothing": {
			map[string]string{"platform/tool/kustomization.yaml": kustomizationText + "patches: [{patch: '{apiVersion: v1, kind: Secret, metadata: {name: x}, data: {a: b}}'}]\n"},
			`render layer tool: kustomize: `,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := smallTree(t, c.change)
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
		})
	}
}

func TestAnImageThatFloatsIsRefused(t *testing.T) {
	for image, want := range map[string]string{
		"":                              "the image is empty",
		"nginx":                         "has no tag",
		"registry:5000/nginx":           "has no tag",
		"nginx:latest":                  "floats",
		"envoyproxy/envoy:v1.36-latest": "floats",
		"ko://example.org/x":            "is a Go import path",
	} {
		patch := Patch{Kind: "Deployment", Name: "server", Merge: map[string]any{"spec": map[string]any{"template": map[string]any{
			"spec": map[string]any{"containers": []any{map[string]any{"name": "server", "image": image}}},
		}}}}
		_, err := smallTree(t, nil, patch)
		require.ErrorContains(t, err, want, "image %q", image)
		assert.ErrorContains(t, err, "Deployment tool/server", "image %q", image)
	}
	for _, image := range []string{"nginx:1.27", "registry:5000/nginx:1", "nginx@sha256:0000"} {
		assert.NoError(t, checkImage(image))
	}
	_, err := smallTree(t, nil, Patch{Kind: "ConfigMap", Name: "config", Merge: map[string]any{"data": map[string]any{"text": `{"image": "a/b:latest"}`}}})
	assert.ErrorContains(t, err, `ConfigMap tool/config: "a/b:latest" floats`, "also inside configuration")
}

func TestACancelledRenderEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, err := New(gitops.FS, "")
	require.NoError(t, err)
	_, err = r.Layer(ctx, "kserve-runtimes")
	assert.ErrorIs(t, err, context.Canceled)
}

func TestRenderingTwiceGivesTheSameBytes(t *testing.T) {
	merge := map[string]any{}
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		merge[key] = key
	}
	patch := Patch{Kind: "ConfigMap", Name: "config", Merge: map[string]any{"data": merge}}
	first, err := smallTree(t, nil, patch)
	require.NoError(t, err)
	for range 8 {
		again, err := smallTree(t, nil, patch)
		require.NoError(t, err)
		require.Equal(t, first.Hash(), again.Hash())
		a, err := first.Archive()
		require.NoError(t, err)
		b, err := again.Archive()
		require.NoError(t, err)
		require.Equal(t, a, b)
	}
	assert.Regexp(t, "^[0-9a-f]{12}$", first.Hash())
	assert.NotEqual(t, first.Hash(), mustTree(t, nil).Hash(), "a change has to change the name")
}

func mustTree(t *testing.T, change map[string]string, patches ...Patch) *Tree {
	t.Helper()
	tree, err := smallTree(t, change, patches...)
	require.NoError(t, err)
	return tree
}
