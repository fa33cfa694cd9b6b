package render

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

var update = flag.Bool("update", false, "write the golden files")

// shared is a cache folder for the tests that only read results.
var shared string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if shared, err = os.MkdirTemp("", "render-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(shared)
	os.Exit(code)
}

func platform(t *testing.T) *Renderer {
	t.Helper()
	r, err := New(gitops.FS, shared)
	require.NoError(t, err)
	return r
}

func rendered(t *testing.T, layer string, patches ...Patch) *Tree {
	t.Helper()
	tree, err := platform(t).Layer(context.Background(), layer, patches...)
	require.NoError(t, err)
	return tree
}

func object(t *testing.T, tree *Tree, kind, name string) map[string]any {
	t.Helper()
	for _, o := range tree.Objects() {
		if kindOf(o) == kind && nameOf(o) == name {
			return o
		}
	}
	require.Failf(t, "object missing", "layer %s has no %s %s", tree.Name(), kind, name)
	return nil
}

func TestLayersAreTheFoldersOfThePlatform(t *testing.T) {
	folders, err := fs.ReadDir(gitops.FS, platformFolder)
	require.NoError(t, err)
	var names []string
	for _, f := range folders {
		names = append(names, f.Name())
	}
	assert.Equal(t, names, platform(t).Layers())
}

// Every field one of our patches sets is in the rendered object with that value.
// The golden files hold only these fields, not upstream's text.
func TestWhatOurPatchesSetIsRendered(t *testing.T) {
	r := platform(t)
	for _, name := range r.Layers() {
		t.Run(name, func(t *testing.T) {
			tree := rendered(t, name)
			var got bytes.Buffer
			for _, ours := range ownDocuments(t, r, name) {
				o := object(t, tree, kindOf(ours), nameOf(ours))
				shown, err := yaml.Marshal(project(o, ours, ""))
				require.NoError(t, err)
				got.WriteString("---\n")
				got.Write(shown)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "run the test with -update")
			assert.Equal(t, string(want), got.String())
		})
	}
}

// ownDocuments are the patches and objects of a layer's folder.
func ownDocuments(t *testing.T, r *Renderer, layer string) []map[string]any {
	t.Helper()
	var documents []map[string]any
	root := path.Join(platformFolder, layer)
	require.NoError(t, fs.WalkDir(gitops.FS, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Base(p) == layerFile || path.Base(p) == "kustomization.yaml" {
			return err
		}
		data, err := fs.ReadFile(gitops.FS, p)
		if err != nil {
			return err
		}
		text, err := r.upstream.expand(string(data))
		if err != nil {
			return err
		}
		for _, document := range splitDocuments([]byte(text)) {
			o, err := decodeObject(document)
			if err != nil {
				return err
			}
			if kindOf(o) == "" {
				continue // a program's own file, which kustomize puts into a ConfigMap
			}
			documents = append(documents, o)
		}
		return nil
	}))
	require.NotEmpty(t, documents)
	return documents
}

// project keeps of v what shape has: the same keys, and of a list whose elements
// have names the same names.
func project(v, shape any, field string) any {
	switch shape := shape.(type) {
	case map[string]any:
		value, _ := v.(map[string]any)
		out := map[string]any{}
		for k, s := range shape {
			if e, ok := value[k]; ok {
				out[k] = project(e, s, k)
			}
		}
		return out
	case []any:
		value, _ := v.([]any)
		key := listKey(field, value, shape)
		if key == "" {
			return v
		}
		out := []any{}
		for _, s := range shape {
			for _, e := range value {
				if e.(map[string]any)[key] == s.(map[string]any)[key] {
					out = append(out, project(e, s, ""))
				}
			}
		}
		return out
	}
	return v
}

func TestNoLayerNeedsMoreThanAConfigMapCanCarry(t *testing.T) {
	for _, name := range platform(t).Layers() {
		archive, err := rendered(t, name).Archive()
		require.NoError(t, err)
		assert.Less(t, len(archive), 512<<10, "layer %s: a ConfigMap holds 1 MiB, of base64 or not", name)
		assert.NotEmpty(t, archive, "layer %s", name)
	}
}

