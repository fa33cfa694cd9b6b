package kube

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// lastGrace is how many seconds a pod still has that nobody will ask anything of.
const lastGrace = 1

// HastenPods gives pods of some namespaces that are being ended a second for it, however
// long they would be waited for.
func HastenPods(ctx context.Context, client dynamic.Interface, namespaces []string) error {
	var errs []error
	for _, namespace := range namespaces {
		pods, err := List(ctx, client, Pods, namespace, "")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, pod := range pods {
			grace := pod.GetDeletionGracePeriodSeconds()
			if pod.GetDeletionTimestamp() == nil || grace == nil || *grace <= lastGrace {
				continue
			}
			uid, seconds := pod.GetUID(), int64(lastGrace)
			err := client.Resource(Pods).Namespace(namespace).Delete(ctx, pod.GetName(), metav1.DeleteOptions{
				GracePeriodSeconds: &seconds, Preconditions: &metav1.Preconditions{UID: &uid},
			})
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				errs = append(errs, fmt.Errorf("hasten the end of pod %s/%s: %w", namespace, pod.GetName(), err))
			}
		}
	}
	return errors.Join(errs...)
}
