package endpoint

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
)

type fields = map[string]any

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func service(namespace, name string, conditions ...any) *unstructured.Unstructured {
	return kubetest.Object("serving.kserve.io/v1beta1", "InferenceService", namespace, name, fields{"status": fields{
		"url": "http://" + name + ".example", "conditions": conditions,
	}})
}

func pod(of string, status fields) *unstructured.Unstructured {
	o := kubetest.Object("v1", "Pod", "default", of+"-predictor-00001-x", fields{"status": status})
	o.SetLabels(map[string]string{owner: of})
	return o
}

func warning(about, last, message string) *unstructured.Unstructured {
	return kubetest.Object("v1", "Event", "default", about+last, fields{
		"type": "Warning", "reason": "BackOff", "message": message, "lastTimestamp": last,
		"involvedObject": fields{"kind": "Pod", "name": about},
	})
}

func client(objects ...runtime.Object) *fake.FakeDynamicClient {
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		kube.Pods: "PodList", kube.InferenceServices: "InferenceServiceList", kube.Events: "EventList",
	}, objects...)
}

var (
	ready    = fields{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T11:00:00Z"}
	notReady = fields{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T11:00:00Z"}
	runs     = fields{"phase": "Running", "conditions": []any{ready}}
	crashes  = fields{"phase": "Running", "conditions": []any{notReady}, "containerStatuses": []any{fields{
		"name": "kserve-container", "state": fields{"waiting": fields{"reason": "CrashLoopBackOff"}},
		"lastState": fields{"terminated": fields{"exitCode": int64(1), "reason": "Error"}},
	}}}
)

func TestAnEndpointSaysFirstWhatKeepsItFromServing(t *testing.T) {
	for name, test := range map[string]struct {
		conditions []any
		pod        fields
		want       string
	}{
		"nothing":               {[]any{ready}, runs, ""},
		"nothing, without pods": {[]any{ready}, nil, ""},
		"its controller":        {nil, nil, "its controller has not reported yet"},
		"the part that serves": {[]any{
			fields{"type": "IngressReady", "status": "False", "message": "later"},
			fields{"type": "PredictorReady", "status": "False", "message": "No such image. It was asked for\ntwice"}, notReady,
		}, nil, "No such image"},
		"another part":      {[]any{fields{"type": "IngressReady", "status": "Unknown", "message": "not yet"}, notReady}, nil, "not yet"},
		"a container":       {[]any{notReady}, crashes, "container kserve-container ended with exit code 1 and waits (CrashLoopBackOff)"},
		"the scheduler":     {nil, fields{"conditions": []any{fields{"type": "PodScheduled", "status": "False", "message": "0/1 nodes fit"}}}, "0/1 nodes fit"},
		"an image":          {nil, fields{"containerStatuses": []any{fields{"name": "c", "state": fields{"waiting": fields{"reason": "ErrImagePull", "message": "none"}}}}}, "container c waits (ErrImagePull): none"},
		"the model's fetch": {nil, fields{"initContainerStatuses": []any{fields{"name": "storage-initializer", "state": fields{"terminated": fields{"exitCode": int64(2), "reason": "Error"}}}}}, "container storage-initializer ended with exit code 2 (Error)"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []runtime.Object{service("default", "iris", test.conditions...)}
			if test.pod != nil {
				objects = append(objects, pod("iris", test.pod))
			}
			all, err := Every(t.Context(), client(objects...), "")
			require.NoError(t, err)
			require.Len(t, all, 1)
			assert.Equal(t, test.want, all[0].Why)
			assert.Equal(t, test.want == "", all[0].Ready)
		})
	}
}

func TestTheTableHasEveryEndpointOrSaysThatThereIsNone(t *testing.T) {
	all, err := Every(t.Context(), client(service("team-b", "a", notReady), service("default", "iris", ready), pod("iris", runs)), "")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, Table(&out, all, now))
	assert.Equal(t, "ENDPOINT  TENANT   READY  SINCE  REPLICAS  URL\n"+
		"iris      default  yes    60m    1 of 1    http://iris.example\n"+
		"a         team-b   no     60m    0 of 0    http://a.example\n"+
		"a in team-b is not ready: its controller does not say why\n", out.String())
	out.Reset()
	require.NoError(t, Table(&out, nil, now))
	assert.Contains(t, out.String(), "no endpoints")
	out.Reset()
	require.NoError(t, Table(&out, []Endpoint{{Name: "idle", Tenant: "default", Ready: true}}, now))
	assert.Contains(t, out.String(), "none: idle")
}

func TestEverythingAboutAnEndpointThatFails(t *testing.T) {
	var asked []any
	logs := func(_ context.Context, namespace, pod, container string, lines int, previous bool) (string, error) {
		asked = append(asked, namespace, pod, container, lines, previous)
		return "Traceback\nno model\n", nil
	}
	c := client(service("default", "iris", fields{"type": "PredictorReady", "status": "False", "reason": "Failed", "message": "it fails"}, notReady),
		pod("iris", crashes), warning("iris-predictor-00001-x", "2026-01-01T11:59:00Z", "back-off"),
		warning("iris", "2026-01-01T11:50:00Z", "before"), warning("iris-2", "2026-01-01T11:59:00Z", "another's"),
		warning("iris-2-predictor", "2026-01-01T11:59:00Z", "another's"))
	d, err := Describe(t.Context(), c, logs, "", "iris", 7)
	require.NoError(t, err)
	assert.Equal(t, []any{"default", "iris-predictor-00001-x", "kserve-container", 7, true}, asked)
	var out bytes.Buffer
	require.NoError(t, d.Text(&out, now))
	assert.Equal(t, `iris of tenant default is not ready: it fails
url       http://iris.example
replicas  0 of 1

CONDITION       HOLDS  SINCE  BECAUSE
PredictorReady  no     -      Failed: it fails
Ready           no     60m    -

POD                     READY  BECAUSE
iris-predictor-00001-x  no     container kserve-container ended with exit code 1 and waits (CrashLoopBackOff)

last warnings:
  10m ago, Pod iris: BackOff: before
  60s ago, Pod iris-predictor-00001-x: BackOff: back-off

last lines of container kserve-container of pod iris-predictor-00001-x:
  Traceback
  no model
`, out.String())
}

func TestALogThatCannotBeReadHidesNothingElse(t *testing.T) {
	c := client(service("default", "iris", notReady), pod("iris", crashes))
	d, err := Describe(t.Context(), c, func(context.Context, string, string, string, int, bool) (string, error) {
		return "", errors.New("gone")
	}, "", "iris", 1)
	require.NoError(t, err)
	assert.Equal(t, "(the log cannot be read: gone)", d.Logs[0].Text)
	d, err = Describe(t.Context(), c, nil, "default", "iris", 0)
	require.NoError(t, err)
	assert.Empty(t, d.Logs)
}

func TestANameThatIsNotOneEndpointsIsAnError(t *testing.T) {
	both := client(service("default", "iris", ready), service("team-b", "iris", ready))
	for name, test := range map[string]struct {
		client               *fake.FakeDynamicClient
		namespace, name, err string
	}{
		"none":    {client(), "", "iris", `no endpoint "iris": there is none at all; push a folder apps/NAME to the endpoints repository`},
		"a typo":  {both, "team-b", "irsi", `no endpoint "irsi" in namespace team-b (did you mean "iris"?): there are iris`},
		"several": {both, "", "iris", `several tenants have an endpoint "iris" (default, team-b): say which with -n`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Describe(t.Context(), test.client, nil, test.namespace, test.name, 0)
			assert.EqualError(t, err, test.err)
		})
	}
}
