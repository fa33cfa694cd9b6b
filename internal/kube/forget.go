package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// promptly is how long a pod may take to end before nobody waits for it any more.
const promptly = 2 * time.Second

// ForgetPods forgets pods that were deleted a moment ago and are still being ended: what
// waits for them goes on, and their node ends them in the time they have, which nothing
// shortens. It looks in own namespaces, and in shared ones that are themselves being
// deleted: in others there may be pods of somebody else.
func ForgetPods(ctx context.Context, client dynamic.Interface, own, shared []string, now time.Time) error {
	namespaces := slices.Clone(own)
	var errs []error
	for _, name := range shared {
		ns, err := Find(ctx, client, Namespaces, "", name)
		errs = append(errs, err)
		if ns != nil && ns.GetDeletionTimestamp() != nil {
			namespaces = append(namespaces, name)
		}
	}
	for _, namespace := range namespaces {
		pods, err := List(ctx, client, Pods, namespace, "")
		errs = append(errs, err)
		for i := range pods {
			pod := &pods[i]
			if endsSlowly(pod, now) {
				errs = append(errs, forget(ctx, client, pod))
			}
		}
	}
	return errors.Join(errs...)
}

func endsSlowly(pod *unstructured.Unstructured, now time.Time) bool {
	ends, grace := pod.GetDeletionTimestamp(), pod.GetDeletionGracePeriodSeconds()
	if ends == nil || grace == nil || *grace == 0 {
		return false
	}
	begun := ends.Add(-time.Duration(*grace) * time.Second)
	return now.Sub(begun) >= promptly
}

func forget(ctx context.Context, client dynamic.Interface, pod *unstructured.Unstructured) error {
	uid, none := pod.GetUID(), int64(0)
	err := client.Resource(Pods).Namespace(pod.GetNamespace()).Delete(ctx, pod.GetName(), metav1.DeleteOptions{
		GracePeriodSeconds: &none, Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("forget pod %s/%s: %w", pod.GetNamespace(), pod.GetName(), err)
	}
	return nil
}
