package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const (
	argocd  = "argocd"
	tenants = "default"
	// often is how often a condition is looked at.
	often = 100 * time.Millisecond
)

func (s *suite) layersAtTheirTags(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	apps, err := s.cluster.List(ctx, kube.Applications, argocd)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(apps), len(layers(t).FromGit())+s.folders(t), "Applications are missing")
	tags := s.tags(ctx, t)
	for _, name := range layers(t).FromGit().Names() {
		s.requireLayer(ctx, t, tags, name)
	}
	for i := range apps {
		require.NoError(t, s.awaitSynced(ctx, apps[i].GetName(), ""))
	}
}

// folders counts the example endpoints.
func (s *suite) folders(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.checkout, "gitops", "apps", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return len(found)
}

// requireLayer demands that a layer is synced and healthy at the commit that its
// output's tag names.
func (s *suite) requireLayer(ctx context.Context, t *testing.T, tags map[string]string, name string) {
	t.Helper()
	layer, ok := s.outputs.Layers[name]
	require.True(t, ok, "layer %s is not in the outputs", name)
	tag := "layer/" + name + "/" + layer.Hash
	require.NotEmpty(t, tags[tag], "%s is not in Git", tag)
	require.NoError(t, s.awaitSynced(ctx, name, tags[tag]))
}

// awaitSynced waits until an Application is synced and healthy, at a revision
// unless that is "".
func (s *suite) awaitSynced(ctx context.Context, name, revision string) error {
	err := rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		app, err := s.cluster.Get(ctx, kube.Applications, argocd, name)
		if err != nil {
			return "", err
		}
		if want := rig.Text(app, "spec", "source", "targetRevision"); app != nil && revision != "" && want != revision {
			return fmt.Sprintf("it wants %s, not %s", want, revision), nil
		}
		return kube.NotReady(app), nil
	})
	if err != nil {
		return fmt.Errorf("application %s: %w", name, err)
	}
	return nil
}

// nothingMoves watches what Argo CD keeps as Git says for longer than any of its
// controllers takes to answer another: two of them that correct each other count
// generations up without end.
func (s *suite) nothingMoves(t *testing.T) {
	ctx := within(t, time.Minute)
	before := s.generations(ctx, t)
	require.NotEmpty(t, before)
	select {
	case <-time.After(10 * time.Second):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	assert.Equal(t, before, s.generations(ctx, t), "two controllers correct each other")
}

// generations of what the layers consist of, by kind and name.
func (s *suite) generations(ctx context.Context, t *testing.T) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	for _, resource := range []schema.GroupVersionResource{
		kube.MutatingWebhooks, kube.ValidatingWebhooks, kube.CRDs, kube.Deployments,
	} {
		objects, err := s.cluster.List(ctx, resource, "")
		require.NoError(t, err)
		for i := range objects {
			// An idle endpoint scales to zero while this test looks.
			if o := &objects[i]; o.GetNamespace() != tenants {
				found[resource.Resource+" "+o.GetNamespace()+"/"+o.GetName()] = o.GetGeneration()
			}
		}
	}
	return found
}

func (s *suite) driftHeals(t *testing.T) {
	ctx := within(t, time.Minute)
	before := s.deployment(ctx, t, tenants, "nginx-test")
	require.NoError(t, s.cluster.Delete(ctx, kube.Deployments, tenants, "nginx-test"))
	start := time.Now()
	s.awaitAvailable(ctx, t, tenants, "nginx-test", before)
	t.Logf("nginx-test was back and available after %s", time.Since(start).Round(100*time.Millisecond))
}

func (s *suite) deployment(ctx context.Context, t *testing.T, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	d, err := s.cluster.Get(ctx, kube.Deployments, namespace, name)
	require.NoError(t, err)
	require.NotNil(t, d, "Deployment %s/%s is not there", namespace, name)
	return d
}

// awaitAvailable waits until a Deployment has all its pods, one at least, and is
// not the one it was before, if that is given.
func (s *suite) awaitAvailable(ctx context.Context, t *testing.T, namespace, name string, before *unstructured.Unstructured) {
	t.Helper()
	require.NoError(t, rig.Poll(ctx, 30*time.Second, often, func(ctx context.Context) (string, error) {
		d, err := s.cluster.Get(ctx, kube.Deployments, namespace, name)
		if err != nil || d == nil {
			return kube.NotReady(d), err
		}
		if before != nil && d.GetUID() == before.GetUID() {
			return "the Deployment is still the old one", nil
		}
		if rig.Number(d, "spec", "replicas") < 1 {
			return "it has no pods to be ready with", nil
		}
		return kube.NotReady(d), nil
	}), "Deployment %s/%s", namespace, name)
}

func (s *suite) layerHeals(t *testing.T) {
	t.Run("a Deployment scaled to zero", func(t *testing.T) {
		ctx := within(t, time.Minute)
		s.awaitAvailable(ctx, t, "knative-serving", "autoscaler", nil)
		require.NoError(t, s.cluster.Patch(ctx, kube.Deployments, "knative-serving", "autoscaler", `{"spec":{"replicas":0}}`))
		s.awaitAvailable(ctx, t, "knative-serving", "autoscaler", nil)
	})
	t.Run("a deleted ConfigMap", func(t *testing.T) {
		ctx := within(t, time.Minute)
		before := s.servingDefaults(ctx, t)
		require.NoError(t, s.cluster.Delete(ctx, kube.ConfigMaps, "kserve", "inferenceservice-config"))
		require.NoError(t, s.awaitObject(ctx, kube.ConfigMaps, "kserve", "inferenceservice-config"))
		assert.Equal(t, before, s.servingDefaults(ctx, t))
	})
	ctx := within(t, 2*time.Minute)
	tags := s.tags(ctx, t)
	for _, name := range layers(t).FromGit().Names() {
		s.requireLayer(ctx, t, tags, name)
	}
}

