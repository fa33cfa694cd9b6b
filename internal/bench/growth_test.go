package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// growing is a platform that makes an Application and an InferenceService of every
// folder on main, and notes what it is asked.
type growing struct {
	*Platform
	forge *forgeDouble
	mu    sync.Mutex
	calls []string
	// fails are commands that fail.
	fails map[string]error
	// amiss are how often verify finds something amiss.
	amiss int
}

func newGrowing(t *testing.T) *growing {
	t.Helper()
	g := &growing{forge: newForge(t), fails: map[string]error{}}
	g.Platform = g.forge.walker()
	g.Log = t.Output()
	g.Dynamic = cluster(object("v1", "Node", "", "n1", nil))
	g.Get = func(context.Context, string) ([]byte, error) {
		return []byte(`{"pods":[{"podRef":{"name":"argocd-server","namespace":"argocd"},"containers":[{"memory":{"rssBytes":500000000}}]}]}`), nil
	}
	note := func(call string) ([]byte, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.calls = append(g.calls, fmt.Sprintf("%s with %d", call, len(g.forge.folders())))
		return nil, g.fails[call]
	}
	g.Roomy = func(_ context.Context, endpoints int) (func(context.Context, ...string) ([]byte, error), func(context.Context) error, error) {
		_, err := note(fmt.Sprintf("room for %d", endpoints))
		return func(_ context.Context, args ...string) ([]byte, error) {
				_, err := note(args[0])
				switch {
				case args[0] != "verify":
					return nil, err
				case err != nil:
					return []byte(`{"checks":[]}`), err
				case g.amiss > 0:
					g.amiss--
					return []byte(`{"checks":[{"id":"E2","status":"fail","evidence":"measured once"}],"failed":1}`), errors.New("1 failed")
				}
				return []byte(`{"checks":[{"id":"A1","status":"pass","seconds":0.5},{"id":"B5","status":"pass","seconds":2.5}],"passed":2}`), nil
			},
			func(ctx context.Context) error {
				_, err := note("back")
				return errors.Join(err, ctx.Err())
			}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { g.follow(ctx) })
	t.Cleanup(func() { cancel(); ended.Wait() })
	return g
}

// follow makes and removes objects, as Argo CD and KServe do.
func (g *growing) follow(ctx context.Context) {
	services, apps := g.Dynamic.Resource(kube.InferenceServices).Namespace(g.Namespace), g.Dynamic.Resource(kube.Applications).Namespace(argocd.Namespace)
	there := map[string]bool{}
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		now := map[string]bool{}
		for _, name := range g.forge.folders() {
			now[name] = true
			if !there[name] {
				service := object("serving.kserve.io/v1beta1", "InferenceService", g.Namespace, name, map[string]any{
					"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
				})
				for _, make := range []func() (*unstructured.Unstructured, error){
					func() (*unstructured.Unstructured, error) {
						return services.Create(ctx, service, metav1.CreateOptions{})
					},
					func() (*unstructured.Unstructured, error) {
						return apps.Create(ctx, object("argoproj.io/v1alpha1", "Application", argocd.Namespace, name, nil), metav1.CreateOptions{})
					},
				} {
					if _, err := make(); err != nil && ctx.Err() == nil {
						panic(err)
					}
				}
			}
		}
		for name := range there {
			if !now[name] {
				_ = services.Delete(ctx, name, metav1.DeleteOptions{})
				_ = apps.Delete(ctx, name, metav1.DeleteOptions{})
			}
		}
		there = now
	}
}

func TestAPlatformIsMeasuredAtEachSizeAndShrinksAgain(t *testing.T) {
	g := newGrowing(t)
	g.forge.add("bench-many-7") // of a run that was killed
	samples, note, err := growth(t.Context(), g.Platform)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"room for 50 with 0", "verify with 1", "status with 1", "verify with 10", "status with 10", "verify with 50", "status with 50", "back with 0",
	}, g.calls)
	for _, target := range Targets {
		if target.means("growth") {
			assert.Len(t, samples[target.Name], len(sizes), target.Name)
		}
	}
	assert.Equal(t, []float64{0.5, 0.5, 0.5}, samples["growth-memory"])
	assert.Contains(t, note, "RSS before: 0.5 GB")
	assert.Contains(t, note, "growth-memory 0.5, 0.5, 0.5 GB")
	assert.Contains(t, note, "all removed within")
	assert.Len(t, g.forge.merged, len(sizes))
	g.forge.requireNothingLeft()
}

