package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// writeManifest writes a folder of one manifest.
func writeManifest(t *testing.T, folder, manifest string) func(dir string) {
	return func(dir string) {
		t.Helper()
		at := filepath.Join(dir, endpoints.Folder, folder)
		require.NoError(t, os.MkdirAll(at, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(at, "manifest.yaml"), []byte(manifest), 0o644))
	}
}

const (
	fine  = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
	wrong = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: beside}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: %s}\n"
)

// nobodyWalksAround tries to get onto main what the guard refuses.
func (s *suite) nobodyWalksAround(t *testing.T) {
	ctx := within(t, 6*time.Minute)
	by, repository := s.member(t, scientist), s.firstRepository()
	at := repositoryAt(repository)
	before := s.commitOf(ctx, t, repository)
	red := s.propose(ctx, t, by, repository, "übung/../red", writeManifest(t, "red", fmt.Sprintf(wrong, "intruder")))
	require.Equal(t, "failure", s.awaitVerdict(ctx, t, by, repository, red.Head.SHA))
	assert.Contains(t, s.guardsComment(ctx, t, by, repository, red.Number), "`apps/red/manifest.yaml:5`", "the finding has no line")

	pull := fmt.Sprintf("%s/pulls/%d", at, red.Number)
	machine := person{"guard", s.secret(ctx, t, "guard", "guard", "password")}
	for name, who := range map[string]person{"a merger": by, "an administrator": s.administrator(), "the guard's account": machine} {
		for how, body := range map[string]string{
			"merges":         `{"Do":"merge"}`,
			"squashes":       `{"Do":"squash"}`,
			"forces a merge": `{"Do":"merge","force_merge":true}`,
			"says by hand":   `{"Do":"manually-merged","MergeCommitID":"` + red.Head.SHA + `"}`,
		} {
			got := s.askForge(ctx, t, who, http.MethodPost, pull+"/merge", body)
			assert.Contains(t, refusals, got.code, "%s %s what the guard refuses: %s", name, how, got.body)
		}
	}
	t.Run("a forged status", func(t *testing.T) { s.forgedStatusMergesNothing(ctx, t, by, repository, red) })
	for _, try := range []attempt{
		{"take the protection away", http.MethodDelete, at + "/branch_protections/main", "", false},
		{"ask for no status", http.MethodPatch, at + "/branch_protections/main", `{"enable_status_check":false}`, false},
		{"let himself push", http.MethodPatch, at + "/branch_protections/main", `{"push_whitelist_usernames":["` + by.name + `"]}`, false},
		{"put another protection first", http.MethodPost, at + "/branch_protections", `{"rule_name":"m*","priority":1}`, false},
		{"make another branch the default", http.MethodPatch, at, `{"default_branch":"other"}`, false},
		{"rename main", http.MethodPatch, at + "/branches/main", `{"name":"other"}`, false},
		{"delete main", http.MethodDelete, at + "/branches/main", "", false},
		{"write a file on main", http.MethodPost, at + "/contents/apps/red/a.yaml", `{"content":"YTogYgo=","message":"m","branch":"main"}`, false},
		{"patch main", http.MethodPost, at + "/diffpatch", `{"content":"x","message":"m","branch":"main"}`, false},
		{"make a tag", http.MethodPost, at + "/tags", `{"tag_name":"main","target":"` + red.Head.SHA + `"}`, false},
		{"make a hook", http.MethodPost, at + "/hooks", `{"type":"gitea","config":{"url":"http://10.0.0.1/","content_type":"json"}}`, false},
		{"change a git hook", http.MethodPatch, at + "/hooks/git/pre-receive", `{"content":"exit 0"}`, false},
		{"add a deploy key", http.MethodPost, at + "/keys", `{"title":"t","key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGWvIPFvkZoBxTL1wAMMQxKlU8TPFqEcRiJUYZhBx4Xs"}`, false},
		{"fork it", http.MethodPost, at + "/forks", `{"name":"fork"}`, false},
		{"change the guard's comment", http.MethodPatch, fmt.Sprintf("%s/issues/comments/%d", at, s.commentID(ctx, t, by, repository, red.Number)), `{"body":"passed"}`, false},
		{"delete the guard's comment", http.MethodDelete, fmt.Sprintf("%s/issues/comments/%d", at, s.commentID(ctx, t, by, repository, red.Number)), "", false},
	} {
		s.requireJudged(t, try.what, false, s.askForge(ctx, t, by, try.method, try.path, try.body))
	}
	for name, who := range map[string]person{"a merger": by, "the guard's account": machine} {
		clone := s.clone(ctx, t, s.outputs.Repository, who)
		writeManifest(t, "red", fmt.Sprintf(wrong, "intruder"))(clone.Dir)
		require.NoError(t, clone.Commit(ctx, "Walk around"))
		for _, push := range [][]string{{"HEAD:main"}, {"--force", "HEAD:main"}, {":main"}, {"HEAD:Main"}, {"HEAD:refs/tags/main"}} {
			if name != "a merger" && len(push) == 1 && push[0] != "HEAD:main" && push[0] != ":main" {
				continue // it may write, but not main
			}
			_, err := clone.Git(ctx, append([]string{"push", "--quiet", "origin"}, push...)...)
			assert.Error(t, err, "%s pushes %s", name, push)
		}
	}
	t.Run("what is pushed after the guard has passed it", func(t *testing.T) { s.newCommitIsJudgedAnew(ctx, t, by, repository) })
	s.closePulls(ctx, t, by, repository)
	assert.Equal(t, before, s.commitOf(ctx, t, repository), "main is another")
}

