package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// promptly is how long a pod may take to end before nobody waits for it any more.
const promptly = 2 * time.Second

// ForgetPods forgets pods of some namespaces that were deleted a moment ago and are still
// being ended, however long they were to have for it: what waits for them goes on. Their
// node goes on ending them in the time they have, which cannot be made shorter. What
// they would answer until then nobody may ask for.
func ForgetPods(ctx context.Context, client dynamic.Interface, namespaces []string, now time.Time) error {
	pods, err := List(ctx, client, Pods, "", "")
	if err != nil {
		return err
	}
	var errs []error
	for _, pod := range pods {
		deleted, grace := pod.GetDeletionTimestamp(), pod.GetDeletionGracePeriodSeconds()
		if deleted == nil || grace == nil || !slices.Contains(namespaces, pod.GetNamespace()) {
			continue
		}
		// The timestamp is when the time ends that it was given.
		begun := deleted.Add(-time.Duration(*grace) * time.Second)
		if *grace == 0 || now.Sub(begun) < promptly {
			continue
		}
		uid, none := pod.GetUID(), int64(0)
		err := client.Resource(Pods).Namespace(pod.GetNamespace()).Delete(ctx, pod.GetName(), metav1.DeleteOptions{
			GracePeriodSeconds: &none, Preconditions: &metav1.Preconditions{UID: &uid},
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			errs = append(errs, fmt.Errorf("forget pod %s/%s: %w", pod.GetNamespace(), pod.GetName(), err))
		}
	}
	return errors.Join(errs...)
}