func TestTheArchiveHoldsEveryObjectOnce(t *testing.T) {
	for _, name := range platform(t).Layers() {
		tree := rendered(t, name)
		archive, err := tree.Archive()
		require.NoError(t, err)
		unzipped, err := gzip.NewReader(bytes.NewReader(archive))
		require.NoError(t, err)
		files := map[string]string{}
		for r := tar.NewReader(unzipped); ; {
			header, err := r.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			data, err := io.ReadAll(r)
			require.NoError(t, err)
			files[header.Name] = string(data)
		}
		for _, o := range tree.Objects() {
			var got map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(files[fileName(o)]), &got))
			assert.Equal(t, nameOf(o), nameOf(got))
			if name == "kserve-runtimes" {
				assert.Contains(t, files["kustomization.yaml"], "- "+fileName(o)+"\n")
			}
			delete(files, fileName(o))
		}
		delete(files, "kustomization.yaml")
		assert.Empty(t, files, "layer %s has files that are no objects", name)
	}
}

// All of Argo CD, serving, the portal and the forge shall ask for less than 0.8 cores;
// this leaves the forge 0.48.
func TestThePlatformAsksForLittleCPU(t *testing.T) {
	cpu, memory := resource.Quantity{}, resource.Quantity{}
	for _, name := range platform(t).Layers() {
		for _, o := range rendered(t, name).Objects() {
			if kindOf(o) != "Deployment" && kindOf(o) != "StatefulSet" {
				continue
			}
			containers, _ := dig(o, "spec", "template", "spec", "containers").([]any)
			for _, c := range containers {
				for field, sum := range map[string]*resource.Quantity{"cpu": &cpu, "memory": &memory} {
					request, ok := dig(c, "resources", "requests", field).(string)
					require.True(t, ok, "%s requests no %s", describe(o), field)
					sum.Add(resource.MustParse(request))
					assert.NotNil(t, dig(c, "resources", "limits", field), "%s has no %s limit", describe(o), field)
				}
			}
		}
	}
	t.Logf("requests: cpu %s, memory %s", cpu.String(), memory.String())
	assert.Less(t, cpu.MilliValue(), int64(400))
	assert.Less(t, memory.Value(), int64(1700<<20))
}