// refusals are how the forge refuses to merge: nobody may, not yet, the hook did.
var refusals = []int{http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusConflict}

// forgedStatusMergesNothing tries to set the guard's status, which Gitea lets everybody
// do who may merge, and what stands before it does not. Behind that it is set, and
// merges nothing.
func (s *suite) forgedStatusMergesNothing(ctx context.Context, t *testing.T, by person, repository string, red pullRequest) {
	at := repositoryAt(repository)
	for _, name := range []string{reviewer.Context, strings.ToUpper(reviewer.Context), reviewer.Context + " "} {
		status := `{"context":"` + name + `","state":"success"}`
		for who, each := range map[string]person{"a merger": by, "an administrator": s.administrator()} {
			got := s.askForge(ctx, t, each, http.MethodPost, at+"/statuses/"+red.Head.SHA, status)
			assert.Equal(t, http.StatusForbidden, got.code, "%s: %s", who, got.body)
		}
		require.Equal(t, "201", s.askBehindTheProxy(ctx, t, by, at+"/statuses/"+red.Head.SHA, status), "Gitea refuses it by now: say so in docs/adr")
		for _, body := range []string{`{"Do":"merge"}`, `{"Do":"squash"}`, `{"Do":"rebase"}`} {
			got := s.askForge(ctx, t, by, http.MethodPost, fmt.Sprintf("%s/pulls/%d/merge", at, red.Number), body)
			assert.Contains(t, refusals, got.code, "%s with %q: %s", body, name, got.body)
		}
	}
	// What is to be merged as soon as it may be is not, either: main is looked at later.
	s.askForge(ctx, t, by, http.MethodPost, fmt.Sprintf("%s/pulls/%d/merge", at, red.Number), `{"Do":"merge","merge_when_checks_succeed":true}`)
	require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		if state, _ := s.newestStatus(ctx, t, by, repository, red.Head.SHA); state != "failure" {
			return "people see " + state, nil
		}
		return "", nil
	}), "the forged status stays")
}

// askBehindTheProxy posts to Gitea from its own container, and returns the status.
func (s *suite) askBehindTheProxy(ctx context.Context, t *testing.T, by person, at, body string) string {
	t.Helper()
	r := succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: []string{
		"exec", "-n", forge.Namespace, "deployment/" + forge.Service, "-c", forge.Service, "--",
		"curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--user", by.name + ":" + by.password,
		"--header", "Content-Type: application/json", "--data", body, "http://127.0.0.1:3001/api/v1" + at,
	}})
	return strings.TrimSpace(r.Stdout)
}

// newCommitIsJudgedAnew has a merge asked for at the moment a passed pull request
// becomes a bad one.
func (s *suite) newCommitIsJudgedAnew(ctx context.Context, t *testing.T, by person, repository string) {
	green := s.propose(ctx, t, by, repository, "turns", writeManifest(t, "turns", fmt.Sprintf(fine, "turns")))
	require.Equal(t, "success", s.awaitVerdict(ctx, t, by, repository, green.Head.SHA))
	red := s.propose(ctx, t, by, repository, "turns", writeManifest(t, "turns", fmt.Sprintf(wrong, "intruder")))
	require.Equal(t, green.Number, red.Number, "the same topic is another pull request")
	got := s.askForge(ctx, t, by, http.MethodPost, fmt.Sprintf("%s/pulls/%d/merge", repositoryAt(repository), red.Number), `{"Do":"merge"}`)
	assert.Equal(t, http.StatusMethodNotAllowed, got.code, got.body)
	require.Equal(t, "failure", s.awaitVerdict(ctx, t, by, repository, red.Head.SHA))
	assert.Contains(t, s.guardsComment(ctx, t, by, repository, red.Number), "Guard: failed", "the comment is that of the commit before")
}

