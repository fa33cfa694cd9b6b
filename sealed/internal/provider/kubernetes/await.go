package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Default times to wait for readiness and for deletion.
const (
	defaultTimeout = 10 * time.Minute
	claimTimeout   = 5 * time.Minute
)

// diagnoseTimeout bounds the search for the cause of a failed wait.
const diagnoseTimeout = 5 * time.Second

// timeoutFor is how long to wait for an object: what the request says, else the
// annotation, else the default.
func timeoutFor(requested time.Duration, obj *unstructured.Unstructured) time.Duration {
	if requested > 0 {
		return requested
	}
	if d, err := parseTimeout(obj.GetAnnotations()[annotationTimeoutSeconds]); err == nil && d > 0 {
		return d
	}
	if obj.GetKind() == "PersistentVolumeClaim" && obj.GroupVersionKind().Group == "" {
		return claimTimeout
	}
	return defaultTimeout
}

// awaitError is a wait that failed: the reason, and what was found around it.
type awaitError struct {
	reason  string
	details []string
}

func (e *awaitError) Error() string {
	return strings.Join(append([]string{e.reason}, e.details...), "\n")
}

// await waits until an object that was just applied is ready, and returns it as
// it is then. ctx carries the time limit, of which limit is what to tell.
func (p *Provider) await(ctx context.Context, c *cluster, kind served, urn resource.URN,
	obj *unstructured.Unstructured, limit time.Duration,
) (*unstructured.Unstructured, error) {
	ready, err := p.readinessFor(ctx, c, obj)
	if err != nil || ready == nil {
		return obj, err
	}
	last, waiting, shown := obj, "", ""
	see := func(current *unstructured.Unstructured) (bool, error) {
		if current == nil {
			return false, errors.New("it was deleted meanwhile")
		}
		last = current
		done, what, err := ready(current)
		if done || err != nil {
			return done, err
		}
		waiting = what
		if waiting != shown {
			shown = waiting
			p.host.Status(ctx, urn, "waiting for "+waiting)
		}
		return false, nil
	}
	done, err := see(obj)
	if !done && err == nil {
		err = followOne(ctx, c.objects(kind, obj.GetNamespace()), obj, see)
	}
	if err == nil && isService(obj) {
		err = p.awaitEndpoints(ctx, c, urn, last, &waiting)
	}
	if err == nil {
		if obj.GetKind() == "CustomResourceDefinition" {
			c.forget(text(obj, "spec", "group"))
		}
		return last, nil
	}
	return last, p.explain(ctx, c, last, waiting, limit, err)
}

// readinessFor chooses what to wait for: nothing, what the waitFor annotation
// asks, or what the kind defines.
func (p *Provider) readinessFor(ctx context.Context, c *cluster, obj *unstructured.Unstructured) (readiness, error) {
	annotations := obj.GetAnnotations()
	if strings.EqualFold(annotations[annotationSkipAwait], "true") {
		return nil, nil
	}
	conditions, err := parseWaitFor(annotations[annotationWaitFor])
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", annotationWaitFor, err)
	}
	switch {
	case len(conditions) > 0:
		return waitForAll(conditions), nil
	case isService(obj):
		return serviceReady, nil
	case obj.GetKind() == "PersistentVolumeClaim" && waitsForConsumer(ctx, c, obj):
		return nil, nil
	}
	return readinessOf(obj), nil
}

// explain says why a wait ended without the object being ready.
func (p *Provider) explain(ctx context.Context, c *cluster, obj *unstructured.Unstructured,
	waiting string, limit time.Duration, err error,
) error {
	reason := ""
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		reason = fmt.Sprintf("%s was not ready within %s", describe(obj), limit)
	case errors.Is(err, context.Canceled):
		return &awaitError{reason: fmt.Sprintf("the wait for %s was cancelled; it still waits for %s", describe(obj), waiting)}
	default:
		reason = fmt.Sprintf("%s is not ready: %v", describe(obj), err)
		waiting = ""
	}
	if waiting != "" {
		reason += ": waiting for " + waiting
	}
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), diagnoseTimeout)
	defer cancel()
	return &awaitError{reason: reason, details: c.diagnose(look, obj)}
}

// waitsForConsumer tells whether a claim is only bound once a pod uses it.
func waitsForConsumer(ctx context.Context, c *cluster, claim *unstructured.Unstructured) bool {
	classes := schema.GroupVersionKind{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClass"}
	kind, err := c.resolve(ctx, classes)
	if err != nil {
		return false
	}
	list, err := c.objects(kind, "").List(ctx, metav1.ListOptions{})
	if err != nil {
		return false
	}
	wanted, named, _ := unstructured.NestedString(claim.Object, "spec", "storageClassName")
	for i := range list.Items {
		class := &list.Items[i]
		isDefault := class.GetAnnotations()["storageclass.kubernetes.io/is-default-class"] == "true"
		if (named && class.GetName() == wanted) || (!named && isDefault) {
			return text(class, "volumeBindingMode") == "WaitForFirstConsumer"
		}
	}
	return false
}
