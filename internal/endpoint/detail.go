package endpoint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// maxWarnings is how many of the last warnings are told.
const maxWarnings = 5

// Detail is everything about one endpoint.
type Detail struct {
	Endpoint
	Conditions []Condition `json:"conditions"`
	Pods       []Pod       `json:"pods"`
	// Warnings are the last events about it and what it is made of, oldest first.
	Warnings []Warning `json:"warnings"`
	// Logs are the last lines of its containers that fail.
	Logs []Log `json:"logs,omitempty"`
}

// Condition is what a controller says about a part of an endpoint.
type Condition = kube.Condition

// Pod of an endpoint.
type Pod struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	// Why it is not, if a container or the scheduler says so.
	Why string `json:"why,omitempty"`
	// Failing are the containers that ended badly, by whether their log is that of
	// the run before.
	Failing map[string]bool `json:"-"`
}

// Warning is an event.
type Warning struct {
	// Object is kind and name.
	Object  string     `json:"object"`
	Reason  string     `json:"reason"`
	Message string     `json:"message"`
	Last    *time.Time `json:"last,omitempty"`
}

// Log is the end of a container's log.
type Log struct {
	Pod       string `json:"pod"`
	Container string `json:"container"`
	Text      string `json:"text"`
}

// Logs reads the last lines of a container's log, of its previous run if asked for.
type Logs func(ctx context.Context, namespace, pod, container string, lines int, previous bool) (string, error)

// Describe is everything about the endpoint of that name in a namespace, or in
// all, with the given number of lines of log; zero reads none. An unknown name is an
// error with those there are.
func Describe(ctx context.Context, c dynamic.Interface, logs Logs, namespace, name string, lines int) (*Detail, error) {
	o, err := find(ctx, c, namespace, name)
	if err != nil {
		return nil, err
	}
	d := &Detail{Endpoint: o.endpoint(), Conditions: kube.Conditions(o.Unstructured), Pods: []Pod{}}
	for i := range o.pods {
		pod := podOf(&o.pods[i])
		d.Pods = append(d.Pods, pod)
		if lines <= 0 {
			continue
		}
		for container, previous := range pod.Failing {
			text, err := logs(ctx, d.Tenant, pod.Name, container, lines, previous)
			if err != nil {
				text = fmt.Sprintf("(the log cannot be read: %s)", err)
			}
			d.Logs = append(d.Logs, Log{Pod: pod.Name, Container: container, Text: strings.TrimRight(text, "\n")})
		}
	}
	slices.SortFunc(d.Logs, func(a, b Log) int { return cmp.Or(cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container)) })
	d.Warnings, err = warnings(ctx, c, d.Tenant, name)
	return d, err
}

// warnings are the last events about an endpoint and what it is made of.
func warnings(ctx context.Context, c dynamic.Interface, namespace, name string) ([]Warning, error) {
	list, err := c.Resource(kube.Events).Namespace(namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		return nil, fmt.Errorf("list the events of namespace %s: %w", namespace, err)
	}
	warnings := []Warning{}
	for _, e := range list.Items {
		about := kube.Text(e.Object, "involvedObject", "name")
		if kube.Text(e.Object, "type") != "Warning" || !partOf(about, name) {
			continue
		}
		w := Warning{
			Object: kube.Text(e.Object, "involvedObject", "kind") + " " + about,
			Reason: kube.Text(e.Object, "reason"), Message: strings.Join(strings.Fields(kube.Text(e.Object, "message")), " "),
			Last: kube.Moment(cmp.Or(kube.Text(e.Object, "lastTimestamp"), kube.Text(e.Object, "series", "lastObservedTime"),
				kube.Text(e.Object, "eventTime"), kube.Text(e.Object, "metadata", "creationTimestamp"))),
		}
		warnings = append(warnings, w)
	}
	slices.SortStableFunc(warnings, func(a, b Warning) int { return at(a.Last).Compare(at(b.Last)) })
	return warnings[max(0, len(warnings)-maxWarnings):], nil
}

// partOf is whether an object's name is an endpoint's or of what KServe and Knative
// make of it. Another endpoint's may begin the same.
func partOf(object, name string) bool {
	rest, ok := strings.CutPrefix(object, name)
	if !ok || rest == "" {
		return ok
	}
	for _, part := range []string{"-predictor", "-transformer", "-explainer"} {
		if after, ok := strings.CutPrefix(rest, part); ok && (after == "" || after[0] == '-' || after[0] == '.') {
			return true
		}
	}
	return false
}

func podOf(o *unstructured.Unstructured) Pod {
	trouble := kube.Trouble(o)
	p := Pod{Name: o.GetName(), Why: trouble.Why, Failing: trouble.Failing}
	for _, c := range kube.Conditions(o) {
		if c.Type == "Ready" {
			p.Ready = c.Holds
		}
	}
	return p
}

func at(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
