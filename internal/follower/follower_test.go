package follower

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	giteaapi "github.com/neuroscale-platform/neuroscale/internal/forgeapi/gitea"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
)

type object = map[string]any

// forge answers like Gitea about one merged pull request of acme/endpoints.
type forge struct {
	mu       sync.Mutex
	main     string
	merged   time.Time
	files    []string // of the pull request
	there    []string // folders of main
	comments []map[string]any
	written  int
}

func (f *forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := strings.TrimPrefix(r.URL.Path, "/api/v1")
	rest, _ := strings.CutPrefix(at, "/repos/acme/endpoints")
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	switch {
	case strings.HasPrefix(at, "/users/"):
		w.WriteHeader(http.StatusCreated)
		answer(object{"sha1": "token"})
	case rest == "/pulls":
		answer([]any{object{"number": 7, "state": "closed", "merged": true, "merge_commit_sha": "m1", "merged_at": f.merged.Format(time.RFC3339), "base": object{"ref": "main"}, "user": object{"login": "anna"}}})
	case rest == "/pulls/7/files":
		list := []any{}
		for _, name := range f.files {
			list = append(list, object{"filename": name})
		}
		answer(list)
	case rest == "/branches/main":
		answer(object{"name": "main", "commit": object{"id": f.main}})
	case strings.HasPrefix(rest, "/compare/"): // m2 comes after m1, m0 before
		answer(object{"total_commits": map[bool]int{true: 0, false: 1}[strings.HasPrefix(rest, "/compare/m2...")]})
	case strings.HasPrefix(rest, "/contents/"):
		for _, folder := range f.there {
			if rest == "/contents/apps/"+folder {
				answer([]any{})
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		answer(object{"message": "not found"})
	case r.Method == http.MethodGet:
		answer(append([]map[string]any{}, f.comments...))
	case r.Method == http.MethodPatch:
		f.written++
		f.comments[0]["body"] = body["body"]
		answer(object{})
	default:
		f.written++
		f.comments = append(f.comments, object{"id": 1, "body": body["body"], "user": object{"login": "guard"}})
		answer(object{})
	}
}

func (f *forge) said() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.comments) == 0 {
		return ""
	}
	return f.comments[0]["body"].(string)
}

func newFollower(t *testing.T, f *forge, objects ...*unstructured.Unstructured) (*Follower, *fake.FakeDynamicClient) {
	t.Helper()
	server := httptest.NewTLSServer(f)
	t.Cleanup(server.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	api := giteaapi.New(server.URL, "acme", "guard", "follower", func() (string, error) { return "p", nil }, func() (*x509.CertPool, error) { return trusted, nil })
	return following(api, objects...)
}

func following(api forgeapi.Forge, objects ...*unstructured.Unstructured) (*Follower, *fake.FakeDynamicClient) {
	var all []runtime.Object
	for _, o := range objects {
		all = append(all, o)
	}
	cluster := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		kube.Pods: "PodList", kube.Applications: "ApplicationList", kube.ApplicationSets: "ApplicationSetList", kube.InferenceServices: "InferenceServiceList",
		{Version: "v1", Resource: "events"}: "EventList",
	}, all...)
	return New(slog.New(slog.DiscardHandler), api, cluster, Settings{
		Sources: []Source{{Repository: "endpoints", Tenant: "team", ApplicationSet: "set", Prefix: "team-"}}, Namespace: "argocd", Folder: "apps", Keys: true,
	}, func() (string, error) { return "https://gateway:30080", nil }), cluster
}

func set(failed string) *unstructured.Unstructured {
	return kubetest.Object("argoproj.io/v1alpha1", "ApplicationSet", "argocd", "set", object{"status": object{"conditions": []any{
		object{"type": "ErrorOccurred", "status": failed, "message": "connection refused"},
	}}})
}

func refresh(t *testing.T, c *fake.FakeDynamicClient) string {
	t.Helper()
	o, err := c.Resource(kube.ApplicationSets).Namespace("argocd").Get(t.Context(), "set", metav1.GetOptions{})
	require.NoError(t, err)
	return o.GetAnnotations()[Refresh]
}

