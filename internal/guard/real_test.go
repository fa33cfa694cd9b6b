package guard

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// real are options with the program and the schemas people use.
func real(t testing.TB, paths ...string) Options {
	t.Helper()
	program := rig.Kyverno(t)
	cache, err := rig.Cache()
	require.NoError(t, err)
	return Options{
		Paths: paths, Tenants: config.Default().Tenants, GitOps: gitops.FS, Kyverno: program,
		RenderCache: filepath.Join(cache, "render"), SchemaCache: filepath.Join(cache, "schemas"),
	}
}

func TestBothRealEnginesJudgeTheProbesAsTheyHaveTo(t *testing.T) {
	r, err := Run(context.Background(), real(t, filepath.Join("..", "..", "gitops", "apps")))
	require.NoError(t, err)
	assert.Empty(t, messages(r))
	assert.NotZero(t, r.ProbesExpected)
	assert.Equal(t, r.ProbesExpected, r.Probes)
	assert.NoError(t, r.Err())
}

// A name, a text or a number that Kyverno's command line would stumble over must
// not keep a document from being judged.
func TestRealKyvernoJudgesOddDocuments(t *testing.T) {
	t.Chdir(folder(t, map[string]string{
		"apps/a/list.yaml": "apiVersion: v1\nkind: List\nitems:\n- " + indent(deployment("good")) + "\n- " + indent(deployment("x.y")) + "\n",
		"apps/a/json.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"---\nkind: List\n{{ .x }}\n"}}`,
		"apps/b/same.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: good}\nspec: {ports: [{port: 80}]}\n",
		"apps/c/null.yaml": deployment("nothing") + "status:\n",
	}))
	r, err := Run(context.Background(), real(t, "apps"))
	require.NoError(t, err)
	assert.Empty(t, messages(r))
	assert.Len(t, r.Documents, 5)
	assert.True(t, r.Passed)
}

// indent makes text an element of a list.
func indent(text string) string {
	out := ""
	for i := range len(text) {
		out += text[i : i+1]
		if text[i] == '\n' && i+1 < len(text) {
			out += "  "
		}
	}
	return out
}

func inferenceServiceManifest(name string) string {
	return fmt.Sprintf(`apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: %s
  labels: {owner: a, cost-center: b}
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 2
    model:
      modelFormat: {name: sklearn}
      storageUri: gs://example/model
      securityContext: {runAsNonRoot: true, runAsUser: 1000}
      resources:
        requests: {cpu: 50m, memory: 256Mi}
        limits: {cpu: "1", memory: 512Mi}
`, name)
}

// BenchmarkGuard is a whole run over as many manifests, half of them
// InferenceServices and half Deployments.
func BenchmarkGuard(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			files := map[string]string{}
			for i := range n {
				text := deployment(fmt.Sprintf("d%d", i))
				if i%2 == 0 {
					text = inferenceServiceManifest(fmt.Sprintf("i%d", i))
				}
				files[fmt.Sprintf("apps/e%d/x.yaml", i)] = text
			}
			o := real(b, folder(b, files))
			for b.Loop() {
				r, err := Run(context.Background(), o)
				require.NoError(b, err)
				require.NoError(b, r.Err())
			}
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N)/float64(n), "ms/manifest")
		})
	}
}
