package predict

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// Errors Endpoint's result may be tested for.
var (
	// ErrUnknown means there is no such InferenceService.
	ErrUnknown = errors.New("unknown endpoint")
	// ErrNotReady means it exists but does not serve.
	ErrNotReady = errors.New("not ready")
)

// kindError is one sentence that is also one of the errors above.
type kindError struct {
	kind error
	text string
}

func (e *kindError) Error() string { return e.text }
func (e *kindError) Unwrap() error { return e.kind }

// Host is the host name Knative gives the predictor of an endpoint.
func Host(name, namespace, domain string) string {
	return name + "-predictor." + namespace + "." + domain
}

// Endpoint looks the InferenceService up and returns the host name of its
// status. One that does not exist is ErrUnknown with those that do; one that is
// not ready is ErrNotReady with its conditions.
func Endpoint(ctx context.Context, c dynamic.Interface, namespace, name string) (string, error) {
	o, err := c.Resource(kube.InferenceServices).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", unknown(ctx, c, namespace, name)
	}
	if err != nil {
		return "", fmt.Errorf("look up endpoint %s in namespace %s: %w", name, namespace, err)
	}
	return hostOf(o)
}

// hostOf is the host name in the status of an InferenceService that is ready.
func hostOf(o *unstructured.Unstructured) (string, error) {
	if why := kube.NotReady(o); why != "" {
		return "", &kindError{ErrNotReady, fmt.Sprintf("endpoint %s in namespace %s is not ready: %s", o.GetName(), o.GetNamespace(), why)}
	}
	raw, _, _ := unstructured.NestedString(o.Object, "status", "url")
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return "", &kindError{ErrNotReady, fmt.Sprintf("endpoint %s in namespace %s has no URL yet: try again in a moment", o.GetName(), o.GetNamespace())}
	}
	return u.Hostname(), nil
}

// list are the endpoints of a namespace, or of all. A cluster that does not know
// their kind is ErrUnknown.
func list(ctx context.Context, c dynamic.Interface, namespace string) ([]unstructured.Unstructured, error) {
	all, err := c.Resource(kube.InferenceServices).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, &kindError{ErrUnknown, "the cluster does not know InferenceServices: bring the platform up with `neuroscale up`"}
	}
	if err != nil {
		return nil, fmt.Errorf("list the endpoints: %w", err)
	}
	return all.Items, nil
}

func unknown(ctx context.Context, c dynamic.Interface, namespace, name string) error {
	there, err := list(ctx, c, namespace)
	if err != nil {
		return err
	}
	var known []string
	for _, o := range there {
		known = append(known, o.GetName())
	}
	slices.Sort(known)
	if len(known) == 0 {
		return &kindError{ErrUnknown, fmt.Sprintf("no endpoint %q in namespace %s: there is none at all; push a folder apps/NAME to the endpoints repository", name, namespace)}
	}
	return &kindError{ErrUnknown, fmt.Sprintf("no endpoint %q in namespace %s%s: there are %s", name, namespace, nearest.Hint(name, known), strings.Join(known, ", "))}
}

// Poll calls try at once and then every interval until it succeeds or the
// context ends; then the last error from before that end counts.
func Poll(ctx context.Context, interval time.Duration, try func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if !ended(ctx) || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return last
		case <-tick.C:
		}
	}
}

// ended is whether the context is over. Its own Err comes late on a busy machine,
// later than the errors of those who look at the deadline themselves.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}
