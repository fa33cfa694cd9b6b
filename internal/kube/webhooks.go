package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// ignoreWebhooks has the API server do without the webhooks of a kind whose server is in
// a namespace: with nobody there it would refuse every change, also that which lets an
// object go.
func ignoreWebhooks(ctx context.Context, client dynamic.Interface, kind schema.GroupVersionResource, namespace string) error {
	var errs []error
	for _, configurations := range []schema.GroupVersionResource{MutatingWebhooks, ValidatingWebhooks} {
		all, err := List(ctx, client, configurations, "", "")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, o := range all {
			patch := ignoring(o, kind, namespace)
			if len(patch) == 0 {
				continue
			}
			text, err := json.Marshal(patch)
			if err != nil {
				return err
			}
			_, err = client.Resource(configurations).Patch(ctx, o.GetName(), types.JSONPatchType, text, metav1.PatchOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				errs = append(errs, fmt.Errorf("do without the webhooks of %s: %w", o.GetName(), err))
			}
		}
	}
	return errors.Join(errs...)
}

// ignoring is the JSON patch that does so, empty if there is nothing to do.
func ignoring(configuration unstructured.Unstructured, kind schema.GroupVersionResource, namespace string) []map[string]any {
	var patch []map[string]any
	webhooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	for i, each := range webhooks {
		webhook, _ := each.(map[string]any)
		if Text(webhook, "clientConfig", "service", "namespace") == namespace && Text(webhook, "failurePolicy") != "Ignore" && judges(webhook, kind) {
			patch = append(patch, map[string]any{"op": "add", "path": fmt.Sprintf("/webhooks/%d/failurePolicy", i), "value": "Ignore"})
		}
	}
	return patch
}

// judges is whether one of a webhook's rules is about a kind.
func judges(webhook map[string]any, kind schema.GroupVersionResource) bool {
	rules, _, _ := unstructured.NestedSlice(webhook, "rules")
	return slices.ContainsFunc(rules, func(each any) bool {
		rule, _ := each.(map[string]any)
		names := func(field, wanted string) bool {
			list, _, _ := unstructured.NestedStringSlice(rule, field)
			return slices.Contains(list, wanted) || slices.Contains(list, "*")
		}
		return names("apiGroups", kind.Group) && names("resources", kind.Resource)
	})
}
