package kubernetes

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// relistPause keeps a watch that cannot be held from asking more than once a
// second.
const relistPause = time.Second

// follow shows see the objects of a selection, by name, now and after every
// change, until see says it has seen enough, or ctx ends.
func follow(ctx context.Context, objects dynamic.ResourceInterface, selection metav1.ListOptions,
	see func(map[string]*unstructured.Unstructured) (bool, error),
) error {
	for {
		list, err := objects.List(ctx, selection)
		switch {
		case err == nil:
			set := map[string]*unstructured.Unstructured{}
			for i := range list.Items {
				set[list.Items[i].GetName()] = &list.Items[i]
			}
			done, err := see(set)
			if done || err != nil {
				return err
			}
			if done, err = followFrom(ctx, objects, selection, list.GetResourceVersion(), set, see); done || err != nil {
				return err
			}
		case apierrors.IsNotFound(err):
			// The kind itself went away, and all its objects with it.
			if done, err := see(nil); done || err != nil {
				return err
			}
		case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
			return fmt.Errorf("reading it: %w", err)
		}
		if err := pause(ctx, relistPause); err != nil {
			return err
		}
	}
}

// followFrom watches from one version on; it returns false when the watch broke
// off and the objects have to be listed again.
func followFrom(ctx context.Context, objects dynamic.ResourceInterface, selection metav1.ListOptions, version string,
	set map[string]*unstructured.Unstructured, see func(map[string]*unstructured.Unstructured) (bool, error),
) (bool, error) {
	selection.ResourceVersion = version
	selection.AllowWatchBookmarks = true
	watcher, err := objects.Watch(ctx, selection)
	if err != nil {
		return false, nil
	}
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case event, open := <-watcher.ResultChan():
			obj, ok := event.Object.(*unstructured.Unstructured)
			if !open || event.Type == watch.Error || !ok {
				return false, nil
			}
			switch event.Type {
			case watch.Added, watch.Modified:
				set[obj.GetName()] = obj
			case watch.Deleted:
				delete(set, obj.GetName())
			default:
				continue
			}
			if done, err := see(set); done || err != nil {
				return done, err
			}
		}
	}
}

// followOne shows see one object now and after every change; it sees nil when
// there is none, or when another object has taken the name.
func followOne(ctx context.Context, objects dynamic.ResourceInterface, obj *unstructured.Unstructured,
	see func(*unstructured.Unstructured) (bool, error),
) error {
	name, uid := obj.GetName(), obj.GetUID()
	selection := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()}
	return follow(ctx, objects, selection, func(set map[string]*unstructured.Unstructured) (bool, error) {
		current := set[name]
		if current != nil && uid != "" && current.GetUID() != uid {
			current = nil
		}
		return see(current)
	})
}

// pause waits, or returns why it must not.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