// The annotation stays as long as Argo CD cannot look, and the same value again would
// not be seen.
func TestAnApplicationSetThatFailedIsWokenUntilItCan(t *testing.T) {
	f, cluster := newFollower(t, &forge{}, set("True"))
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { f.keepAwake(ctx) })
	defer done.Wait()
	defer cancel()
	require.Eventually(t, func() bool { return refresh(t, cluster) != "" }, 5*time.Second, 10*time.Millisecond)
	first := refresh(t, cluster)
	require.Eventually(t, func() bool { return refresh(t, cluster) != first }, 5*time.Second, 10*time.Millisecond, "it is woken once")
	_, err := cluster.Resource(kube.ApplicationSets).Namespace("argocd").Update(t.Context(), set("False"), metav1.UpdateOptions{})
	require.NoError(t, err)
	assert.Never(t, func() bool { return refresh(t, cluster) != "" }, 2*look+look/2, 50*time.Millisecond, "one that is well is woken")
}

func TestAPushHasArgoCDLookAtOnce(t *testing.T) {
	f, cluster := newFollower(t, &forge{}, set("False"))
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { f.follow(ctx) })
	defer done.Wait()
	defer cancel()
	event := func(kind, reference, repository string) {
		f.heard(forgeapi.Event{Kind: kind, Reference: reference, Repository: repository})
	}
	event("push", "refs/heads/other", "endpoints")
	event("push", "refs/heads/main", "platform")
	event("issues", "", "endpoints")
	assert.Never(t, func() bool { return refresh(t, cluster) != "" }, 500*time.Millisecond, 50*time.Millisecond)
	event("push", "refs/heads/main", "endpoints")
	require.Eventually(t, func() bool { return refresh(t, cluster) != "" }, look, 10*time.Millisecond)
}

// application is that of the folder iris, applied at a commit.
func application(revision, synced, health string, operation object) *unstructured.Unstructured {
	return kubetest.Object("argoproj.io/v1alpha1", "Application", "argocd", "team-iris", object{
		"spec": object{"destination": object{"namespace": "team"}},
		"status": object{
			"sync": object{"revision": revision, "status": synced}, "health": object{"status": health}, "operationState": operation,
			"resources": []any{object{"kind": "InferenceService", "namespace": "team", "name": "iris"}},
		},
	})
}

func service(ready, message string) *unstructured.Unstructured {
	return kubetest.Object("serving.kserve.io/v1beta1", "InferenceService", "team", "iris", object{"status": object{
		"url": "https://iris-predictor.team.example", "conditions": []any{
			object{"type": "PredictorReady", "status": ready, "message": message}, object{"type": "Ready", "status": ready},
		},
	}})
}

func pod(status object) *unstructured.Unstructured {
	o := kubetest.Object("v1", "Pod", "team", "iris-predictor-1", object{"status": status})
	o.SetLabels(map[string]string{"serving.kserve.io/inferenceservice": "iris"})
	return o
}

