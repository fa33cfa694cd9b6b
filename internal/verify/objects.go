package verify

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// object is one as it is written in YAML.
type object = map[string]any

// list is all objects of a kind; a kind that is not there has none.
func (p *Platform) list(ctx context.Context, r schema.GroupVersionResource, namespace, selector string) ([]unstructured.Unstructured, error) {
	return kube.List(ctx, p.Cluster.Dynamic, r, namespace, selector)
}

// get is one object; nil if it is not there.
func (p *Platform) get(ctx context.Context, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	return kube.Find(ctx, p.Cluster.Dynamic, r, namespace, name)
}

// dryRun offers an object to the API server, which keeps nothing of it. Refused is
// what it says, "" if it would take the object; the error is that it did not judge.
func (p *Platform) dryRun(ctx context.Context, resource string, o object) (refused string, err error) {
	u := &unstructured.Unstructured{Object: o}
	r := u.GroupVersionKind().GroupVersion().WithResource(resource)
	_, err = p.Cluster.Dynamic.Resource(r).Namespace(u.GetNamespace()).Create(ctx, u.DeepCopy(),
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: "neuroscale-verify"})
	// A webhook that cannot be called refuses everything, too: by an internal error.
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return err.Error(), nil
	}
	if err != nil {
		return "", fmt.Errorf("%s %s was not judged: %w", u.GetKind(), u.GetName(), err)
	}
	return "", nil
}

// refusedBy is whether a refusal is that of an admission policy or webhook of the
// name.
func refusedBy(refusal, name string) bool {
	return strings.Contains(refusal, fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s' denied request", name, name)) ||
		strings.Contains(refusal, fmt.Sprintf("admission webhook %q denied", name))
}

// workloads of a namespace that have no pods or not all they should have.
func (p *Platform) workloads(ctx context.Context, namespace string) (names []string, wrong []error) {
	for _, r := range []schema.GroupVersionResource{kube.Deployments, kube.StatefulSets, kube.DaemonSets} {
		found, err := p.list(ctx, r, namespace, "")
		if err != nil {
			return nil, []error{err}
		}
		for i := range found {
			o := &found[i]
			// A DaemonSet has no number of its own.
			replicas, counted, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
			why := kube.NotReady(o)
			if why == "" && counted && replicas == 0 {
				why = "it is scaled to zero"
			}
			if why != "" {
				wrong = append(wrong, fmt.Errorf("%s %s/%s: %s", o.GetKind(), namespace, o.GetName(), why))
			}
			names = append(names, o.GetName())
		}
	}
	return names, wrong
}
