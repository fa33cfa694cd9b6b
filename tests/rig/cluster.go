package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// Cluster reads and disturbs a cluster.
type Cluster struct {
	dynamic   dynamic.Interface
	discovery discovery.DiscoveryInterface
	http      *http.Client
	server    string
}

// RESTConfig is how a client reaches the cluster of a kubeconfig file. Without one
// it is an error: the caller's own cluster is not for tests.
func RESTConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return nil, errors.New("no kubeconfig was given")
	}
	k, err := kube.Load(kube.Source{Path: kubeconfig})
	if err != nil {
		return nil, err
	}
	return k.REST()
}

// Connect makes a client from a kubeconfig file.
func Connect(kubeconfig string) (*Cluster, error) {
	config, err := RESTConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst, config.Timeout = 100, 200, 20*time.Second
	config.WarningHandler = rest.NoWarnings{}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	d, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	return &Cluster{dynamic: d, discovery: disco, http: client, server: config.Host}, nil
}

// Get reads one object; nil without an error means there is none, or not even
// its kind.
func (c *Cluster) Get(ctx context.Context, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	return Get(ctx, c.dynamic, r, namespace, name)
}

// Get is Cluster.Get of a client.
func Get(ctx context.Context, d dynamic.Interface, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	o, err := d.Resource(r).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return o, err
}

// List reads the objects of a kind, in all namespaces if namespace is "". A kind
// that does not exist has none.
func (c *Cluster) List(ctx context.Context, r schema.GroupVersionResource, namespace string) ([]unstructured.Unstructured, error) {
	return List(ctx, c.dynamic, r, namespace)
}

// List is Cluster.List of a client.
func List(ctx context.Context, d dynamic.Interface, r schema.GroupVersionResource, namespace string) ([]unstructured.Unstructured, error) {
	l, err := d.Resource(r).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return l.Items, nil
}

// Delete deletes one object in the background.
func (c *Cluster) Delete(ctx context.Context, r schema.GroupVersionResource, namespace, name string) error {
	policy := metav1.DeletePropagationBackground
	err := c.dynamic.Resource(r).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy})
	if err != nil {
		return fmt.Errorf("delete %s %s/%s: %w", r.Resource, namespace, name, err)
	}
	return nil
}

// Patch merges a JSON document into one object.
func (c *Cluster) Patch(ctx context.Context, r schema.GroupVersionResource, namespace, name, merge string) error {
	_, err := c.dynamic.Resource(r).Namespace(namespace).Patch(ctx, name, types.MergePatchType, []byte(merge), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("patch %s %s/%s: %w", r.Resource, namespace, name, err)
	}
	return nil
}

// Text is a string field of an object, "" if it is not there.
func Text(o *unstructured.Unstructured, path ...string) string {
	if o == nil {
		return ""
	}
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}

// Number is an integer field of an object, 0 if it is not there.
func Number(o *unstructured.Unstructured, path ...string) int64 {
	if o == nil {
		return 0
	}
	n, _, _ := unstructured.NestedInt64(o.Object, path...)
	return n
}

// Serves is whether a pod is ready and is to stay.
func Serves(pod *unstructured.Unstructured) bool {
	return pod.GetDeletionTimestamp() == nil &&
		slices.ContainsFunc(kube.Conditions(pod), func(c kube.Condition) bool { return c.Type == "Ready" && c.Holds })
}
