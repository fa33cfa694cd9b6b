package kubernetes

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// fieldManager owns the fields the provider applies.
const fieldManager = "pulumi-kubernetes"

// settleTime is how long an apply is tried again while what it needs (its kind,
// its namespace, an admission webhook) is on its way; settlePause lies between
// the tries.
const (
	settleTime  = 30 * time.Second
	settlePause = time.Second
)

// application is one object to apply.
type application struct {
	urn     resource.URN
	object  *unstructured.Unstructured
	manager string
	force   bool
	dryRun  bool
}

// apply sends the object until the cluster takes it, or until it says something
// that time does not change.
func (p *Provider) apply(ctx context.Context, c *cluster, a application) (*unstructured.Unstructured, served, error) {
	started := time.Now()
	for {
		live, kind, err := p.applyOnce(ctx, c, a)
		switch {
		case err == nil && live.GetDeletionTimestamp() != nil && !a.dryRun:
			// An earlier deletion is still under way: the name is free when it ends.
			p.host.Status(ctx, a.urn, "waiting for the deletion of the previous "+live.GetKind())
			if err := waitDeleted(ctx, c, kind, live); err != nil {
				return nil, kind, fmt.Errorf("waiting for the deletion of the previous %s: %w", describe(live), err)
			}
			continue
		case err == nil:
			return live, kind, nil
		case a.dryRun || !passing(err) || time.Since(started) > settleTime:
			return nil, kind, applyError(err)
		}
		p.host.Status(ctx, a.urn, "trying again: "+err.Error())
		if pause(ctx, settlePause) != nil {
			return nil, kind, applyError(err)
		}
	}
}

func (p *Provider) applyOnce(ctx context.Context, c *cluster, a application) (*unstructured.Unstructured, served, error) {
	kind, err := c.resolve(ctx, a.object.GroupVersionKind())
	if err != nil {
		return nil, kind, err
	}
	object := a.object.DeepCopy()
	switch {
	case !kind.namespaced:
		object.SetNamespace("")
	case object.GetNamespace() == "":
		object.SetNamespace(p.defaultNamespace())
	}
	encodeStringData(object)
	objects := c.objects(kind, object.GetNamespace())
	dryRun := []string(nil)
	if a.dryRun {
		dryRun = []string{metav1.DryRunAll}
	}
	if object.GetName() == "" {
		live, err := objects.Create(ctx, object, metav1.CreateOptions{FieldManager: a.manager, DryRun: dryRun})
		return live, kind, err
	}
	live, err := objects.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{
		FieldManager: a.manager, Force: a.force || a.dryRun, DryRun: dryRun,
	})
	return live, kind, err
}

// encodeStringData writes a Secret's plain values as data, so that a value taken
// out of the inputs is taken out of the Secret as well.
func encodeStringData(object *unstructured.Unstructured) {
	if object.GetKind() != "Secret" || object.GroupVersionKind().Group != "" {
		return
	}
	plain, found, err := unstructured.NestedStringMap(object.Object, "stringData")
	if err != nil || !found {
		return
	}
	data, _, _ := unstructured.NestedMap(object.Object, "data")
	if data == nil {
		data = map[string]any{}
	}
	for key, value := range plain {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	object.Object["data"] = data
	delete(object.Object, "stringData")
}

// passing tells whether an error may go away by itself.
func passing(err error) bool {
	var noKind noKindError
	var status apierrors.APIStatus
	var netErr net.Error
	switch {
	case errors.As(err, &noKind):
		return true
	case errors.As(err, &status):
		s := status.Status()
		switch {
		case s.Reason == metav1.StatusReasonNotFound:
			return s.Details != nil && s.Details.Kind == "namespaces"
		case apierrors.HasStatusCause(err, "NamespaceTerminating"):
			return true
		case s.Reason == metav1.StatusReasonInternalError:
			return strings.Contains(s.Message, "failed calling webhook") || strings.Contains(s.Message, "failed to call webhook") ||
				strings.Contains(s.Message, "etcdserver")
		}
		return apierrors.IsServerTimeout(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err)
	case utilnet.IsConnectionRefused(err), utilnet.IsConnectionReset(err), utilnet.IsProbableEOF(err):
		return true
	}
	return errors.As(err, &netErr) && netErr.Timeout() && !errors.Is(err, context.DeadlineExceeded)
}

// applyError makes a conflict readable: who owns what, and what to do about it.
func applyError(err error) error {
	if !apierrors.IsConflict(err) {
		return err
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return err
	}
	var owners []string
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			owners = append(owners, fmt.Sprintf("%s (%s)", cause.Field, cause.Message))
		}
	}
	if len(owners) == 0 {
		return err
	}
	return fmt.Errorf("another manager owns fields of it: %s; set annotation %s: \"true\" to take them over, or remove them from the inputs",
		strings.Join(owners, ", "), annotationPatchForce)
}
