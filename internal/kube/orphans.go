package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Held are kinds whose objects are only gone when a controller says so.
type Held struct {
	Kinds []schema.GroupVersionResource
	// Namespace is the controllers'.
	Namespace string
}

// holdGrace is how long a controller whose namespace is being deleted may take to
// let an object go.
const holdGrace = 5 * time.Second

// ReleaseOrphans lets go of deleted objects whose controllers are gone: nobody
// else would, and their kinds could never be deleted. It returns what it let go.
func ReleaseOrphans(ctx context.Context, client dynamic.Interface, held []Held, now time.Time) ([]string, error) {
	var released []string
	var errs []error
	for _, h := range held {
		ns, err := client.Resource(Namespaces).Get(ctx, h.Namespace, metav1.GetOptions{})
		if err == nil && ns.GetDeletionTimestamp() == nil {
			continue // somebody is there
		}
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("look up namespace %s: %w", h.Namespace, err))
			continue
		}
		for _, kind := range h.Kinds {
			all, err := client.Resource(kind).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("list %s: %w", kind.Resource, err))
				continue
			}
			for _, o := range all.Items {
				deleted := o.GetDeletionTimestamp()
				if deleted == nil || len(o.GetFinalizers()) == 0 || now.Sub(deleted.Time) < holdGrace {
					continue
				}
				_, err := client.Resource(kind).Namespace(o.GetNamespace()).Patch(ctx, o.GetName(), types.MergePatchType,
					[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
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
