package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// letGo is how long whoever put a finalizer on an object may take to remove it.
const letGo = 15 * time.Second

// HeldUp is an object that was deleted and is still there: somebody put finalizers on
// it and has not removed them.
type HeldUp struct {
	Kind, Namespace, Name string
	Finalizers            []string
}

// String says what holds it up and how it is let go by hand.
func (h HeldUp) String() string {
	return fmt.Sprintf("%s %s in namespace %s is deleted, but the finalizer %s holds it up: have whoever put that there remove it, or, if nobody will, "+
		"`kubectl patch %s %s -n %s --type=merge -p '{\"metadata\":{\"finalizers\":null}}'`",
		h.Kind, h.Name, h.Namespace, strings.Join(h.Finalizers, " and "), strings.ToLower(h.Kind), h.Name, h.Namespace)
}

// FindHeldUp are the objects of some kinds, in some namespaces, that were deleted a
// while ago and are held by finalizers of others than own. A kind that the cluster does
// not know has none.
func FindHeldUp(ctx context.Context, client dynamic.Interface, namespaces []string, kinds []schema.GroupVersionResource, own []string, now time.Time) ([]HeldUp, error) {
	var all []HeldUp
	for _, namespace := range namespaces {
		for _, kind := range kinds {
			list, err := List(ctx, client, kind, namespace, "")
			if err != nil {
				return nil, err
			}
			for _, o := range list {
				deleted := o.GetDeletionTimestamp()
				theirs := slices.DeleteFunc(slices.Clone(o.GetFinalizers()), func(f string) bool { return slices.Contains(own, f) })
				if deleted == nil || now.Sub(deleted.Time) < letGo || len(theirs) == 0 {
					continue
				}
				all = append(all, HeldUp{Kind: o.GetKind(), Namespace: namespace, Name: o.GetName(), Finalizers: theirs})
			}
		}
	}
	return all, nil
}
