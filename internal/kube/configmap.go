package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// Datum is what a ConfigMap has under a key; one that it has not is empty.
func Datum(ctx context.Context, c dynamic.Interface, namespace, name, key string) (string, error) {
	o, err := c.Resource(ConfigMaps).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read ConfigMap %s/%s: %w", namespace, name, err)
	}
	return Text(o.Object, "data", key), nil
}
