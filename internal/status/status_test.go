package status

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

type fields = map[string]any

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	begun  = "2026-01-01T09:00:00Z"
)

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func application(name, namespace, hash string, change func(spec, status fields)) *unstructured.Unstructured {
	spec := fields{
		"source": fields{"targetRevision": commit}, "destination": fields{"namespace": namespace},
		"info": []any{fields{"name": "revision", "value": "layer/" + name + "/" + hash}},
	}
	status := fields{
		"sync":           fields{"status": "Synced", "comparedTo": fields{"source": fields{"targetRevision": commit}}},
		"operationState": fields{"phase": "Succeeded", "finishedAt": begun, "syncResult": fields{"revision": commit}},
		"health":         fields{"status": "Healthy"},
	}
	if change != nil {
		change(spec, status)
	}
	o := kubetest.Object("argoproj.io/v1alpha1", "Application", "argocd", name, fields{"spec": spec, "status": status})
	if hash != "" {
		o.SetLabels(map[string]string{"neuroscale.dev/layer": name})
	}
	return o
}

func deployment(available int64) *unstructured.Unstructured {
	return kubetest.Object("apps/v1", "Deployment", "argocd", "argocd-server", fields{
		"spec": fields{"replicas": int64(1)},
		"status": fields{
			"replicas": int64(1), "updatedReplicas": int64(1), "readyReplicas": available, "availableReplicas": available,
			"conditions": []any{fields{"type": "Available", "status": "True", "lastTransitionTime": begun}},
		},
	})
}

func quota(used fields) *unstructured.Unstructured {
	return kubetest.Object("v1", "ResourceQuota", "default", "default-quota", fields{"status": fields{
		"hard": fields{"pods": "20", "requests.cpu": "4", "services.nodeports": "0"}, "used": used,
	}})
}

func node(pressure string) *unstructured.Unstructured {
	return kubetest.Object("v1", "Node", "", "sealed", fields{"status": fields{"conditions": []any{
		fields{"type": "MemoryPressure", "status": pressure}, fields{"type": "Ready", "status": "True"},
	}}})
}

func service(name string, conditions ...any) *unstructured.Unstructured {
	return kubetest.Object("serving.kserve.io/v1beta1", "InferenceService", "default", name, fields{"status": fields{
		"url": "http://" + name + ".example", "conditions": conditions,
	}})
}

func client(objects ...runtime.Object) *fake.FakeDynamicClient {
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		kube.Applications: "ApplicationList", kube.Deployments: "DeploymentList", kube.StatefulSets: "StatefulSetList", kube.Quotas: "ResourceQuotaList",
		kube.Nodes: "NodeList", kube.Pods: "PodList", kube.InferenceServices: "InferenceServiceList",
	}, objects...)
}

var platform = Platform{
	Stack: "ci", Applications: "argocd",
	Layers: []Wanted{
		{Name: "argocd", Version: "v3.2.1", Hash: "aaaa", Namespace: "argocd"},
		{Name: "knative", Version: "v1.20.0", Hash: "bbbb"},
		{Name: "kserve", Version: "v0.16.0", Hash: "cccc"},
	},
	Tenants: []Share{{"default", "default-quota"}},
}

func read(t *testing.T, objects ...runtime.Object) (*Report, string) {
	t.Helper()
	r, err := Read(t.Context(), client(objects...), platform, now)
	require.NoError(t, err)
	r.Seconds = 0.5
	var text bytes.Buffer
	require.NoError(t, r.Text(&text))
	return r, text.String()
}

// well are the objects of a platform with nothing wrong, but for those of the same
// kind and name among others.
func well(others ...*unstructured.Unstructured) []runtime.Object {
	pod := kubetest.Object("v1", "Pod", "default", "iris-0", fields{"status": fields{"phase": "Running", "conditions": []any{fields{"type": "Ready", "status": "True"}}}})
	pod.SetLabels(map[string]string{"serving.kserve.io/inferenceservice": "iris"})
	byName := map[string]*unstructured.Unstructured{}
	var order []string
	for _, o := range append([]*unstructured.Unstructured{
		deployment(1), application("knative", "knative-serving", "bbbb", nil), application("kserve", "kserve", "cccc", nil),
		quota(fields{"pods": "18", "requests.cpu": "1"}), node("False"), pod,
		service("iris", fields{"type": "Ready", "status": "True", "lastTransitionTime": begun}),
	}, others...) {
		key := o.GetKind() + o.GetName()
		if byName[key] == nil {
			order = append(order, key)
		}
		byName[key] = o
	}
	var all []runtime.Object
	for _, key := range order {
		all = append(all, byName[key])
	}
	return all
}

