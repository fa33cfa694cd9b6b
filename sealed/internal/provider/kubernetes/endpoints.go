package kubernetes

import (
	"context"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func isService(obj *unstructured.Unstructured) bool {
	return obj.GetKind() == "Service" && obj.GroupVersionKind().Group == ""
}

// serviceReady waits for the address of a load balancer; other Services have
// theirs at once.
func serviceReady(obj *unstructured.Unstructured) (bool, string, error) {
	if text(obj, "spec", "type") != "LoadBalancer" {
		return true, "", nil
	}
	ingress, _, _ := unstructured.NestedSlice(obj.Object, "status", "loadBalancer", "ingress")
	return len(ingress) > 0, "an address of the load balancer", nil
}

// awaitEndpoints waits until a Service has at least one ready endpoint. A
// Service that selects nothing, or that has no virtual address, is not waited for.
func (p *Provider) awaitEndpoints(ctx context.Context, c *cluster, urn resource.URN,
	service *unstructured.Unstructured, waiting *string,
) error {
	selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	annotations := service.GetAnnotations()
	if len(selector) == 0 || text(service, "spec", "type") == "ExternalName" || text(service, "spec", "clusterIP") == "None" ||
		annotations[annotationWaitFor] != "" {
		return nil
	}
	kind, err := c.resolve(ctx, schema.GroupVersionKind{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"})
	if err != nil {
		return err
	}
	selection := metav1.ListOptions{LabelSelector: labels.Set{"kubernetes.io/service-name": service.GetName()}.String()}
	told := false
	return follow(ctx, c.objects(kind, service.GetNamespace()), selection, func(slices map[string]*unstructured.Unstructured) (bool, error) {
		for _, slice := range slices {
			if hasReadyEndpoint(slice) {
				return true, nil
			}
		}
		*waiting = "a ready endpoint (no ready pod matches selector " + labels.Set(selector).String() + ")"
		if !told {
			told = true
			p.host.Status(ctx, urn, "waiting for "+*waiting)
		}
		return false, nil
	})
}

func hasReadyEndpoint(slice *unstructured.Unstructured) bool {
	endpoints, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
	for _, item := range endpoints {
		endpoint, ok := item.(map[string]any)
		if !ok {
			continue
		}
		ready, found, _ := unstructured.NestedBool(endpoint, "conditions", "ready")
		if ready || !found {
			return true
		}
	}
	return false
}
