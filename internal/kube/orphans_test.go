package kube

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
)

func TestOnlyWhatNobodyElseWillLetGoIsLetGo(t *testing.T) {
	kind := schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "doors"}
	now := time.Now()
	object := func(apiVersion, kind, namespace, name string, deleted time.Duration, finalizers ...string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
		o.SetNamespace(namespace)
		o.SetName(name)
		o.SetFinalizers(finalizers)
		if deleted > 0 {
			at := metav1.NewTime(now.Add(-deleted))
			o.SetDeletionTimestamp(&at)
		}
		return o
	}
	door := func(name string, deleted time.Duration, finalizers ...string) *unstructured.Unstructured {
		return object("example.com/v1", "Door", "team", name, deleted, finalizers...)
	}
	for name, test := range map[string]struct {
		controllers *unstructured.Unstructured
		controller  string
		want        []string
	}{
		"controllers are gone":  {nil, "porter", []string{"Door team/stuck"}},
		"controllers are going": {object("v1", "Namespace", "", "doors", time.Second, "kubernetes"), "porter", []string{"Door team/stuck"}},
		"controllers are there": {object("v1", "Namespace", "", "doors", 0), "", nil},
		"its own is gone":       {object("v1", "Namespace", "", "doors", 0), "other", []string{"Door team/stuck"}},
		"its own has no pod":    {object("v1", "Namespace", "", "doors", 0), "idle", []string{"Door team/stuck"}},
		"its own is there":      {object("v1", "Namespace", "", "doors", 0), "porter", nil},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []runtime.Object{door("stuck", time.Minute, "hinge/left", "theirs"), door("locked", time.Minute, "theirs"), door("fresh", time.Second, "hinge"), door("used", 0, "hinge")}
			for name, available := range map[string]int64{"porter": 1, "idle": 0} {
				o := object("apps/v1", "Deployment", "doors", name, 0)
				o.Object["status"] = map[string]any{"availableReplicas": available}
				objects = append(objects, o)
			}
			if test.controllers != nil {
				objects = append(objects, test.controllers)
			}
			client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
				kind: "DoorList", Namespaces: "NamespaceList", Deployments: "DeploymentList",
				MutatingWebhooks: "MutatingWebhookConfigurationList", ValidatingWebhooks: "ValidatingWebhookConfigurationList",
			}, objects...)
			released, err := ReleaseOrphans(t.Context(), client, []Held{{Kinds: []Hold{{kind, "hinge", test.controller}}, Namespace: "doors"}}, now)
			require.NoError(t, err)
			assert.Equal(t, test.want, released)
			left, err := client.Resource(kind).Namespace("team").List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			for _, o := range left.Items {
				want := map[string][]string{"stuck": {"theirs"}, "locked": {"theirs"}}[o.GetName()]
				if want == nil {
					want = []string{"hinge"}
				} else if test.want == nil && o.GetName() == "stuck" {
					want = []string{"hinge/left", "theirs"}
				}
				assert.Equal(t, want, o.GetFinalizers(), o.GetName())
			}
		})
	}
}
