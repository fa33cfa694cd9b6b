package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Hold is a kind whose objects are only gone when a controller says so.
type Hold struct {
	schema.GroupVersionResource
	// Finalizer that the controller puts on them, or what it begins with.
	Finalizer string
	// Controller is its Deployment, if others run in its namespace, too: without a pod
	// of that one it is gone.
	Controller string
}

// Held are such kinds.
type Held struct {
	Kinds []Hold
	// Namespace is the controllers'.
	Namespace string
}

// holdGrace is how long a controller whose namespace is being deleted may take to
// let an object go.
const holdGrace = 5 * time.Second

// controlled is whether a pod of its controller is available in a namespace that is
// there.
func (h Hold) controlled(ctx context.Context, client dynamic.Interface, namespace string) (bool, error) {
	if h.Controller == "" {
		return true, nil
	}
	o, err := Find(ctx, client, Deployments, namespace, h.Controller)
	if err != nil || o == nil {
		return false, err
	}
	available, _, _ := unstructured.NestedInt64(o.Object, "status", "availableReplicas")
	return available > 0, nil
}

// ReleaseOrphans lets go of deleted objects whose controllers are gone: nobody
// else would, and their kinds could never be deleted. Finalizers of others stay: they
// may guard something outside the cluster. It returns what it let go.
func ReleaseOrphans(ctx context.Context, client dynamic.Interface, held []Held, now time.Time) ([]string, error) {
	var released []string
	var errs []error
	for _, h := range held {
		ns, err := Find(ctx, client, Namespaces, "", h.Namespace)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, kind := range h.Kinds {
			if ns != nil && ns.GetDeletionTimestamp() == nil {
				there, err := kind.controlled(ctx, client, h.Namespace)
				errs = append(errs, err)
				if there || err != nil {
					continue
				}
			}
			all, err := client.Resource(kind.GroupVersionResource).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("list %s: %w", kind.Resource, err))
				continue
			}
			for _, o := range all.Items {
				deleted := o.GetDeletionTimestamp()
				others := slices.DeleteFunc(slices.Clone(o.GetFinalizers()), func(f string) bool { return strings.HasPrefix(f, kind.Finalizer) })
				if deleted == nil || len(others) == len(o.GetFinalizers()) || now.Sub(deleted.Time) < holdGrace {
					continue
				}
				if err := ignoreWebhooks(ctx, client, kind.GroupVersionResource, h.Namespace); err != nil {
					errs = append(errs, err)
				}
				patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": others}})
				if err != nil {
					return nil, err
				}
				_, err = client.Resource(kind.GroupVersionResource).Namespace(o.GetNamespace()).Patch(ctx, o.GetName(), types.MergePatchType,
					patch, metav1.PatchOptions{})
				if err != nil && !apierrors.IsNotFound(err) {
					errs = append(errs, fmt.Errorf("let go of %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err))
					continue
				}
				released = append(released, fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName()))
			}
		}
	}
	return released, errors.Join(errs...)
}
