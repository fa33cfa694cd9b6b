package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Delete implements server.Provider: it deletes the object and waits until it is
// really gone.
func (p *Provider) Delete(ctx context.Context, req server.DeleteRequest) error {
	ctx = withURN(ctx, req.URN)
	object, err := located(req.URN, req.ID, req.Inputs, req.Outputs)
	if err != nil {
		return err
	}
	what := describe(object)
	c, err := p.reach(ctx)
	if err != nil {
		p.mu.Lock()
		drop := p.config.deleteUnreachable
		p.mu.Unlock()
		if drop && ctx.Err() == nil {
			p.host.Warn(ctx, req.URN, fmt.Sprintf("%s is dropped from the state without being deleted: %v", what, err))
			return nil
		}
		return fmt.Errorf("deleting %s: %w; if the cluster is gone for good, set PULUMI_K8S_DELETE_UNREACHABLE=true "+
			"(or the provider's deleteUnreachable) to drop its resources from the state", what, err)
	}
	limit := timeoutFor(req.Timeout, object)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if isPatch(req.URN, req.Inputs) {
		manager, _ := stringAt(req.Outputs, keyFieldManager)
		if manager == "" {
			manager = patchManager(req.URN)
		}
		if err := p.release(ctx, c, req.URN, object, manager); err != nil {
			return fmt.Errorf("giving up the patched fields of %s: %w", what, err)
		}
		return nil
	}
	if err := p.remove(ctx, c, object); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s was not deleted within %s%s", what, limit, c.holders(ctx, object))
		}
		return fmt.Errorf("deleting %s: %w", what, err)
	}
	if object.GetKind() == "CustomResourceDefinition" {
		c.forget(text(object, "spec", "group"))
	}
	return nil
}

func (p *Provider) remove(ctx context.Context, c *cluster, object *unstructured.Unstructured) error {
	kind, err := c.resolve(ctx, object.GroupVersionKind())
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if kind.namespaced {
		object.SetNamespace(p.namespaceOf(object))
	}
	policy := metav1.DeletePropagationForeground
	switch strings.ToLower(object.GetAnnotations()[annotationPropagationPolicy]) {
	case "":
		if !ownsOthers(object.GroupVersionKind()) {
			policy = metav1.DeletePropagationBackground
		}
	case "background":
		policy = metav1.DeletePropagationBackground
	case "orphan":
		policy = metav1.DeletePropagationOrphan
	}
	objects := c.objects(kind, object.GetNamespace())
	started := time.Now()
	err = objects.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &policy})
	for err != nil && passing(err) && !gone(err) && time.Since(started) < settleTime {
		if pause(ctx, settlePause) != nil {
			return err
		}
		err = objects.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &policy})
	}
	if gone(err) {
		return nil
	}
	if err != nil || strings.EqualFold(object.GetAnnotations()[annotationSkipAwait], "true") {
		return err
	}
	return waitDeleted(ctx, c, kind, object)
}

// ownsOthers tells whether objects of a kind make others that have to go first.
// The others are deleted without a detour through the garbage collector, which
// would cost each a fraction of a second.
func ownsOthers(gvk schema.GroupVersionKind) bool {
	_, builtin := builtinScope(gvk)
	return !builtin || gvk.Group == "apps" || gvk.Group == "batch" || gvk.Kind == "ReplicationController"
}

// waitDeleted waits until no object has the object's name, or another one has.
func waitDeleted(ctx context.Context, c *cluster, kind served, object *unstructured.Unstructured) error {
	err := followOne(ctx, c.objects(kind, object.GetNamespace()), object, func(current *unstructured.Unstructured) (bool, error) {
		return current == nil, nil
	})
	if gone(err) {
		return nil
	}
	return err
}

// gone tells whether an error says that the object, or its whole kind, is not there.
func gone(err error) bool {
	var noKind noKindError
	return errors.As(err, &noKind) || apierrors.IsNotFound(err)
}

// holders says what keeps an object from being deleted.
func (c *cluster) holders(ctx context.Context, object *unstructured.Unstructured) string {
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), diagnoseTimeout)
	defer cancel()
	live, err := c.get(look, object.GroupVersionKind(), object.GetNamespace(), object.GetName())
	if err != nil {
		return ""
	}
	var reasons []string
	finalizers := live.GetFinalizers()
	spec, _, _ := unstructured.NestedStringSlice(live.Object, "spec", "finalizers")
	if finalizers = append(finalizers, spec...); len(finalizers) > 0 {
		reasons = append(reasons, "it is held by finalizers "+strings.Join(finalizers, ", "))
	}
	conditions, _, _ := unstructured.NestedSlice(live.Object, "status", "conditions")
	for _, item := range conditions {
		if condition, ok := item.(map[string]any); ok && condition["status"] == "True" && condition["message"] != nil {
			reasons = append(reasons, fmt.Sprint(condition["message"]))
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	return ": " + strings.Join(reasons, "; ")
}
