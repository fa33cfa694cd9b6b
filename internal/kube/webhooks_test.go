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

func TestOnlyTheWebhooksOfAKindWhoseServerIsGoneAreDoneWithout(t *testing.T) {
	kind := schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "doors"}
	webhook := func(namespace, resource string) any {
		return map[string]any{
			"name": namespace + "." + resource, "failurePolicy": "Fail",
			"clientConfig": map[string]any{"service": map[string]any{"namespace": namespace, "name": "server"}},
			"rules":        []any{map[string]any{"apiGroups": []any{"example.com"}, "resources": []any{resource}}},
		}
	}
	configuration := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": map[string]any{"name": "of-doors"},
		"webhooks": []any{
			webhook("doors", "doors"), webhook("doors", "windows"), webhook("elsewhere", "doors"), webhook("doors", "*"),
			map[string]any{"name": "by URL", "failurePolicy": "Fail", "clientConfig": map[string]any{"url": "https://doors.example"}},
		},
	}}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		MutatingWebhooks: "MutatingWebhookConfigurationList", ValidatingWebhooks: "ValidatingWebhookConfigurationList",
	}, configuration)
	require.NoError(t, ignoreWebhooks(t.Context(), client, kind, "doors"))
	o, err := Find(t.Context(), client, MutatingWebhooks, "", "of-doors")
	require.NoError(t, err)
	webhooks, _, _ := unstructured.NestedSlice(o.Object, "webhooks")
	policies := map[string]string{}
	for _, each := range webhooks {
		policies[Text(each.(map[string]any), "name")] = Text(each.(map[string]any), "failurePolicy")
	}
	assert.Equal(t, map[string]string{
		"doors.doors": "Ignore", "doors.*": "Ignore", "doors.windows": "Fail", "elsewhere.doors": "Fail", "by URL": "Fail",
	}, policies)
}