func dig(v any, keys ...string) any {
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

func TestEveryImageIsPinnedAndKnown(t *testing.T) {
	r := platform(t)
	known := r.Upstream().references()
	images := 0
	for _, name := range r.Layers() {
		tree := rendered(t, name)
		images += len(tree.Images())
		for _, image := range tree.Images() {
			assert.Contains(t, known, image, "layer %s: pin it in upstream.yaml", name)
		}
		text, err := tree.YAML()
		require.NoError(t, err)
		assert.NotContains(t, string(text), ":latest")
		assert.NotContains(t, string(text), "ko://")
		assert.NotContains(t, string(text), "${")
	}
	assert.Greater(t, images, 10)
}

func TestNoLayerCarriesASecret(t *testing.T) {
	for _, name := range platform(t).Layers() {
		for _, o := range rendered(t, name).Objects() {
			if kindOf(o) == "Secret" {
				assert.Empty(t, o["data"], describe(o))
				assert.Empty(t, o["stringData"], describe(o))
			}
		}
	}
}

func TestObjectsComeInTheOrderTheyAreNeeded(t *testing.T) {
	for _, name := range platform(t).Layers() {
		last := 0
		for _, o := range rendered(t, name).Objects() {
			require.GreaterOrEqual(t, rank(kindOf(o)), last, "layer %s: %s comes too late", name, describe(o))
			last = rank(kindOf(o))
		}
	}
}

// Before KServe's controller answers, its webhooks would refuse every pod of a
// model and every runtime: they may only be in the layer that waits for it.
func TestKServeWebhooksWaitForTheirController(t *testing.T) {
	assert.Empty(t, rendered(t, "kserve").WebhookConfigurations())
	tree := rendered(t, "kserve-runtimes")
	assert.Equal(t, []WebhookConfiguration{
		{"MutatingWebhookConfiguration", "inferenceservice.serving.kserve.io", 2},
		{"ValidatingWebhookConfiguration", "clusterservingruntime.serving.kserve.io", 1},
		{"ValidatingWebhookConfiguration", "inferencegraph.serving.kserve.io", 1},
		{"ValidatingWebhookConfiguration", "inferenceservice.serving.kserve.io", 1},
		{"ValidatingWebhookConfiguration", "servingruntime.serving.kserve.io", 1},
		{"ValidatingWebhookConfiguration", "trainedmodel.serving.kserve.io", 1},
	}, tree.WebhookConfigurations())
	for _, o := range tree.Objects() {
		webhooks, _ := o["webhooks"].([]any)
		for _, w := range webhooks {
			client := dig(w, "clientConfig").(map[string]any)
			assert.NotContains(t, client, "caBundle", "%s: the certificate authority is only known when it is made", describe(o))
			assert.Equal(t, "kserve-webhook-server-service", dig(client, "service", "name"))
			assert.Equal(t, "kserve", dig(client, "service", "namespace"))
		}
	}
	object(t, tree, "ClusterServingRuntime", "kserve-sklearn-server")
	object(t, tree, "ClusterStorageContainer", "default")
}

// Knative hands the probe of a model's server on to its own proxy, whose answer
// decides when the endpoint is ready.
func TestAModelServerIsReadyASecondAfterItListens(t *testing.T) {
	runtime := object(t, rendered(t, "kserve-runtimes"), "ClusterServingRuntime", "kserve-sklearn-server")
	probe := dig(runtime, "spec", "containers").([]any)[0].(map[string]any)["readinessProbe"]
	assert.EqualValues(t, 1, dig(probe, "periodSeconds"))
	assert.EqualValues(t, 8080, dig(probe, "tcpSocket", "port"))
	assert.EqualValues(t, 30, dig(probe, "failureThreshold"), "a server that is busy for seconds must keep its requests")
}

// What KServe adds to tenants' pods is made by a controller, so no policy sees it.
func TestWhatKServeAddsToAPodCannotBecomeRoot(t *testing.T) {
	tree := rendered(t, "kserve-runtimes")
	for kind, container := range map[string]any{
		"ClusterStorageContainer": dig(object(t, tree, "ClusterStorageContainer", "default"), "spec", "container"),
		"ClusterServingRuntime":   dig(object(t, tree, "ClusterServingRuntime", "kserve-sklearn-server"), "spec", "containers").([]any)[0],
	} {
		assert.Equal(t, map[string]any{
			"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		}, dig(container, "securityContext"), kind)
	}
}

func TestNothingOfWhatIsCutIsLeft(t *testing.T) {
	for layer, words := range map[string][]string{
		"argocd":          {"dex-server\n", "notifications-controller\n", "name: argocd-secret\n  namespace"},
		"knative":         {"HorizontalPodAutoscaler", "PodDisruptionBudget", "_example", "example-checksum"},
		"kserve":          {"kube-rbac-proxy", "llm", "localmodel", "cert-manager.io"},
		"kserve-runtimes": {"localmodel", "cert-manager.io"},
	} {
		for _, o := range rendered(t, layer).Objects() {
			if kindOf(o) == crdKind || kindOf(o) == "ClusterRole" || kindOf(o) == "NetworkPolicy" || nameOf(o) == "argocd-server" {
				continue
			}
			text, err := yaml.Marshal(o)
			require.NoError(t, err)
			for _, word := range words {
				assert.NotContains(t, string(text), word, describe(o))
			}
		}
	}
}

// The keys are those that Argo CD's own source reads: of a misspelt one nobody
// would hear.
func TestNothingThatIsMergedIsAProgramToArgoCD(t *testing.T) {
	r := platform(t)
	source, err := r.Module(t.Context(), "argo-cd")
	require.NoError(t, err)
	settings, err := os.ReadFile(filepath.Join(source, "util", "settings", "settings.go"))
	require.NoError(t, err)
	data := dig(object(t, rendered(t, "argocd"), "ConfigMap", "argocd-cm"), "data")
	for _, key := range []string{"jsonnet.enable", "helm.enable"} {
		assert.Contains(t, string(settings), `"`+key+`"`, "Argo CD does not read it")
		assert.Equal(t, "false", dig(data, key), key)
	}
}

func TestNoEmptyListLooksLikeADifference(t *testing.T) {
	pod := dig(object(t, rendered(t, "argocd"), "Deployment", "argocd-redis"), "spec", "template", "spec").(map[string]any)
	assert.NotContains(t, pod, "initContainers")
	for _, name := range platform(t).Layers() {
		for _, o := range rendered(t, name).Objects() {
			for _, key := range []string{"labels", "annotations"} {
				if m, ok := dig(o, "metadata", key).(map[string]any); ok {
					assert.NotEmpty(t, m, "%s: %s", describe(o), key)
				}
			}
		}
	}
}

func TestVersionNamesTheUpstreams(t *testing.T) {
	assert.Equal(t, "knative-serving v0.48.0, net-kourier v0.48.0", rendered(t, "knative").Version())
}

func TestOurManifestsNameNoImageByThemselves(t *testing.T) {
	require.NoError(t, fs.WalkDir(gitops.FS, platformFolder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Base(p) == layerFile {
			return err
		}
		data, err := fs.ReadFile(gitops.FS, p)
		for line := range strings.Lines(string(data)) {
			if _, image, found := strings.Cut(line, "image: "); found {
				assert.True(t, strings.HasPrefix(image, "${image:"), "%s: %s", p, line)
			}
		}
		return err
	}))
}
