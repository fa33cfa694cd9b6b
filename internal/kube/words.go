package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// LastWords is the termination message of the newest of the pods in a namespace
// that a label selector finds, by the end of their first container; "" if none of
// them left one.
func LastWords(ctx context.Context, client dynamic.Interface, namespace, selector string) (string, error) {
	list, err := client.Resource(Pods).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return "", fmt.Errorf("list pods %s of namespace %s: %w", selector, namespace, err)
	}
	said, newest := "", ""
	for _, p := range list.Items {
		statuses, _, _ := unstructured.NestedSlice(p.Object, "status", "containerStatuses")
		if len(statuses) == 0 {
			continue
		}
		status, _ := statuses[0].(map[string]any)
		message := Text(status, "state", "terminated", "message")
		// RFC 3339 in one time zone sorts as text.
		ended := Text(status, "state", "terminated", "finishedAt")
		if message != "" && ended > newest {
			said, newest = message, ended
		}
	}
	return said, nil
}
