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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Hold is a kind whose objects are only gone when a controller says so.
type Hold struct {
	schema.GroupVersionResource
	// Finalizer that the controller puts on them, or what it begins with.
	Finalizer string
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

// ReleaseOrphans lets go of deleted objects whose controllers are gone: nobody
// else would, and their kinds could never be deleted. Finalizers of others stay: they
// may guard something outside the cluster. It returns what it let go.
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
