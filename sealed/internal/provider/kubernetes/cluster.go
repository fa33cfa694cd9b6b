package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reachTimeout bounds the question whether the cluster answers at all, and
// reachMemory is how long a refusal is believed, so that a preview of many
// objects asks once.
const (
	reachTimeout = 4 * time.Second
	reachMemory  = 15 * time.Second
)

// requestTimeout bounds one question to the cluster that no time limit of the
// program's bounds.
const requestTimeout = 30 * time.Second

// discoveryAge is how long a negative answer about a kind is believed.
const discoveryAge = time.Second

// noKindError says that the cluster does not serve a kind.
type noKindError struct{ gvk schema.GroupVersionKind }

func (e noKindError) Error() string {
	return fmt.Sprintf("the cluster does not know kind %s in %s", e.gvk.Kind, e.gvk.GroupVersion())
}

// served is how the cluster serves a kind.
type served struct {
	gvr        schema.GroupVersionResource
	namespaced bool
}

// cluster is the connection to one Kubernetes API. It is safe for parallel use.
type cluster struct {
	host    string
	dynamic dynamic.Interface
	raw     rest.Interface

	mu     sync.Mutex
	groups map[schema.GroupVersion]*servedGroup

	reachMu  sync.Mutex
	reached  bool
	reachErr error
	askedAt  time.Time
}

// servedGroup is one API version's kinds, as of a moment.
type servedGroup struct {
	mu    sync.Mutex
	kinds map[string]served
	at    time.Time
}

func connect(cfg *rest.Config) (*cluster, error) {
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	dyn, err := dynamic.NewForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	disc, err := discovery.NewDiscoveryClientForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return &cluster{host: cfg.Host, dynamic: dyn, raw: disc.RESTClient(), groups: map[schema.GroupVersion]*servedGroup{}}, nil
}

// reachable asks the API for its version, unless it has answered before.
func (c *cluster) reachable(ctx context.Context) error {
	c.reachMu.Lock()
	defer c.reachMu.Unlock()
	if c.reached || (c.reachErr != nil && time.Since(c.askedAt) < reachMemory) {
		return c.reachErr
	}
	probe, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	_, err := c.raw.Get().AbsPath("/version").DoRaw(probe)
	switch {
	case err == nil:
		c.reached, c.reachErr = true, nil
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no answer within %s", reachTimeout)
	}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	c.reachErr, c.askedAt = fmt.Errorf("the cluster at %s cannot be reached: %w", c.host, err), time.Now()
	return c.reachErr
}

// resolve finds how the cluster serves a kind. What was found is kept; what was
// not is asked for again, since CRDs appear while a program runs.
func (c *cluster) resolve(ctx context.Context, gvk schema.GroupVersionKind) (served, error) {
	gv := gvk.GroupVersion()
	c.mu.Lock()
	group := c.groups[gv]
	if group == nil {
		group = &servedGroup{}
		c.groups[gv] = group
	}
	c.mu.Unlock()

	group.mu.Lock()
	defer group.mu.Unlock()
	if found, ok := group.kinds[gvk.Kind]; ok {
		return found, nil
	}
	if time.Since(group.at) >= discoveryAge {
		kinds, err := c.discover(ctx, gv)
		if err != nil {
			return served{}, fmt.Errorf("asking the cluster about %s: %w", gv, err)
		}
		group.kinds, group.at = kinds, time.Now()
	}
	if found, ok := group.kinds[gvk.Kind]; ok {
		return found, nil
	}
	return served{}, noKindError{gvk}
}

func (c *cluster) discover(ctx context.Context, gv schema.GroupVersion) (map[string]served, error) {
	path := "/apis/" + gv.String()
	if gv.Group == "" {
		path = "/api/" + gv.Version
	}
	data, err := c.raw.Get().AbsPath(path).DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	kinds := map[string]served{}
	for _, r := range list.APIResources {
		if isSubresource(r.Name) {
			continue
		}
		kinds[r.Kind] = served{gvr: gv.WithResource(r.Name), namespaced: r.Namespaced}
	}
	return kinds, nil
}

func isSubresource(name string) bool {
	for _, r := range name {
		if r == '/' {
			return true
		}
	}
	return false
}

// forget drops what is known of a group, because a CRD of it changed.
func (c *cluster) forget(group string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for gv := range c.groups {
		if gv.Group == group {
			delete(c.groups, gv)
		}
	}
}

// objects addresses the objects of a kind in a namespace.
func (c *cluster) objects(s served, namespace string) dynamic.ResourceInterface {
	if s.namespaced {
		return c.dynamic.Resource(s.gvr).Namespace(namespace)
	}
	return c.dynamic.Resource(s.gvr)
}

// get reads one object of a kind by name.
func (c *cluster) get(ctx context.Context, gvk schema.GroupVersionKind, namespace, name string) (*unstructured.Unstructured, error) {
	kind, err := c.resolve(ctx, gvk)
	if err != nil {
		return nil, err
	}
	return c.objects(kind, namespace).Get(ctx, name, metav1.GetOptions{})
}

// podLog returns the last lines a container of a pod wrote.
func (c *cluster) podLog(ctx context.Context, namespace, pod, container string, lines int) (string, error) {
	data, err := c.raw.Get().
		AbsPath("/api/v1/namespaces", namespace, "pods", pod, "log").
		Param("container", container).
		Param("tailLines", strconv.Itoa(lines)).
		DoRaw(ctx)
	return string(data), err
}
