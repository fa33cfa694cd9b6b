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

func TestOnlyWhatSomebodyHoldsForLongIsHeldUp(t *testing.T) {
	now := time.Now()
	object := func(namespace, name string, deleted time.Duration, finalizers ...string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}}
		o.SetNamespace(namespace)
		o.SetName(name)
		o.SetFinalizers(finalizers)
		if deleted > 0 {
			at := metav1.NewTime(now.Add(-deleted))
			o.SetDeletionTimestamp(&at)
		}
		return o
	}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		ConfigMaps: "ConfigMapList", Services: "ServiceList",
	}, object("team", "held", time.Minute, "a.example/x", "c.example/own", "b.example/y"), object("team", "fresh", 10*time.Second, "x"), object("team", "used", 0, "x"),
		object("team", "going", time.Minute), object("team", "ours", time.Minute, "c.example/own"), object("elsewhere", "held", time.Minute, "x"))
	held, err := FindHeldUp(t.Context(), client, []string{"team"}, []schema.GroupVersionResource{Services, ConfigMaps}, []string{"c.example/own"}, now)
	require.NoError(t, err)
	require.Len(t, held, 1)
	assert.Equal(t, "ConfigMap held in namespace team is deleted, but the finalizer a.example/x and b.example/y holds it up: have whoever put that there remove it, or, if nobody will, "+
		"`kubectl patch configmap held -n team --type=merge -p '{\"metadata\":{\"finalizers\":null}}'`", held[0].String())
}
