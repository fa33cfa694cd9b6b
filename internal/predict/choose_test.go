package predict

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

var choice = Choice{
	Examples: []string{"demo-iris-2", "sklearn-iris"}, Namespace: "default", Tenants: []string{"default", "team-b"}, Applications: "argocd",
}

// models answers for every host; one whose name begins with "other" takes no iris.
func models(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "other") {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":"expected text"}`)
			return
		}
		io.WriteString(w, `{"from":"`+r.Host+`"}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func inNamespace(o *unstructured.Unstructured, namespace string) *unstructured.Unstructured {
	o.SetNamespace(namespace)
	return o
}

func ready(name, namespace string) *unstructured.Unstructured {
	return inNamespace(service(name, map[string]any{
		"url": "http://" + name + "." + namespace, "conditions": []any{condition("Ready", "True", "", "")},
	}), namespace)
}

func failing(name, namespace string) *unstructured.Unstructured {
	return inNamespace(service(name, map[string]any{
		"conditions": []any{condition("Ready", "False", "RevisionMissing", "no image")},
	}), namespace)
}

// application is Argo CD's, for a folder of a tenant.
func application(name, namespace string, status map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": map[string]any{"name": name, "namespace": "argocd"},
		"spec": map[string]any{"destination": map[string]any{"namespace": namespace}}, "status": status,
	}}
}

// compared is the status of an Application that Argo CD has looked at.
func compared(operation, kind, name string) map[string]any {
	return map[string]any{
		"sync": map[string]any{"status": "OutOfSync"}, "operationState": map[string]any{"phase": operation},
		"resources": []any{map[string]any{"kind": kind, "namespace": "default", "name": name}},
	}
}

func show(t *testing.T, wait time.Duration, objects ...runtime.Object) (Shown, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	return Show(ctx, cluster(objects...), http.DefaultClient, choice, models(t))
}

func TestAnEndpointThatIsThereIsShown(t *testing.T) {
	for name, test := range map[string]struct {
		there []runtime.Object
		want  string
	}{
		"the first example":                        {[]runtime.Object{ready("a", "default"), ready("demo-iris-2", "default"), ready("sklearn-iris", "default")}, "demo-iris-2.default"},
		"the other example, the first was deleted": {[]runtime.Object{ready("a", "default"), ready("sklearn-iris", "default")}, "sklearn-iris.default"},
		"anybody's, both examples were deleted":    {[]runtime.Object{failing("a", "default"), ready("b", "team-b")}, "b.team-b"},
		"only a tenant's":                          {[]runtime.Object{ready("a", "somebody"), ready("b", "team-b")}, "b.team-b"},
		"an example's name elsewhere":              {[]runtime.Object{failing("demo-iris-2", "team-b"), ready("b", "team-b")}, "b.team-b"},
	} {
		t.Run(name, func(t *testing.T) {
			shown, err := show(t, 5*time.Second, test.there...)
			require.NoError(t, err)
			assert.Equal(t, test.want, shown.Name+"."+shown.Namespace)
			assert.Equal(t, `{"from":"`+test.want+`"}`, shown.Body)
		})
	}
}

func TestWithNothingToShowItSaysSoAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		there []runtime.Object
		want  string
	}{
		"no endpoint": {nil, "there is no endpoint in default, team-b: push a folder apps/NAME to the endpoints repository"},
		"only somebody else's": {[]runtime.Object{ready("a", "somebody")},
			"there is no endpoint in default, team-b: push a folder apps/NAME to the endpoints repository"},
		"none that is ready": {[]runtime.Object{failing("a", "default"), failing("b", "team-b")},
			"no endpoint is ready: a in namespace default (Ready RevisionMissing: no image), b in namespace team-b (Ready RevisionMissing: no image)"},
		"one that takes other input": {[]runtime.Object{ready("other", "team-b")},
			`endpoint other answered 400 Bad Request: {"error":"expected text"}, as every model that takes other input than the examples may: ` +
				"ask it with `neuroscale predict other -n team-b --data ...`"},
		"a folder that was refused":    {[]runtime.Object{application("a", "default", compared("Failed", "InferenceService", "a"))}, "there is no endpoint in"},
		"a folder without an endpoint": {[]runtime.Object{application("a", "default", compared("Succeeded", "Deployment", "a"))}, "there is no endpoint in"},
		"a layer that is not made yet": {[]runtime.Object{application("knative", "knative-serving", nil)}, "there is no endpoint in"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := show(t, time.Minute, test.there...)
			require.ErrorIs(t, err, ErrNothingToShow)
			assert.ErrorContains(t, err, test.want)
			assert.Less(t, time.Since(start), 30*time.Second)
		})
	}
}

func TestWhatIsOnItsWayIsWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		there []runtime.Object
		want  string
	}{
		"an example that is not ready": {[]runtime.Object{failing("demo-iris-2", "default"), ready("b", "team-b")},
			"endpoint demo-iris-2 in namespace default is not ready: Ready RevisionMissing: no image"},
		"an example the model refuses": {[]runtime.Object{inNamespace(service("sklearn-iris", map[string]any{
			"url": "http://other", "conditions": []any{condition("Ready", "True", "", "")},
		}), "default")}, "endpoint sklearn-iris answered 400 Bad Request"},
		"a folder Argo CD has not looked at": {[]runtime.Object{application("a", "team-b", nil)},
			"the endpoint of Argo CD's Application a is not there yet: see `kubectl get application a -n argocd -o yaml`"},
		"an endpoint Argo CD has not made": {[]runtime.Object{application("a", "default", compared("Running", "InferenceService", "a")), failing("b", "default")},
			"the endpoint of Argo CD's Application a is not there yet"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := show(t, 300*time.Millisecond, test.there...)
			require.Error(t, err)
			assert.NotErrorIs(t, err, ErrNothingToShow)
			assert.ErrorContains(t, err, test.want, "the reason has to be told, not the deadline")
		})
	}
	c := cluster(application("a", "default", nil))
	time.AfterFunc(300*time.Millisecond, func() {
		_, err := c.Resource(kube.InferenceServices).Namespace("default").Create(context.Background(), ready("demo-iris-2", "default"), metav1.CreateOptions{})
		assert.NoError(t, err)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	shown, err := Show(ctx, c, http.DefaultClient, choice, models(t))
	require.NoError(t, err)
	assert.Equal(t, "demo-iris-2", shown.Name)
}

func TestTheKeyIsWaitedFor(t *testing.T) {
	asked := 0
	withKey := choice
	withKey.Key = func(context.Context) (string, error) {
		if asked++; asked < 3 {
			return "", errors.New("no key yet")
		}
		return "nsk_a_b", nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := Show(ctx, cluster(ready("demo-iris-2", "default")), http.DefaultClient, withKey, models(t))
	require.NoError(t, err)
	assert.Equal(t, 3, asked)
}