func TestWhatWasAmissAfterAWaveIsNotedAndNotMeasured(t *testing.T) {
	g := newGrowing(t)
	g.amiss = 2
	samples, note, err := growth(t.Context(), g.Platform)
	require.NoError(t, err)
	assert.Len(t, samples["growth-verify"], len(sizes))
	assert.Equal(t, 2, strings.Count(note, "after 1 more verify was asked again"))
	assert.Contains(t, note, "because of E2: measured once")
	assert.Contains(t, note, "after 40 more the longest check was B5 with 2.5 s")
}

func TestAVerifyThatNeverPassesIsNoSample(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	seconds, err := new(golden).verify(ctx, 1, func(context.Context, ...string) ([]byte, error) {
		return []byte(`{"checks":[{"id":"E2","status":"fail","evidence":"measured once"}],"failed":1}`), errors.New("1 failed")
	})
	require.EqualError(t, err, "1 failed: E2: measured once")
	assert.Zero(t, seconds)
}

func TestGrowthThatFailsIsSaidAndUndone(t *testing.T) {
	g := newGrowing(t)
	g.fails["verify"] = errors.New("A4 failed")
	_, _, err := growth(t.Context(), g.Platform)
	require.ErrorContains(t, err, "Add bench-many-1: A4 failed")
	assert.Equal(t, "back with 0", g.calls[len(g.calls)-1])
	g.forge.requireNothingLeft()

	g.calls, g.fails = nil, map[string]error{"room for 50": errors.New("it is full")}
	_, _, err = growth(t.Context(), g.Platform)
	require.EqualError(t, err, "it is full")
	assert.Len(t, g.calls, 1)

	g.fails = map[string]error{"back": errors.New("it hangs")}
	_, _, err = growth(t.Context(), g.Platform)
	require.ErrorContains(t, err, "the wider quota of the first tenant: run `neuroscale up`: it hangs")
	assert.Error(t, left(err))
}

func TestGrowthThatIsInterruptedIsUndone(t *testing.T) {
	g := newGrowing(t)
	ctx, cancel := context.WithCancel(t.Context())
	g.forge.merging = func() {
		if len(g.forge.merged) == 1 {
			cancel()
		}
	}
	_, err := Run(ctx, g.Platform, []Target{{Name: "growth-verify"}})
	require.ErrorIs(t, err, context.Canceled)
	assert.NoError(t, left(err))
	assert.Equal(t, "back with 0", g.calls[len(g.calls)-1], "the wider quota stays")
	g.forge.requireNothingLeft()
}

func TestWhatRunsOfTheEndpointsIsWaitedFor(t *testing.T) {
	running := pod("default", "bench-many-1-predictor-0", "Running")
	running.SetLabels(map[string]string{"serving.kserve.io/inferenceservice": "bench-many-1"})
	somebodys := pod("default", "demo-iris-2-predictor-0", "Running")
	somebodys.SetLabels(map[string]string{"serving.kserve.io/inferenceservice": "demo-iris-2"})
	c := cluster(running, somebodys)
	g := &golden{Platform: &Platform{Dynamic: c, Namespace: "default"}, names: []string{"bench-many-1"}}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, g.awaitZero(ctx), "1 pods of the endpoints")
	require.NoError(t, c.Resource(kube.Pods).Namespace("default").Delete(t.Context(), running.GetName(), metav1.DeleteOptions{}))
	require.NoError(t, g.awaitZero(t.Context()))
}

func TestOneThatIsNotReadyHoldsUpAWave(t *testing.T) {
	service := func(name, ready string) *unstructured.Unstructured {
		return object("serving.kserve.io/v1beta1", "InferenceService", "default", name, map[string]any{
			"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": ready, "message": "no room"}}},
		})
	}
	g := &golden{Platform: &Platform{Dynamic: cluster(service("a", "True"), service("b", "False"))}}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := g.await(ctx, wave{"a", "b"}, kube.InferenceServices, "default", kube.NotReady)
	require.ErrorContains(t, err, "1 of 2 inferenceservices are as they should be")
	assert.NoError(t, g.await(t.Context(), wave{"a"}, kube.InferenceServices, "default", kube.NotReady))
}

func TestCopiesOfTheExampleScaleToZeroAndAreNamedAfterTheirFolder(t *testing.T) {
	text := scalable(t, "bench-many-1")
	assert.Contains(t, text, "name: bench-many-1\n")
	assert.Contains(t, text, "minReplicas: 0\n")
	assert.NotContains(t, text, scalableEndpoint)
	assert.Equal(t, 1, strings.Count(text, "bench-many-1"))
}

func scalable(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, writeScalable(dir, name))
	raw, err := os.ReadFile(filepath.Join(dir, "inference-service.yaml"))
	require.NoError(t, err)
	return string(raw)
}
