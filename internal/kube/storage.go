package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// isDefaultClass marks the StorageClass of claims that name none.
const isDefaultClass = "storageclass.kubernetes.io/is-default-class"

// VolumesFrom fails if a cluster makes no volumes of a StorageClass, "" being its
// default: a pod would wait for one for ever.
func VolumesFrom(ctx context.Context, cluster dynamic.Interface, class string) error {
	list, err := cluster.Resource(StorageClasses).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the StorageClasses: %w", err)
	}
	var names []string
	usual := false
	for _, c := range list.Items {
		names = append(names, c.GetName())
		usual = usual || c.GetAnnotations()[isDefaultClass] == "true"
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return errors.New("the cluster has no StorageClass, and the platform keeps its data on volumes: install a provisioner of volumes")
	case class == "" && !usual:
		return fmt.Errorf("the cluster has no default StorageClass: write one of %s as its name, or mark one as the default", strings.Join(names, ", "))
	case class != "" && !slices.Contains(names, class):
		return fmt.Errorf("the cluster has no StorageClass %q: write one of %s, or leave it out for the cluster's default", class, strings.Join(names, ", "))
	}
	return nil
}

// ClaimOf fails if a claim that is there already is of another class than is asked for,
// "" asking for none: nobody can change that of a claim.
func ClaimOf(ctx context.Context, cluster dynamic.Interface, namespace, name, class string) error {
	list, err := cluster.Resource(Claims).Namespace(namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return fmt.Errorf("list the claims of %s: %w", namespace, err)
	}
	for _, claim := range list.Items {
		if has := Text(claim.Object, "spec", "storageClassName"); claim.GetName() == name && class != "" && has != class {
			return fmt.Errorf("the volume that is there is of StorageClass %q, which cannot be changed to %q: write %q, or take a `neuroscale backup`, destroy the platform and restore it", has, class, has)
		}
	}
	return nil
}
