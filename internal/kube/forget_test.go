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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestOnlyPodsThatEndSlowlyAreForgotten(t *testing.T) {
	now := time.Now()
	// Deleted so long ago, with a grace in seconds.
	pod := func(namespace, name string, ago time.Duration, grace int64) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Pod"}}
		o.SetNamespace(namespace)
		o.SetName(name)
		o.SetUID(types.UID("uid-of-" + name))
		if grace >= 0 {
			at := metav1.NewTime(now.Add(-ago).Add(time.Duration(grace) * time.Second))
			o.SetDeletionTimestamp(&at)
			o.SetDeletionGracePeriodSeconds(&grace)
		}
		return o
	}
	namespace := func(name string, going bool) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
		o.SetName(name)
		if going {
			at := metav1.NewTime(now)
			o.SetDeletionTimestamp(&at)
		}
		return o
	}
	const long = 5 * time.Second
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{Pods: "PodList", Namespaces: "NamespaceList"},
		pod("ours", "draining", long, 300), pod("ours", "running", 0, -1), pod("ours", "just-now", time.Second, 300), pod("ours", "forgotten", long, 0),
		pod("theirs", "draining", long, 300), pod("stays", "draining", long, 300), pod("goes", "draining", long, 300),
		namespace("stays", false), namespace("goes", true))
	require.NoError(t, ForgetPods(t.Context(), client, []string{"ours", "absent"}, []string{"stays", "goes", "gone"}, now))
	var deleted []string
	for _, action := range client.Actions() {
		deletion, ok := action.(clienttesting.DeleteActionImpl)
		if !ok {
			continue
		}
		deleted = append(deleted, deletion.Namespace+"/"+deletion.Name)
		assert.EqualValues(t, 0, *deletion.DeleteOptions.GracePeriodSeconds)
		assert.EqualValues(t, "uid-of-draining", *deletion.DeleteOptions.Preconditions.UID, "another pod of that name would be ended")
	}
	assert.Equal(t, []string{"ours/draining", "goes/draining"}, deleted)
}