func (s *suite) awaitObject(ctx context.Context, r schema.GroupVersionResource, namespace, name string) error {
	return rig.Poll(ctx, 30*time.Second, often, func(ctx context.Context) (string, error) {
		o, err := s.cluster.Get(ctx, r, namespace, name)
		if err == nil && o == nil {
			return fmt.Sprintf("%s %s/%s is not there", r.Resource, namespace, name), nil
		}
		return "", err
	})
}

const pushed = "pushed-iris"

// awaitAnswer waits until the gateway has a prediction of the model for the host.
func (s *suite) awaitAnswer(ctx context.Context, t *testing.T, model, host string) {
	t.Helper()
	require.NoError(t, rig.Poll(ctx, 2*time.Minute, often, func(ctx context.Context) (string, error) {
		answer, err := s.ask(ctx, model, host)
		if err != nil {
			return "", err
		}
		if answer.Code != 200 {
			return fmt.Sprintf("the gateway answers %d %s", answer.Code, answer.Body), nil
		}
		requirePrediction(t, answer.Body)
		return "", nil
	}))
}

func (s *suite) pushedEndpoint(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	writeEndpoint(t, filepath.Join(clone.Dir, "apps"), example, pushed)
	publish(ctx, t, clone, "Add "+pushed)
	start := time.Now()

	app := s.awaitFolder(ctx, t, "apps/"+pushed)
	t.Logf("an Application was there after %s", time.Since(start).Round(100*time.Millisecond))
	host := strings.Replace(s.hostOf(t, example), example, pushed, 1)
	s.awaitAnswer(ctx, t, pushed, host)
	t.Logf("the endpoint answered 200 after %s", time.Since(start).Round(100*time.Millisecond))
	require.NoError(t, s.awaitSynced(ctx, app, ""))
	service, err := s.cluster.Get(ctx, kube.InferenceServices, tenants, pushed)
	require.NoError(t, err)
	assert.Empty(t, kube.NotReady(service))

	s.upKeepsWhatPeopleMerged(ctx, t, clone)

	_, err = clone.Git(ctx, "rm", "-r", "--quiet", "apps/"+pushed)
	require.NoError(t, err)
	publish(ctx, t, clone, "Remove "+pushed)
	require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		service, err := s.cluster.Get(ctx, kube.InferenceServices, tenants, pushed)
		if err != nil || service != nil {
			return "the InferenceService is still there", err
		}
		if gone, err := s.cluster.Get(ctx, kube.Applications, argocd, app); err != nil || gone != nil {
			return "the Application is still there", err
		}
		return "", nil
	}))
}

// clone is a working copy of one of the forge's repositories.
func (s *suite) clone(ctx context.Context, t *testing.T, url string, by person) *git.Checkout {
	t.Helper()
	clone, err := git.Clone(ctx, git.Remote{URL: url, Username: by.name, Password: by.password, Authority: s.outputs.Authority},
		git.Author{Name: "A Data Scientist", Email: "scientist@example.com"}, t.TempDir())
	require.NoError(t, err)
	return clone
}

// publish commits everything that changed and pushes it.
func publish(ctx context.Context, t *testing.T, clone *git.Checkout, message string) {
	t.Helper()
	require.NoError(t, clone.Commit(ctx, message))
	require.NoError(t, clone.Push(ctx))
}

func (s *suite) upKeepsWhatPeopleMerged(ctx context.Context, t *testing.T, clone *git.Checkout) {
	t.Helper()
	head, err := clone.Git(ctx, "ls-remote", "origin", "refs/heads/main")
	require.NoError(t, err)
	require.NotEmpty(t, head)
	before := s.resources(ctx, t)
	r := succeed(ctx, t, s.command("up"))
	assert.Contains(t, r.Stdout, "nothing to change")
	after, err := clone.Git(ctx, "ls-remote", "origin", "refs/heads/main")
	require.NoError(t, err)
	assert.Equal(t, head, after, "up pushed to the repository of the people")
	assert.Equal(t, before, s.resources(ctx, t), "an up without changes changed the state")
}

// awaitFolder waits for the Application of a folder and returns its name.
func (s *suite) awaitFolder(ctx context.Context, t *testing.T, folder string) string {
	t.Helper()
	name := ""
	require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		apps, err := s.cluster.List(ctx, kube.Applications, argocd)
		for i := range apps {
			if rig.Text(&apps[i], "spec", "source", "path") == folder {
				name = apps[i].GetName()
				return "", nil
			}
		}
		return "no Application has the folder " + folder, err
	}))
	return name
}

// writeEndpoint copies a folder under another endpoint's name.
func writeEndpoint(t *testing.T, apps, from, to string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(apps, from, "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "the repository has no apps/%s", from)
	require.NoError(t, os.MkdirAll(filepath.Join(apps, to), 0o755))
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		copied := strings.ReplaceAll(string(raw), from, to)
		require.Contains(t, copied, to)
		require.NoError(t, os.WriteFile(filepath.Join(apps, to, filepath.Base(f)), []byte(copied), 0o644))
	}
}
