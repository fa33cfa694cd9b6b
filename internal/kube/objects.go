package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// List is all objects of a kind that a label selector finds, in a namespace or in
// all; a kind that the cluster does not know has none.
func List(ctx context.Context, c dynamic.Interface, r schema.GroupVersionResource, namespace, selector string) ([]unstructured.Unstructured, error) {
	found, err := c.Resource(r).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", r.Resource, err)
	}
	return found.Items, nil
}

// Find is one object; nil if it is not there.
func Find(ctx context.Context, c dynamic.Interface, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	o, err := c.Resource(r).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s %s: %w", r.Resource, name, err)
	}
	return o, nil
}
