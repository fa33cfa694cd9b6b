package render

import (
	"context"
	"errors"
	"io/fs"
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
	require.EqualError(t, err, `unknown layer "zzzzzzzzzz": known are argocd, knative, kserve, kserve-runtimes`)
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
  patch: '[{op: replace, path: /spec/versions/0/schema/openAPIV3Schema/properties, value: {}}]'
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

func TestModuleProblemsSayWhatToDo(t *testing.T) {
	m := Module{Path: "example.org/tool", Version: "v1.2.3", Sum: "h1:good"}
	require.NoError(t, m.verify("h1:good"))
	assert.EqualError(t, m.verify("h1:bad"), "module example.org/tool@v1.2.3 has checksum h1:bad, but gitops/upstream.yaml pins h1:good: "+
		"if the version was changed on purpose set its new checksum there, else do not trust this download")
	for said, want := range map[string]string{
		"verifying module: checksum mismatch\n\tSECURITY ERROR":       "does not match the Go checksum database",
		"Get \"https://proxy\": dial tcp: lookup proxy: no such host": "the module proxy is not reachable",
		"reading https://proxy/x.zip: 403 Forbidden":                  "is refused by the module proxy",
		"unknown revision v1.2.3":                                     "is refused by the module proxy",
		"disk full":                                                   "cannot be downloaded: disk full",
	} {
		problem, everyone := refusal(m, said)
		assert.ErrorContains(t, problem, want, said)
		assert.Equal(t, strings.Contains(said, "dial tcp"), everyone, said)
	}
}

func TestWithoutGoTheErrorSaysSo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := goModDownload(context.Background(), []Module{{Path: "example.org/tool", Version: "v1"}})
	assert.ErrorContains(t, err, "there is no go on PATH: install Go")
}

func TestWithoutNetworkThereIsOneSentence(t *testing.T) {
	// Nothing listens on port 1, and an empty module cache has nothing to offer.
	t.Setenv("GOPROXY", "http://127.0.0.1:1")
	t.Setenv("GOSUMDB", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	_, err := goModDownload(context.Background(), []Module{{Path: "example.org/a", Version: "v1.0.0"}, {Path: "example.org/b", Version: "v1.0.0"}})
	require.ErrorContains(t, err, "the module proxy is not reachable: check the network or GOPROXY")
	assert.NotContains(t, err.Error(), "\n")
}

func TestAModuleThatIsNotThePinnedOneIsRefused(t *testing.T) {
	files := fstest.MapFS{}
	require.NoError(t, fs.WalkDir(gitops.FS, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(gitops.FS, p)
		files[p] = &fstest.MapFile{Data: data}
		return err
	}))
	kserve := platform(t).Upstream().Modules["kserve"]
	text := string(files[UpstreamFile].Data)
	files[UpstreamFile] = &fstest.MapFile{Data: []byte(replaceOnce(t, text, kserve.Sum, "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))}
	r, err := New(files, shared)
	require.NoError(t, err)
	_, err = r.Layer(context.Background(), "kserve-runtimes")
	assert.ErrorContains(t, err, "has checksum "+kserve.Sum+", but gitops/upstream.yaml pins h1:AAAA")
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

func TestACachedResultIsTheUncachedOne(t *testing.T) {
	uncached, err := New(gitops.FS, "")
	require.NoError(t, err)
	cache := t.TempDir()
	for _, name := range uncached.Layers() {
		want, err := uncached.Layer(context.Background(), name)
		require.NoError(t, err)
		for _, run := range []string{"cold", "warm"} {
			cached, err := New(gitops.FS, cache)
			require.NoError(t, err)
			if run == "warm" {
				cached.fetch = func(context.Context, []Module) ([]string, error) {
					return nil, errors.New("a cached layer needs no module")
				}
			}
			got, err := cached.Layer(context.Background(), name)
			require.NoError(t, err, run)
			assert.Equal(t, want.files, got.files, "%s %s", run, name)
			assert.Equal(t, want.Objects(), got.Objects(), "%s %s", run, name)
		}
	}
}

func TestABrokenCacheIsRenderedAnew(t *testing.T) {
	cache := t.TempDir()
	r, err := small(t, cache, nil)
	require.NoError(t, err)
	want, err := r.Layer(context.Background(), "tool")
	require.NoError(t, err)
	cached, err := filepath.Glob(filepath.Join(cache, "*", cachedFile))
	require.NoError(t, err)
	require.Len(t, cached, 1)
	whole, err := os.ReadFile(cached[0])
	require.NoError(t, err)
	for _, broken := range [][]byte{nil, whole[:len(whole)/2], append([]byte("x"), whole...)} {
		require.NoError(t, os.WriteFile(cached[0], broken, 0o644))
		got, err := r.Layer(context.Background(), "tool")
		require.NoError(t, err)
		assert.Equal(t, want.Hash(), got.Hash())
	}
}

func TestAChangedInputIsNotServedFromTheCache(t *testing.T) {
	cache := t.TempDir()
	hashes := map[string]bool{}
	for _, change := range []map[string]string{
		nil,
		{"platform/tool/kustomization.yaml": kustomizationText + "commonAnnotations: {a: b}\n"},
		{"upstream.yaml": replaceOnce(t, pins, "server:v1.2.3", "server:v1.2.4")},
	} {
		r, err := small(t, cache, change)
		require.NoError(t, err)
		tree, err := r.Layer(context.Background(), "tool")
		require.NoError(t, err)
		hashes[tree.Hash()] = true
	}
	assert.Len(t, hashes, 3)
}

func TestACacheThatCannotBeWrittenDoesNotStopARender(t *testing.T) {
	occupied := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(occupied, nil, 0o644))
	r, err := small(t, occupied, nil)
	require.NoError(t, err)
	_, err = r.Layer(context.Background(), "tool")
	assert.NoError(t, err)
}
