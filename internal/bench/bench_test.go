package bench

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/fake"

	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestTheTableShowsPromiseMeasurementAndVerdict(t *testing.T) {
	results := []Result{
		summarize(Target{"drift", "deleted nginx-test Deployment back and Ready", "s", 3, "median"}, []float64{1.9, 1.6, 2.2, 9}),
		summarize(Target{"latency-p95", "prediction through the gateway, p95", "ms", 5, "p95"}, []float64{1, 2, 3, 100}),
		summarize(Target{"push", "endpoint folder pushed to main, to first 200", "s", 20, "median"}, nil),
	}
	results[0].Note = "a note"
	results[2].Error = "git push: refused"
	var out bytes.Buffer
	require.NoError(t, Table(&out, results))
	file := filepath.Join("testdata", "table.txt")
	if *update {
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), out.String())
	assert.EqualError(t, Missed(results), "2 of 3 targets missed: latency-p95, push")
	assert.NoError(t, Missed(results[:1]))
}

func TestTheStatisticOfTheTargetDecides(t *testing.T) {
	samples := []float64{1, 1, 1, 1, 10}
	for statistic, want := range map[string]bool{"median": true, "p95": false, "max": false, "least": false} {
		assert.Equal(t, want, summarize(Target{Limit: 5, Statistic: statistic}, samples).Pass, statistic)
	}
	r := summarize(Target{Limit: 5, Statistic: "median"}, []float64{4, 1, 3, 2})
	assert.Equal(t, []float64{1, 2.5, 4}, []float64{r.Min, r.Median, r.Max})
	assert.InDelta(t, 3.85, r.P95, 1e-9)
}

func TestEveryTargetIsMeasuredOnceAndInItsTurn(t *testing.T) {
	var targets, measured []string
	for _, target := range Targets {
		targets = append(targets, target.Name)
	}
	for _, m := range measurements {
		measured = append(measured, m.targets...)
	}
	assert.Equal(t, targets, measured)
	for _, target := range slices.Concat(Targets, ByHand) {
		assert.Contains(t, []string{"median", "p95", "max", "least"}, target.Statistic)
	}
}

func TestSelectNeverTakesTheNodeDownUnasked(t *testing.T) {
	names := func(targets []Target, err error) string {
		require.NoError(t, err)
		var n []string
		for _, target := range targets {
			n = append(n, target.Name)
		}
		return strings.Join(n, " ")
	}
	all := names(Select(nil, Has{Portal: true}))
	assert.Equal(t, "no-change preview guard-1000 latency-p50 latency-p95 drift form propose status merge push zero load-p99 load-failed load-most load-pod load-doorkeeper load-gateway load-argocd load-kyverno guard-memory portal-memory memory portal-ready", all)
	assert.Equal(t, "no-change preview guard-1000 latency-p50 latency-p95 drift propose status merge push zero load-p99 load-failed load-most load-pod load-doorkeeper load-gateway load-argocd load-kyverno guard-memory memory", names(Select(nil, Has{})))
	assert.Equal(t, all+" growth-seen growth-ready growth-verify growth-status growth-memory destroy node-down warm-up warm-all", names(Select(nil, Has{Portal: true, Sealed: true})))
	assert.Equal(t, "drift warm-up", names(Select([]string{"warm-up", "drift"}, Has{Sealed: true})))
	assert.Equal(t, "latency-p50 latency-p95 growth-seen growth-ready growth-verify growth-status growth-memory", names(Select([]string{"growth", "latency"}, Has{Sealed: true})))
	_, err := Select([]string{"growth"}, Has{})
	assert.ErrorContains(t, err, "--only growth-seen gives the first tenant a wider quota meanwhile: pass --sealed")
	_, err = Select([]string{"load-"}, Has{})
	assert.ErrorContains(t, err, "--only load- is unknown")
	_, err = Select([]string{"destroy"}, Has{})
	assert.ErrorContains(t, err, "pass --sealed")
	_, err = Select([]string{"form"}, Has{})
	assert.ErrorContains(t, err, "portal.enabled")
	_, err = Select([]string{"drifd"}, Has{})
	assert.ErrorContains(t, err, `--only drifd is unknown (did you mean "drift"?)`)
}