func TestAPlatformThatIsWellSaysSo(t *testing.T) {
	r, text := read(t, well()...)
	assert.True(t, r.Well)
	assert.Empty(t, r.Next)
	golden(t, "well.txt", []byte(text))
}

func TestABrokenPlatformSaysWhatIsBrokenAndWhatToDo(t *testing.T) {
	r, text := read(t, well(
		deployment(0),
		application("knative", "knative-serving", "bbbb", func(_, status fields) {
			status["sync"].(fields)["status"] = "OutOfSync"
			status["operationState"] = fields{"phase": "Failed", "finishedAt": begun, "message": "one object is invalid"}
		}),
		application("kserve", "kserve", "dddd", nil),
		application("folder", "default", "", func(_, status fields) {
			status["operationState"] = fields{"phase": "Failed", "message": "refused by require-standard-labels"}
		}),
		node("True"),
		service("iris", fields{"type": "IngressReady", "status": "False", "message": "not reconciled"},
			fields{"type": "PredictorReady", "status": "False", "reason": "RevisionFailed", "message": "Container failed with: no model. Traceback follows"},
			fields{"type": "Ready", "status": "False", "lastTransitionTime": begun}),
	)...)
	assert.False(t, r.Well)
	assert.Len(t, r.Next, 6)
	golden(t, "broken.txt", []byte(text))
}

func TestAnEmptyClusterIsNotWellAndSaysThatThereAreNoEndpoints(t *testing.T) {
	r, text := read(t)
	assert.False(t, r.Well)
	assert.Contains(t, text, "no endpoints: push a folder")
	assert.Contains(t, r.Next, "the cluster has no node: start one, on a sealed machine with `make up`")
	assert.Contains(t, r.Next, "layer kserve is not as wanted (its Application is not there): run `neuroscale up -s ci`")
	assert.NotNil(t, r.Endpoints, "JSON would have null")
}

func TestOneThingThatIsWrongIsEnough(t *testing.T) {
	closed := node("False")
	closed.Object["spec"] = fields{"unschedulable": true}
	unready := node("False")
	unready.Object["status"] = fields{"conditions": []any{fields{"type": "Ready", "status": "Unknown"}}}
	for name, test := range map[string]struct {
		object *unstructured.Unstructured
		want   string
	}{
		"a layer at another hash": {application("kserve", "kserve", "dddd", nil), "asks for dddd, not for cccc"},
		"a layer that is not healthy": {application("kserve", "kserve", "cccc", func(_, status fields) {
			status["health"] = fields{"status": "Degraded"}
		}), `health.status is "Degraded"`},
		"a node that is closed":     {closed, "takes no new pods"},
		"a node that says nothing":  {unready, "node sealed is not ready"},
		"a quota nobody counts":     {kubetest.Object("v1", "ResourceQuota", "default", "default-quota", nil), "is not counted yet"},
		"an endpoint nobody knows":  {service("other"), "endpoint other of tenant default is not ready"},
		"a folder that is not made": {application("x", "default", "", func(_, s fields) { delete(s, "operationState") }), "folder x of tenant default"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := read(t, well(test.object)...)
			require.Len(t, r.Next, 1)
			assert.Contains(t, r.Next[0], test.want)
			assert.False(t, r.Well)
		})
	}
}

func TestAFolderThatOnlyWaitsForItsEndpointIsNotNamedTwice(t *testing.T) {
	r, _ := read(t, well(service("iris"), application("iris", "default", "", func(_, status fields) {
		status["health"] = fields{"status": "Progressing"}
		status["resources"] = []any{fields{"kind": "InferenceService", "namespace": "default", "name": "iris"}}
	}))...)
	assert.Empty(t, r.Folders)
	assert.Len(t, r.Next, 1)
}

func TestHowMuchOfAQuotaIsUsed(t *testing.T) {
	for _, test := range []struct {
		used, hard string
		want       int
	}{{"", "4", 0}, {"500m", "4", 12}, {"2Gi", "4Gi", 50}, {"0", "0", 0}, {"1", "0", 100}, {"5", "4", 125}} {
		assert.Equal(t, test.want, percent(test.used, test.hard), test)
	}
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	c := client()
	c.PrependReactor("list", "nodes", func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("forbidden")
	})
	_, err := Read(t.Context(), c, platform, now)
	assert.EqualError(t, err, "read the nodes: forbidden")
}
