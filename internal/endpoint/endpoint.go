// Package endpoint says how model endpoints are: whether they serve, since when,
// with how many pods, and if they do not, why.
package endpoint

import (
	"context"
	"fmt"
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

// owner is KServe's label of a pod with the name of its InferenceService.
const owner = "serving.kserve.io/inferenceservice"

// Endpoint is an InferenceService.
type Endpoint struct {
	Name string `json:"name"`
	// Tenant is its namespace.
	Tenant string `json:"tenant"`
	Ready  bool   `json:"ready"`
	// Why it is not ready, in one sentence.
	Why string `json:"why,omitempty"`
	// Since it is ready, or is not; nil if nobody has reported yet.
	Since    *time.Time `json:"since,omitempty"`
	Replicas Replicas   `json:"replicas"`
	URL      string     `json:"url,omitempty"`
}

// Replicas are an endpoint's pods. One that is ready may have none: it scales to
// zero when nobody asks it.
type Replicas struct {
	Ready int `json:"ready"`
	Total int `json:"total"`
}

func (r Replicas) String() string { return fmt.Sprintf("%d of %d", r.Ready, r.Total) }

// Every is all endpoints of a namespace, or of all, sorted by tenant and name. A
// cluster that does not know their kind has none.
func Every(ctx context.Context, c dynamic.Interface, namespace string) ([]Endpoint, error) {
	found, err := read(ctx, c, namespace)
	if err != nil {
		return nil, err
	}
	endpoints := []Endpoint{}
	for _, f := range found {
		endpoints = append(endpoints, f.endpoint())
	}
	return endpoints, nil
}

// object is an InferenceService with its pods.
type object struct {
	*unstructured.Unstructured
	pods []unstructured.Unstructured
}

func read(ctx context.Context, c dynamic.Interface, namespace string) ([]object, error) {
	type answer struct {
		pods *unstructured.UnstructuredList
		err  error
	}
	asked := make(chan answer, 1)
	go func() {
		pods, err := c.Resource(kube.Pods).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: owner})
		asked <- answer{pods, err}
	}()
	services, err := c.Resource(kube.InferenceServices).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the endpoints: %w", err)
	}
	pods := <-asked
	if pods.err != nil {
		return nil, fmt.Errorf("list the pods of the endpoints: %w", pods.err)
	}
	var all []object
	for i := range services.Items {
		o := object{Unstructured: &services.Items[i]}
		for _, p := range pods.pods.Items {
			if p.GetNamespace() == o.GetNamespace() && p.GetLabels()[owner] == o.GetName() {
				o.pods = append(o.pods, p)
			}
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b object) int {
		return strings.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName())
	})
	return all, nil
}

func (o object) endpoint() Endpoint {
	e := Endpoint{Name: o.GetName(), Tenant: o.GetNamespace()}
	e.URL = kube.Text(o.Object, "status", "url")
	for i := range o.pods {
		if o.pods[i].GetDeletionTimestamp() != nil {
			continue
		}
		e.Replicas.Total++
		if kube.NotReady(&o.pods[i]) == "" {
			e.Replicas.Ready++
		}
	}
	conditions := kube.Conditions(o.Unstructured)
	for _, c := range conditions {
		if c.Type == "Ready" {
			e.Since = c.Since
		}
	}
	if why := kube.NotReady(o.Unstructured); why != "" {
		e.Why = o.reason(conditions, why)
	} else {
		e.Ready = true
	}
	return e
}

// reason is the first sentence of the cause: what the part that serves says, then
// what any part says, then what holds a pod up. Otherwise it is what else is known.
func (o object) reason(conditions []Condition, otherwise string) string {
	if o.GetDeletionTimestamp() != nil {
		return otherwise
	}
	said := ""
	for _, c := range conditions {
		if c.Holds || c.Info || c.Message == "" {
			continue
		}
		if slices.Contains([]string{"PredictorReady", "TransformerReady", "ExplainerReady"}, c.Type) {
			return sentence(c.Message)
		}
		if said == "" {
			said = c.Message
		}
	}
	if said != "" {
		return sentence(said)
	}
	for _, p := range o.pods {
		if why := podOf(&p).Why; why != "" {
			return sentence(why)
		}
	}
	if otherwise == "Ready" {
		return "its controller does not say why"
	}
	return sentence(otherwise)
}

// sentence is the first one of a text, on one line.
func sentence(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text, _, _ = strings.Cut(text, ". ")
	return strings.TrimRight(text, ". \r")
}

// find is the one endpoint of that name in a namespace, or in all.
func find(ctx context.Context, c dynamic.Interface, namespace, name string) (object, error) {
	all, err := read(ctx, c, namespace)
	if err != nil {
		return object{}, err
	}
	var found []object
	var tenants, known []string
	for _, o := range all {
		known = append(known, o.GetName())
		if o.GetName() == name {
			found, tenants = append(found, o), append(tenants, o.GetNamespace())
		}
	}
	where := ""
	if namespace != "" {
		where = " in namespace " + namespace
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return object{}, fmt.Errorf("several tenants have an endpoint %q (%s): say which with -n", name, strings.Join(tenants, ", "))
	case len(known) == 0:
		return object{}, fmt.Errorf("no endpoint %q%s: there is none at all; push a folder apps/NAME to the endpoints repository", name, where)
	}
	slices.Sort(known)
	return object{}, fmt.Errorf("no endpoint %q%s%s: there are %s", name, where, nearest.Hint(name, known), strings.Join(slices.Compact(known), ", "))
}
