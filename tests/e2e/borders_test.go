package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// tenantsStayInside tries what once got a tenant out of its namespace, where only a
// platform that runs can show it. What manifests may say is in the corpus.
func (s *suite) tenantsStayInside(t *testing.T) {
	for _, attack := range []struct {
		name string
		run  func(*suite, context.Context, *testing.T)
	}{
		{"a program in a folder is not run", (*suite).mergedProgramsDoNotRun},
		{"an unsigned event is not believed", (*suite).unsignedEventsAreRefused},
		{"no password lies on the forge's disk", (*suite).forgeKeepsNoPassword},
		{"a layer's tag cannot be moved", (*suite).layerTagsStay},
		{"a push neither fills the forge nor makes Applications without end", (*suite).pushesAreBounded},
		{"a pod can neither become root nor ask the API server", (*suite).podsAreConfined},
	} {
		t.Run(attack.name, func(t *testing.T) { attack.run(s, within(t, 3*time.Minute), t) })
	}
}

func (s *suite) mergedProgramsDoNotRun(ctx context.Context, t *testing.T) {
	const folder = "program"
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	dir := filepath.Join(clone.Dir, endpoints.Folder, folder)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.jsonnet"), []byte(`{apiVersion: "v1", kind: "ConfigMap",
		metadata: {name: "stolen"}, data: {environment: importstr "/proc/self/environ"}}`), 0o644))
	merge(ctx, t, clone, folder, "{apiVersion: v1, kind: ConfigMap, metadata: {name: beside-it}}")
	require.NoError(t, s.awaitSynced(ctx, s.awaitFolder(ctx, t, endpoints.Folder+"/"+folder), ""))
	require.NoError(t, s.awaitObject(ctx, kube.ConfigMaps, tenants, "beside-it"))
	stolen, err := s.cluster.Get(ctx, kube.ConfigMaps, tenants, "stolen")
	require.NoError(t, err)
	assert.Nil(t, stolen, "Argo CD ran what was merged")
	unmerge(ctx, t, clone, folder)
	s.awaitNoApplications(ctx, t, func(app *unstructured.Unstructured) bool { return app.GetName() == folder })
}

func (s *suite) unsignedEventsAreRefused(ctx context.Context, t *testing.T) {
	for kind, headers := range map[string]map[string]string{
		"Gogs":             {"X-Gogs-Event": "push"},
		"GitHub":           {"X-GitHub-Event": "push"},
		"GitLab":           {"X-Gitlab-Event": "Push Hook"},
		"Bitbucket":        {"X-Hook-UUID": "somebody", "X-Event-Key": "repo:push"},
		"Bitbucket Server": {"X-Event-Key": "repo:refs_changed"},
		"Azure DevOps":     {"X-Vss-Activityid": "somebody"},
	} {
		body := strings.NewReader(`{"eventType":"git.push","ref":"refs/heads/main"}`)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.outputs.ArgoCDURL+"/api/webhook", body)
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		response, err := rig.Direct(s.outputs.Authority).Do(request)
		require.NoError(t, err)
		response.Body.Close()
		assert.Equal(t, http.StatusBadRequest, response.StatusCode, "%s: Argo CD believed an event that nobody signed", kind)
	}
}

func (s *suite) forgeKeepsNoPassword(ctx context.Context, t *testing.T) {
	succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: []string{
		"exec", "-n", "forge", "deployment/gitea", "-c", "gitea", "--", "sh", "-c", "test ! -e /tmp/init && test ! -e /tmp/bootstrap",
	}})
}

func (s *suite) layerTagsStay(ctx context.Context, t *testing.T) {
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	tag := "layer/knative/" + s.outputs.Layers["knative"].Hash
	before := s.tags(ctx, t)
	require.Contains(t, before, tag)
	for what, refspec := range map[string]string{"moved": "HEAD:refs/tags/" + tag, "deleted": ":refs/tags/" + tag, "made": "HEAD:refs/tags/layer/knative/mine"} {
		_, err := clone.Git(ctx, "push", "--force", s.urlOf(t, forge.Platform), refspec)
		require.Error(t, err, "a tag was %s", what)
		assert.ErrorContains(t, err, "is protected", what)
	}
	assert.Equal(t, before, s.tags(ctx, t))
}

func (s *suite) pushesAreBounded(ctx context.Context, t *testing.T) {
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	before, err := clone.Git(ctx, "ls-remote", "origin", "refs/heads/main")
	require.NoError(t, err)
	most := config.Default().Tenants[0].Quota.Applications
	for what, test := range map[string]struct {
		write func(dir string)
		says  string
	}{
		"a push of 21 MB": {func(dir string) {
			noise := make([]byte, 21<<20)
			_, err := rand.Read(noise)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "model.bin"), noise, 0o644))
		}, "pack exceeds maximum allowed size"},
		"more folders than there may be": {func(dir string) {
			for i := range most + 1 {
				folder := filepath.Join(dir, endpoints.Folder, fmt.Sprintf("many-%d", i))
				require.NoError(t, os.MkdirAll(folder, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(folder, "c.yaml"), fmt.Appendf(nil, "{apiVersion: v1, kind: ConfigMap, metadata: {name: many-%d}}", i), 0o644))
			}
		}, fmt.Sprintf("folders in %s/, of at most %d", endpoints.Folder, most)},
	} {
		clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
		test.write(clone.Dir)
		require.NoError(t, clone.Commit(ctx, what))
		err := clone.Push(ctx)
		require.Error(t, err, "%s was taken", what)
		assert.ErrorContains(t, err, test.says, what)
	}
	after, err := clone.Git(ctx, "ls-remote", "origin", "refs/heads/main")
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

// podsAreConfined looks at what became of what people wrote, the containers that KServe
// and Knative add among it.
func (s *suite) podsAreConfined(ctx context.Context, t *testing.T) {
	pods, err := s.cluster.List(ctx, kube.Pods, tenants)
	require.NoError(t, err)
	seen := map[string]bool{}
	for i := range pods {
		p := &pods[i]
		for _, list := range []string{"containers", "initContainers"} {
			containers, _, err := unstructured.NestedSlice(p.Object, "spec", list)
			require.NoError(t, err)
			for _, c := range containers {
				container := c.(map[string]any)
				name, _ := container["name"].(string)
				seen[name] = true
				for field, want := range map[string]bool{"allowPrivilegeEscalation": false, "runAsNonRoot": true} {
					got, found, err := unstructured.NestedBool(container, "securityContext", field)
					require.NoError(t, err)
					if !found && field == "runAsNonRoot" {
						got, _, err = unstructured.NestedBool(p.Object, "spec", "securityContext", field)
						require.NoError(t, err)
						found = got
					}
					assert.True(t, found && got == want, "%s of pod %s: %s is not %t", name, p.GetName(), field, want)
				}
			}
		}
		volumes, _, err := unstructured.NestedSlice(p.Object, "spec", "volumes")
		require.NoError(t, err)
		for _, v := range volumes {
			name, _ := v.(map[string]any)["name"].(string)
			assert.False(t, strings.HasPrefix(name, "kube-api-access"), "pod %s has a token for the API server", p.GetName())
		}
	}
	for _, name := range []string{"kserve-container", "storage-initializer", "queue-proxy", "nginx"} {
		assert.True(t, seen[name], "no pod has a container %s", name)
	}
}
