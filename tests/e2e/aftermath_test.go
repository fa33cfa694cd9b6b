package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/follower"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// followersComment is what the follower has said on a pull request so far.
func (s *suite) followersComment(ctx context.Context, t *testing.T, by person, repository string, number int) string {
	t.Helper()
	var list []struct {
		Body string `json:"body"`
	}
	got := s.askForge(ctx, t, by, http.MethodGet, fmt.Sprintf("%s/issues/%d/comments", repositoryAt(repository), number), "")
	require.NoError(t, json.Unmarshal([]byte(got.body), &list), "%d %s", got.code, got.body)
	said := ""
	for _, each := range list {
		if strings.HasPrefix(each.Body, follower.Marker) {
			assert.Empty(t, said, "there are two comments")
			said = each.Body
		}
	}
	return said
}

// authorReadsWhatBecameOfIt merges an endpoint that answers and one whose model is not
// there.
func (s *suite) authorReadsWhatBecameOfIt(t *testing.T) {
	ctx := within(t, 6*time.Minute)
	by, repository := s.member(t, scientist), s.firstRepository()
	for name, wants := range map[string][]string{
		"told-iris":    {"it answers", "https://told-iris-predictor." + tenants, "/v1/models/told-iris:predict", "@" + scientist},
		"missing-iris": {"missing-iris does not answer", "storage-initializer"},
	} {
		p := s.propose(ctx, t, by, repository, name, func(dir string) {
			to := filepath.Join(dir, endpoints.Folder)
			writeEndpoint(t, to, example, name)
			if name != "missing-iris" {
				return
			}
			file := filepath.Join(to, name, "inference-service.yaml")
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			changed := strings.ReplaceAll(string(raw), "gs://kfserving-examples/models/sklearn/1.0/model", "gs://kfserving-examples/no/such/model")
			require.NotEqual(t, string(raw), changed)
			require.NoError(t, os.WriteFile(file, []byte(changed), 0o644))
		})
		require.Equal(t, "success", s.awaitVerdict(ctx, t, by, repository, p.Head.SHA))
		s.mergePull(ctx, t, by, repository, p.Number)
		start := time.Now()
		said := ""
		require.NoError(t, rig.Poll(ctx, 2*time.Minute, often, func(ctx context.Context) (string, error) {
			said = s.followersComment(ctx, t, by, repository, p.Number)
			for _, want := range wants {
				if !strings.Contains(said, want) {
					return fmt.Sprintf("it does not say %q: %s", want, said), nil
				}
			}
			return "", nil
		}))
		t.Logf("%s: said %.1f s after the merge", name, time.Since(start).Seconds())
	}
	unmerge(ctx, t, s.clone(ctx, t, s.outputs.Repository, s.administrator()), "told-iris", "missing-iris")
	s.closePulls(ctx, t, by, repository)
}

// failed is why Argo CD could not make Applications of the first repository.
func (s *suite) failed(ctx context.Context) (string, error) {
	o, err := s.cluster.Get(ctx, kube.ApplicationSets, argocd, endpoints.ApplicationSet)
	if err != nil || o == nil {
		return "", err
	}
	for _, c := range kube.Conditions(o) {
		if c.Type == "ErrorOccurred" && c.Holds {
			return c.Message, nil
		}
	}
	return "", nil
}

// folderIsSeenAfterTheForgeWasAway merges a folder when Argo CD has just failed to look
// at the forge, for which it would sleep three minutes.
func (s *suite) folderIsSeenAfterTheForgeWasAway(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	scale := func(ctx context.Context, replicas int) error {
		return s.cluster.Patch(ctx, kube.Deployments, forge.Namespace, forge.Service, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
	}
	require.NoError(t, scale(ctx, 0))
	t.Cleanup(func() { assert.NoError(t, scale(context.WithoutCancel(ctx), 1)) })
	require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		why, err := s.failed(ctx)
		if err == nil && why == "" {
			return "Argo CD has not noticed", nil
		}
		return "", err
	}))
	require.NoError(t, scale(ctx, 1))
	s.awaitForge(ctx, t, s.administrator())
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	writeManifest(t, "after-all", fmt.Sprintf(fine, "after-all"))(clone.Dir)
	publish(ctx, t, clone, "Add after-all")
	start := time.Now()
	s.awaitFolder(ctx, t, endpoints.Folder+"/after-all")
	t.Logf("seen %.1f s after it was merged", time.Since(start).Seconds())
	unmerge(ctx, t, clone, "after-all")
}

// followerOnlyRefreshes tries as the follower to have Argo CD make something else.
func (s *suite) followerOnlyRefreshes(t *testing.T) {
	ctx := within(t, time.Minute)
	const account = "system:serviceaccount:" + follower.Namespace + ":" + follower.ServiceAccount
	try := func(args ...string) rig.Result {
		r, err := rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: append([]string{"--as=" + account, "-n", argocd}, args...)}.Run(ctx)
		require.NoError(t, err)
		return r
	}
	name := endpoints.ApplicationSet
	assert.Zero(t, try("annotate", "applicationset", name, "--overwrite", follower.Refresh+"="+time.Now().UTC().Format("20060102T150405")).Code)
	for what, args := range map[string][]string{
		"changes what is made": {"patch", "applicationset", name, "--type=merge", "-p", `{"spec":{"template":{"spec":{"project":"platform"}}}}`},
		"changes a label":      {"label", "applicationset", name, "a=b"},
		"adds an annotation":   {"annotate", "applicationset", name, "a=b"},
		"deletes it":           {"delete", "applicationset", name},
		"lists them":           {"get", "applicationsets"},
		"changes another":      {"annotate", "applicationset", "another", follower.Refresh + "=x"},
		"changes Applications": {"annotate", "application", "tenancy", "a=b"},
		"reads Secrets":        {"get", "secrets"},
	} {
		r := try(args...)
		assert.NotZero(t, r.Code, what)
		assert.Regexp(t, "(?i)forbidden|denied", r.Stderr, what)
	}
	o, err := s.cluster.Get(ctx, kube.ApplicationSets, argocd, name)
	require.NoError(t, err)
	assert.NotEqual(t, "platform", rig.Text(o, "spec", "template", "spec", "project"))
}
