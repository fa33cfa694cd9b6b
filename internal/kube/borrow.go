package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
)

// manager owns the fields of what is applied here, and is the program's, too: it
// takes such an object over.
const manager = "neuroscale"

// Apply makes an object of Kubernetes' own kinds be as described.
func (c *Cluster) Apply(ctx context.Context, o *unstructured.Unstructured) error {
	resource, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
	var api dynamic.ResourceInterface = c.Dynamic.Resource(resource)
	if namespace := o.GetNamespace(); namespace != "" {
		api = c.Dynamic.Resource(resource).Namespace(namespace)
	}
	_, err := api.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: manager, Force: true})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// BorrowPod makes a pod, calls use once its container runs, and deletes it again
// whatever came of that. One of that name, left by a run that was killed, goes first.
func (c *Cluster) BorrowPod(ctx context.Context, o *unstructured.Unstructured, patience time.Duration, use func() error) (err error) {
	api := c.Dynamic.Resource(Pods).Namespace(o.GetNamespace())
	remove := func(ctx context.Context) error {
		now := int64(0)
		err := api.Delete(ctx, o.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &now})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete pod %s/%s: %w", o.GetNamespace(), o.GetName(), err)
		}
		return nil
	}
	if err := remove(ctx); err != nil {
		return err
	}
	defer func() {
		// The context may be what ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, remove(ctx))
	}()
	why := "it is not made"
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		_, err := api.Create(ctx, o, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return false, err
		}
		// One that was left is there until it is gone.
		pod, err := api.Get(ctx, o.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		why = NotReady(pod)
		return why == "", nil
	})
	if err != nil {
		return fmt.Errorf("pod %s/%s does not run in %s (%s): %w", o.GetNamespace(), o.GetName(), patience, why, err)
	}
	return use()
}