func TestTheAuthorReadsWhatBecameOfIt(t *testing.T) {
	synced := object{"phase": "Succeeded", "finishedAt": time.Now().Add(-time.Minute).Format(time.RFC3339)}
	refused := object{"phase": "Running", "message": "retrying", "operation": object{"sync": object{"revision": "m1"}}, "syncResult": object{"resources": []any{
		object{"kind": "InferenceService", "name": "iris", "status": "SyncFailed", "message": "exceeded quota: pods"},
	}}}
	quota := kubetest.Object("v1", "Event", "team", "iris.1", object{
		"type": "Warning", "involvedObject": object{"kind": "ReplicaSet", "name": "iris-predictor-1"}, "message": "pods is forbidden: exceeded quota: q, used: pods=20",
	})
	for name, test := range map[string]struct {
		objects []*unstructured.Unstructured
		gone    bool
		wants   []string
		settled bool
	}{
		"it answers": {[]*unstructured.Unstructured{application("m1", "Synced", "Healthy", synced), service("True", "")}, false, []string{
			"it answers", "https://iris-predictor.team.example", "-H 'Host: iris-predictor.team.example' -d @request.json https://gateway:30080/v1/models/iris:predict", "Bearer $KEY", "@anna",
		}, true},
		"nobody has seen it":              {nil, false, []string{"Argo CD has not seen it yet"}, false},
		"main before":                     {[]*unstructured.Unstructured{application("m0", "Synced", "Healthy", synced), service("True", "")}, false, []string{"about to apply it"}, false},
		"another folder was merged since": {[]*unstructured.Unstructured{application("m2", "Synced", "Healthy", synced), service("True", "")}, false, []string{"it answers"}, true},
		"just applied":                    {[]*unstructured.Unstructured{application("m1", "Synced", "Healthy", object{"phase": "Succeeded", "finishedAt": time.Now().Format(time.RFC3339)}), service("True", "")}, false, []string{"it is applied"}, false},
		"it is refused":                   {[]*unstructured.Unstructured{application("m1", "OutOfSync", "", refused)}, false, []string{"does not take it: InferenceService iris: exceeded quota: pods"}, false},
		"the condition says":              {[]*unstructured.Unstructured{application("m1", "Synced", "Degraded", synced), service("False", "Revision failed: no such class")}, false, []string{"iris does not answer: Revision failed: no such class"}, false},
		"there is no image":               {[]*unstructured.Unstructured{application("m1", "Synced", "Degraded", synced), service("False", "not ready"), pod(object{"containerStatuses": []any{object{"name": "kserve-container", "state": object{"waiting": object{"reason": "ImagePullBackOff", "message": "no such image"}}}}})}, false, []string{"ImagePullBackOff", "no such image"}, false},
		"there is no model":               {[]*unstructured.Unstructured{application("m1", "Synced", "Degraded", synced), service("False", "not ready"), pod(object{"initContainerStatuses": []any{object{"name": "storage-initializer", "state": object{"terminated": object{"exitCode": int64(1), "reason": "Error"}}}}})}, false, []string{"container storage-initializer ended with exit code 1"}, false},
		"the quota is used up":            {[]*unstructured.Unstructured{application("m1", "Synced", "Degraded", synced), service("False", "not ready"), quota}, false, []string{"exceeded quota: q, used: pods=20"}, false},
		"it is being removed":             {[]*unstructured.Unstructured{application("m1", "Synced", "Healthy", synced)}, true, []string{"being removed"}, false},
		"it is removed":                   {nil, true, []string{"it is removed"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := &forge{main: "m1", merged: time.Now().Add(-2 * time.Minute), files: []string{"apps/iris/a.yaml", "README.md", "apps/beside.yaml"}, there: []string{"iris"}}
			if test.gone {
				g.there = nil
			}
			f, _ := newFollower(t, g, test.objects...)
			list := f.list(t.Context())
			require.Len(t, list, 1)
			f.attend(t.Context(), list[0])
			said := g.said()
			assert.True(t, strings.HasPrefix(said, Marker), said)
			for _, want := range test.wants {
				assert.Contains(t, said, strings.ReplaceAll(want, "\n", " "))
			}
			assert.Equal(t, test.settled, f.settled[list[0].subject])
			if !test.settled {
				assert.NotContains(t, said, "curl")
			}
			f.attend(t.Context(), list[0])
			assert.Equal(t, 1, g.written, "the same is written twice")
			again, _ := newFollower(t, g, test.objects...)
			again.attend(t.Context(), list[0])
			assert.Equal(t, 1, g.written, "another process writes it once more")
		})
	}
}

func TestTheCommentIsUpdatedInPlace(t *testing.T) {
	g := &forge{main: "m1", merged: time.Now().Add(-2 * time.Minute), files: []string{"apps/iris/a.yaml"}, there: []string{"iris"}}
	f, cluster := newFollower(t, g)
	m := f.list(t.Context())[0]
	f.attend(t.Context(), m)
	require.Contains(t, g.said(), "has not seen it yet")
	for _, o := range []*unstructured.Unstructured{application("m1", "Synced", "Healthy", object{"phase": "Succeeded"}), service("True", "")} {
		resource := kube.Applications
		if o.GetKind() == "InferenceService" {
			resource = kube.InferenceServices
		}
		_, err := cluster.Resource(resource).Namespace(o.GetNamespace()).Create(t.Context(), o, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	f.attend(t.Context(), m)
	assert.Contains(t, g.said(), "it answers")
	assert.Len(t, g.comments, 1)
	assert.Empty(t, f.list(t.Context()), "it is looked at for ever")
}

func TestWhatWasMergedLongAgoIsLeftAlone(t *testing.T) {
	g := &forge{main: "m1", merged: time.Now().Add(-recent - time.Minute), files: []string{"apps/iris/a.yaml"}}
	f, _ := newFollower(t, g)
	assert.Empty(t, f.list(t.Context()))
}

func TestAFolderIsThatOfAFile(t *testing.T) {
	for file, want := range map[string]string{
		"apps/iris/a.yaml": "iris", "apps/iris/b/c.yaml": "iris", "apps/a.yaml": "", "README.md": "", "": "", "other/apps/x/a.yaml": "", "apps/../apps/x/a.yaml": "x",
	} {
		assert.Equal(t, want, folderOf("apps", file), fmt.Sprintf("%q", file))
	}
}
