package kube

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
)

func TestTheLastWordsAreThoseOfThePodThatEndedLast(t *testing.T) {
	pod := func(name, label, message, finished string) runtime.Object {
		return &unstructured.Unstructured{Object: fields{
			"apiVersion": "v1", "kind": "Pod",
			"metadata": fields{"name": name, "namespace": "n", "labels": fields{"probe": label}},
			"status": fields{"containerStatuses": []any{fields{"state": fields{"terminated": fields{
				"message": message, "finishedAt": finished,
			}}}}},
		}}
	}
	running := &unstructured.Unstructured{Object: fields{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": fields{"name": "running", "namespace": "n", "labels": fields{"probe": "a"}},
		"status":   fields{"containerStatuses": []any{fields{"state": fields{"running": fields{}}}}},
	}}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{Pods: "PodList"},
		pod("old", "a", "not yet", "2026-01-01T00:00:00Z"), pod("new", "a", "enforced", "2026-01-01T00:00:01Z"),
		pod("silent", "a", "", "2026-01-01T00:00:02Z"), pod("other", "b", "else", "2026-01-01T00:00:03Z"), running)
	said, err := LastWords(t.Context(), client, "n", "probe=a")
	require.NoError(t, err)
	assert.Equal(t, "enforced", said)
	said, err = LastWords(t.Context(), client, "n", "probe=c")
	require.NoError(t, err)
	assert.Empty(t, said)
}
