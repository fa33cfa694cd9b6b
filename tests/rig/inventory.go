package rig

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// Inventory is every object of a cluster: "kind.group namespace/name" to its uid.
type Inventory map[string]string

// comesAndGoes are the kinds a cluster makes and removes by itself.
var comesAndGoes = []string{"events", "leases", "endpoints", "endpointslices", "componentstatuses", "apiservices", "ipaddresses"}

// Inventory lists every object of every kind, but not those that come and go by
// themselves and nothing the node's own namespaces do among themselves.
func (c *Cluster) Inventory(ctx context.Context) (Inventory, error) {
	groups, err := c.discovery.ServerPreferredResources()
	var partial *discovery.ErrGroupDiscoveryFailed
	if err != nil && !errors.As(err, &partial) {
		return nil, fmt.Errorf("list the kinds of the cluster: %w", err)
	}
	inventory := Inventory{}
	for _, g := range groups {
		gv, err := schema.ParseGroupVersion(g.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range g.APIResources {
			if strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") || slices.Contains(comesAndGoes, r.Name) {
				continue
			}
			l, err := c.dynamic.Resource(gv.WithResource(r.Name)).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", r.Name, err)
			}
			for _, o := range l.Items {
				if o.GetNamespace() == "kube-system" && (r.Name == "pods" || r.Name == "replicasets") {
					continue
				}
				key := strings.TrimSuffix(o.GetKind()+"."+gv.Group, ".") + " " + strings.TrimPrefix(o.GetNamespace()+"/", "/") + o.GetName()
				inventory[key] = string(o.GetUID())
			}
		}
	}
	return inventory, nil
}

// Added lists what is in later and was not there before, sorted.
func (before Inventory) Added(later Inventory) []string {
	var added []string
	for _, key := range slices.Sorted(maps.Keys(later)) {
		if _, ok := before[key]; !ok {
			added = append(added, key)
		}
	}
	return added
}