func TestAFailedMeasurementIsAMissedTargetAndTheOthersRun(t *testing.T) {
	p := &Platform{Log: io.Discard, Self: func(_ context.Context, args ...string) ([]byte, error) {
		if args[0] == "preview" {
			return nil, errors.New("it broke")
		}
		return []byte(`{"changed":false}`), nil
	}}
	targets, err := Select([]string{"no-change", "preview"}, Has{})
	require.NoError(t, err)
	results, err := Run(context.Background(), p, targets)
	require.NoError(t, err)
	require.Len(t, results, 2)
	assert.True(t, results[0].Pass)
	assert.Len(t, results[0].Samples, 3)
	assert.False(t, results[1].Pass)
	assert.Equal(t, "run 1: it broke", results[1].Error)
}

func TestAnUpThatChangedSomethingIsNoNoChangeRun(t *testing.T) {
	p := &Platform{Self: func(context.Context, ...string) ([]byte, error) { return []byte(`{"changed":true}`), nil }}
	_, _, err := noChange(context.Background(), p)
	assert.ErrorContains(t, err, "changed something")
}

func TestWarmUpTakesTheNodeDownFirst(t *testing.T) {
	var calls []string
	p := &Platform{
		Self: func(_ context.Context, a ...string) ([]byte, error) {
			calls = append(calls, "self "+a[0])
			return []byte(`{"seconds":120,"phases":[{"name":"prediction","fromSeconds":80,"seconds":15.5}]}`), nil
		},
		Sealed: func(_ context.Context, a ...string) ([]byte, error) {
			calls = append(calls, "sealed "+a[0])
			return nil, nil
		},
	}
	samples, _, err := warmUp(context.Background(), p)
	require.NoError(t, err)
	assert.Equal(t, []string{"sealed down", "sealed up", "self up"}, calls)
	// All of this took no time, so that only what `up` reports is left.
	assert.InDelta(t, 95.5, samples["warm-up"][0], 1)
	assert.InDelta(t, 0, samples["warm-all"][0], 1)
}

func TestThePredictionIsWhatCountsNotTheEndOfUp(t *testing.T) {
	const report = `{"seconds":120,"phases":[{"name":"portal","fromSeconds":1,"seconds":118},{"name":"prediction","fromSeconds":80,"seconds":15.5}]}`
	at, err := predictedAfter([]byte(report), 122)
	require.NoError(t, err)
	assert.Equal(t, 97.5, at, "the two seconds nobody reports count as before")
	_, err = predictedAfter([]byte(`{"seconds":120,"phases":[]}`), 122)
	assert.ErrorContains(t, err, "no prediction")
}

func object(apiVersion, kind, namespace, name string, more map[string]any) *unstructured.Unstructured {
	o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name, "namespace": namespace}}
	for k, v := range more {
		o[k] = v
	}
	return &unstructured.Unstructured{Object: o}
}

func cluster(objects ...runtime.Object) *fake.FakeDynamicClient {
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		kube.InferenceServices: "InferenceServiceList", kube.Applications: "ApplicationList", kube.Nodes: "NodeList", kube.Pods: "PodList", kube.Deployments: "DeploymentList",
	}, objects...)
}

func TestMemoryLeavesTenantsOut(t *testing.T) {
	p := &Platform{Namespace: "default", Dynamic: cluster(object("v1", "Node", "", "n1", nil)),
		Get: func(_ context.Context, path string) ([]byte, error) {
			assert.Equal(t, "/api/v1/nodes/n1/proxy/stats/summary", path)
			return []byte(`{"pods":[
				{"podRef":{"name":"argocd-server","namespace":"argocd"},"containers":[{"memory":{"rssBytes":300000000}},{"memory":{"rssBytes":200000000}}]},
				{"podRef":{"name":"demo-iris-2","namespace":"default"},"containers":[{"memory":{"rssBytes":900000000}}]}]}`), nil
		}}
	samples, note, err := memory(context.Background(), p)
	require.NoError(t, err)
	assert.Equal(t, []float64{0.5}, samples)
	assert.Contains(t, note, "1 pods")
}

