package predict

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// Choice says which endpoints may be asked to show that a platform predicts.
type Choice struct {
	// Examples are endpoints in Namespace that answer Example: the first of them
	// that is there is asked, and waited for.
	Examples  []string
	Namespace string
	// Tenants are the namespaces in which, without an example, any endpoint that
	// is ready is asked.
	Tenants []string
	// Applications is Argo CD's namespace: what it has not made yet is waited for.
	Applications string
	// Key is what opens endpoints; nil if the gateway asks for none. It is asked for
	// again until it is there.
	Key func(context.Context) (string, error)
}

// Shown is an endpoint and what it answered.
type Shown struct {
	Answer
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// ErrNothingToShow means that no endpoint can be expected to answer Example.
var ErrNothingToShow = errors.New("nothing to show")

// Show waits until one of the choice serves and returns its first answer to
// Example. If there is none, and none on its way, it is ErrNothingToShow at once:
// people may remove every endpoint. The context bounds the wait.
func Show(ctx context.Context, c dynamic.Interface, client *http.Client, choice Choice, gateway string) (Shown, error) {
	var shown Shown
	var nothing error
	err := Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		o, err := choice.pick(ctx, c)
		if errors.Is(err, ErrNothingToShow) {
			nothing = err
			return nil
		}
		if err != nil {
			return err
		}
		shown.Name, shown.Namespace = o.GetName(), o.GetNamespace()
		host, err := hostOf(o)
		if err != nil {
			return err
		}
		request := Request{Name: shown.Name, Gateway: gateway, Host: host, Data: []byte(Example)}
		if choice.Key != nil {
			if request.Key, err = choice.Key(ctx); err != nil {
				return err
			}
		}
		shown.Answer, err = Do(ctx, client, request)
		var refused *StatusError
		if errors.As(err, &refused) && !choice.example(o) && refused.fromModel() {
			nothing = &kindError{ErrNothingToShow, fmt.Sprintf(
				"%s, as every model that takes other input than the examples may: ask it with `neuroscale predict %s -n %s --data ...`",
				err, shown.Name, shown.Namespace)}
			return nil
		}
		return err
	})
	if err == nil {
		err = nothing
	}
	return shown, err
}

func (c Choice) example(o *unstructured.Unstructured) bool {
	return o.GetNamespace() == c.Namespace && slices.Contains(c.Examples, o.GetName())
}

// pick returns the endpoint to ask now.
func (c Choice) pick(ctx context.Context, cluster dynamic.Interface) (*unstructured.Unstructured, error) {
	endpoints, err := list(ctx, cluster, metav1.NamespaceAll)
	if err != nil {
		return nil, err
	}
	there := map[string]*unstructured.Unstructured{}
	for i := range endpoints {
		there[endpoints[i].GetNamespace()+"/"+endpoints[i].GetName()] = &endpoints[i]
	}
	for _, name := range c.Examples {
		if o := there[c.Namespace+"/"+name]; o != nil {
			return o, nil
		}
	}
	var notReady []string
	for _, o := range endpoints {
		if !slices.Contains(c.Tenants, o.GetNamespace()) {
			continue
		}
		why := kube.NotReady(&o)
		if why == "" {
			return &o, nil
		}
		notReady = append(notReady, fmt.Sprintf("%s in namespace %s (%s)", o.GetName(), o.GetNamespace(), why))
	}
	name, err := c.coming(ctx, cluster, there)
	if err != nil {
		return nil, err
	}
	if name != "" {
		return nil, fmt.Errorf("the endpoint of Argo CD's Application %s is not there yet: see `kubectl get application %s -n %s -o yaml`",
			name, name, c.Applications)
	}
	if len(notReady) > 0 {
		return nil, &kindError{ErrNothingToShow, "no endpoint is ready: " + strings.Join(notReady, ", ")}
	}
	return nil, &kindError{ErrNothingToShow, fmt.Sprintf("there is no endpoint in %s: push a folder apps/NAME to the endpoints repository",
		strings.Join(c.Tenants, ", "))}
}

// coming names an Application of a tenant that is about to make an
// InferenceService: Argo CD has not looked at its folder yet, or found one there
// that is not in the cluster. One that failed makes none before the next push.
func (c Choice) coming(ctx context.Context, cluster dynamic.Interface, there map[string]*unstructured.Unstructured) (string, error) {
	list, err := cluster.Resource(kube.Applications).Namespace(c.Applications).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list the Applications: %w", err)
	}
	for _, a := range list.Items {
		namespace, _, _ := unstructured.NestedString(a.Object, "spec", "destination", "namespace")
		if !slices.Contains(c.Tenants, namespace) {
			continue
		}
		compared, _, _ := unstructured.NestedString(a.Object, "status", "sync", "status")
		outcome, _, _ := unstructured.NestedString(a.Object, "status", "operationState", "phase")
		if compared == "" {
			return a.GetName(), nil
		}
		if outcome == "Failed" || outcome == "Error" {
			continue
		}
		resources, _, _ := unstructured.NestedSlice(a.Object, "status", "resources")
		for _, r := range resources {
			m, _ := r.(map[string]any)
			if m["kind"] == "InferenceService" && there[fmt.Sprintf("%v/%v", m["namespace"], m["name"])] == nil {
				return a.GetName(), nil
			}
		}
	}
	return "", nil
}