// secret is a field of a Secret.
func (s *suite) secret(ctx context.Context, t *testing.T, namespace, name, field string) string {
	t.Helper()
	o, err := s.cluster.Get(ctx, kube.Secrets, namespace, name)
	require.NoError(t, err)
	require.NotNil(t, o, "there is no Secret %s/%s", namespace, name)
	value, err := base64.StdEncoding.DecodeString(rig.Text(o, "data", field))
	require.NoError(t, err)
	return string(value)
}

func (s *suite) commentID(ctx context.Context, t *testing.T, by person, repository string, number int) int64 {
	t.Helper()
	var list []struct {
		ID   int64  `json:"id"`
		Body string `json:"body"`
	}
	got := s.askForge(ctx, t, by, http.MethodGet, fmt.Sprintf("%s/issues/%d/comments", repositoryAt(repository), number), "")
	require.NoError(t, json.Unmarshal([]byte(got.body), &list), "%d %s", got.code, got.body)
	for _, each := range list {
		if strings.HasPrefix(each.Body, guard.Marker) {
			return each.ID
		}
	}
	require.Fail(t, "the guard has no comment", got.body)
	return 0
}

// manyAtOnce opens ten pull requests, ends the guard and the forge while they are
// judged, and merges those that pass.
func (s *suite) manyAtOnce(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	by, repository := s.member(t, scientist), s.firstRepository()
	const many = 10
	pulls, numbers := make([]pullRequest, many), map[int]bool{}
	for i := range many {
		name := fmt.Sprintf("many-%d", i)
		text := fine
		if i%2 == 1 {
			text = wrong
		}
		pulls[i] = s.propose(ctx, t, by, repository, "endpoint/"+name, writeManifest(t, name, fmt.Sprintf(text, name)))
		numbers[pulls[i].Number] = true
		switch i {
		case 4:
			s.killPod(ctx, t, "guard", "app=guard")
		case 7:
			s.killPod(ctx, t, forge.Namespace, "app.kubernetes.io/name="+forge.Service)
			s.awaitForge(ctx, t, by)
		}
	}
	require.Len(t, numbers, many)
	for i, p := range pulls {
		want := map[bool]string{true: "success", false: "failure"}[i%2 == 0]
		assert.Equal(t, want, s.awaitVerdict(ctx, t, by, repository, p.Head.SHA), "pull request %d", p.Number)
		comment := s.guardsComment(ctx, t, by, repository, p.Number)
		assert.Contains(t, comment, fmt.Sprintf("%.12s as it would be merged", p.Head.SHA), "the comment is another pull request's")
		if want == "failure" {
			assert.Contains(t, comment, fmt.Sprintf("apps/many-%d/", i))
			got := s.askForge(ctx, t, by, http.MethodPatch, fmt.Sprintf("%s/pulls/%d", repositoryAt(repository), p.Number), `{"state":"closed"}`)
			assert.Equal(t, http.StatusCreated, got.code, got.body)
		}
	}
	for i := 0; i < many; i += 2 {
		// The one merged before has made its status one of another main.
		s.mergePull(ctx, t, by, repository, pulls[i].Number)
	}
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	var merged []string
	for i := range many {
		name := fmt.Sprintf("many-%d", i)
		_, err := os.Stat(filepath.Join(clone.Dir, endpoints.Folder, name))
		assert.Equal(t, i%2 == 0, err == nil, "%s on main: %v", name, err)
		if err == nil {
			merged = append(merged, name)
		}
	}
	unmerge(ctx, t, clone, merged...)
}

// killPod ends pods at once.
func (s *suite) killPod(ctx context.Context, t *testing.T, namespace, selector string) {
	t.Helper()
	succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: []string{
		"delete", "pod", "-n", namespace, "-l", selector, "--grace-period=0", "--force",
	}})
}

// awaitForge waits for the forge, and not for the last words of one that is ending.
func (s *suite) awaitForge(ctx context.Context, t *testing.T, by person) {
	t.Helper()
	require.NoError(t, rig.Poll(ctx, 2*time.Minute, often, func(ctx context.Context) (string, error) {
		pods, err := s.cluster.List(ctx, kube.Pods, forge.Namespace)
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(pods, func(pod unstructured.Unstructured) bool {
			return pod.GetLabels()["app.kubernetes.io/name"] == forge.Service && pod.GetDeletionTimestamp() == nil && kube.NotReady(&pod) == ""
		}) {
			return "the forge has no pod that is ready", nil
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.outputs.ForgeURL+"/api/v1/user", nil)
		if err != nil {
			return "", err
		}
		request.SetBasicAuth(by.name, by.password)
		response, err := predict.NewClient(5*time.Second, s.outputs.Authority).Do(request)
		if err != nil {
			return err.Error(), nil
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return response.Status, nil
		}
		return "", nil
	}))
}