func TestMemoryOfNothingIsAnErrorNotZero(t *testing.T) {
	p := &Platform{Dynamic: cluster(object("v1", "Node", "", "n1", nil)),
		Get: func(context.Context, string) ([]byte, error) { return []byte(`{"pods":[]}`), nil }}
	_, _, err := memory(context.Background(), p)
	assert.ErrorContains(t, err, "no resident memory")
}

func TestDriftCountsOnlyTheNewDeployment(t *testing.T) {
	deployment := func(uid string) *unstructured.Unstructured {
		o := object("apps/v1", "Deployment", "default", driftDeployment, map[string]any{
			"spec": map[string]any{"replicas": int64(1)}, "status": map[string]any{
				"replicas": int64(1), "updatedReplicas": int64(1), "readyReplicas": int64(1), "availableReplicas": int64(1),
				"observedGeneration": int64(1),
				"conditions":         []any{map[string]any{"type": "Available", "status": "True"}},
			},
		})
		o.SetUID(types.UID("uid-" + uid))
		o.SetGeneration(1)
		return o
	}
	c := cluster(deployment("0"))
	client := c.Resource(kube.Deployments).Namespace("default")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // the self-heal
		for i := 1; ctx.Err() == nil; {
			if _, err := client.Get(ctx, driftDeployment, metav1.GetOptions{}); err != nil {
				if _, err := client.Create(ctx, deployment(strings.Repeat("x", i)), metav1.CreateOptions{}); err == nil {
					i++
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	samples, _, err := drift(ctx, &Platform{Namespace: "default", Dynamic: c})
	require.NoError(t, err)
	assert.Len(t, samples, 10)
}

func TestPushAddsWaitsAndLeavesNothingBehind(t *testing.T) {
	origin := filepath.Join(t.TempDir(), "endpoints.git")
	seed := t.TempDir()
	sh := func(dir string, args ...string) {
		_, err := git.Run(t.Context(), dir, args...)
		require.NoError(t, err)
	}
	sh("", "init", "-q", "--bare", "--initial-branch=main", origin)
	sh(seed, "init", "-q", "--initial-branch=main")
	folder := filepath.Join(seed, "apps", warmEndpoint)
	require.NoError(t, os.MkdirAll(folder, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "inference-service.yaml"), []byte("name: demo-iris-2\n"), 0o644))
	sh(seed, "add", "--all")
	sh(seed, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "Seed")
	sh(seed, "push", "-q", origin, "main")

	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimSuffix(r.Host, "-predictor.default.neuroscale.test")
		out, err := git.Run(t.Context(), origin, "show", "main:apps/"+name+"/inference-service.yaml")
		if err != nil || out != "name: "+name {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		asked = append(asked, name)
	}))
	defer server.Close()
	checkout, err := git.Clone(t.Context(), git.Remote{URL: "file://" + origin}, git.Author{Name: "t", Email: "t@t"}, t.TempDir())
	require.NoError(t, err)
	repo := repository{checkout}
	p := &Platform{Dynamic: cluster(), HTTP: server.Client(), Gateway: server.URL, Domain: "neuroscale.test", Namespace: "default"}
	took, err := repo.addEndpoint(context.Background(), p, "bench-iris-1")
	require.NoError(t, err)
	assert.Positive(t, took)
	require.NoError(t, repo.removeEndpoint(context.Background(), p, "bench-iris-1"))
	assert.Equal(t, []string{"bench-iris-1"}, asked)
	out, err := git.Run(t.Context(), origin, "ls-tree", "--name-only", "main", "apps/")
	require.NoError(t, err)
	assert.Equal(t, "apps/demo-iris-2", out, "the endpoint stayed behind")
}
