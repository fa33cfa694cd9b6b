package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// PodOf is a ready pod behind a port of a Service, and the pod's own port. The error
// says what is missing.
func PodOf(ctx context.Context, client dynamic.Interface, namespace, service string, port int) (pod string, podPort int, err error) {
	o, err := client.Resource(Services).Namespace(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return "", 0, fmt.Errorf("look up Service %s/%s: %w", namespace, service, err)
	}
	name, found := portName(o, port)
	if !found {
		return "", 0, fmt.Errorf("Service %s/%s has no port %d", namespace, service, port)
	}
	slices, err := client.Resource(EndpointSlices).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + service})
	if err != nil {
		return "", 0, fmt.Errorf("look up the pods of Service %s/%s: %w", namespace, service, err)
	}
	for _, slice := range slices.Items {
		if pod, podPort := readyPod(&slice, name); pod != "" {
			return pod, podPort, nil
		}
	}
	return "", 0, fmt.Errorf("Service %s/%s has no pod that is ready", namespace, service)
}

// portName is the name of a Service's port, by which its endpoints know it.
func portName(service *unstructured.Unstructured, port int) (name string, found bool) {
	list, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	for _, each := range list {
		p, _ := each.(map[string]any)
		if number, _, _ := unstructured.NestedInt64(p, "port"); number == int64(port) {
			return Text(p, "name"), true
		}
	}
	return "", false
}

func readyPod(slice *unstructured.Unstructured, portName string) (pod string, port int) {
	ports, _, _ := unstructured.NestedSlice(slice.Object, "ports")
	for _, each := range ports {
		p, _ := each.(map[string]any)
		if Text(p, "name") == portName {
			number, _, _ := unstructured.NestedInt64(p, "port")
			port = int(number)
		}
	}
	endpoints, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
	for _, each := range endpoints {
		e, _ := each.(map[string]any)
		ready, _, _ := unstructured.NestedBool(e, "conditions", "ready")
		if ready && Text(e, "targetRef", "kind") == "Pod" && port != 0 {
			return Text(e, "targetRef", "name"), port
		}
	}
	return "", 0
}
