// Package cost says what documents take: requests and limits at the fewest and
// the most replicas, currency per month, and how much of a tenant's quota is
// left. It needs no cluster.
//
// A pod counts as the scheduler and quotas count it: with what the API server,
// the namespace's LimitRange, KServe and Knative fill in. Priced are requests,
// for every hour of a month; traffic, volumes and the second set of pods that a
// rollout starts are not.
package cost

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Options are what the arithmetic depends on besides the documents.
type Options struct {
	// Prices; nil means DefaultPrices.
	Prices *Prices
	// Platform is what KServe and Knative add; nil means that of the embedded
	// gitops folder and the default configuration.
	Platform *Platform
	// Tenants have the quotas and container defaults of their namespaces. A
	// document without a namespace is the first one's. A namespace that is no
	// tenant's has neither quota nor defaults.
	Tenants []config.Tenant
	// Nodes are how many nodes a DaemonSet runs on; 0 means 1.
	Nodes int
	// Thresholds are the changes that are flagged.
	Thresholds Thresholds
}

// Thresholds are the smallest changes of an endpoint's, or of all endpoints',
// requests that are flagged, up or down. A zero field means the default.
type Thresholds struct {
	// CPU in cores, by default 2.
	CPU resource.Quantity `json:"cpu"`
	// Memory in bytes, by default 4 GiB.
	Memory resource.Quantity `json:"memory"`
}

// ParseThresholds reads the thresholds of a command line, such as 2 and 4Gi.
func ParseThresholds(cpuText, memoryText string) (Thresholds, error) {
	var t Thresholds
	var problems []error
	for _, one := range []struct {
		to   *resource.Quantity
		d    dimension
		text string
	}{{&t.CPU, cpu, cpuText}, {&t.Memory, memory, memoryText}} {
		q, err := parse(one.d, one.text)
		if err == nil && q.IsZero() {
			err = fmt.Errorf("is %q: write more than 0", one.text)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("the %s threshold %w", one.d, err))
		}
		*one.to = q
	}
	return t, errors.Join(problems...)
}

func (t Thresholds) orDefault() Thresholds {
	if t.CPU.IsZero() {
		t.CPU = resource.MustParse("2")
	}
	if t.Memory.IsZero() {
		t.Memory = resource.MustParse("4Gi")
	}
	return t
}

// State is what happened to an endpoint.
type State string

// States of an endpoint.
const (
	Added     State = "added"
	Removed   State = "removed"
	Changed   State = "changed"
	Renamed   State = "renamed"
	Unchanged State = "unchanged"
)

// Load is what a number of pods takes.
type Load struct {
	Pods     int64  `json:"pods"`
	Requests Amount `json:"requests"`
	Limits   Amount `json:"limits"`
	// Monthly is the price of the requests for a month, not rounded.
	Monthly float64 `json:"monthly"`
}

// Sum is what an endpoint, or all of them, take.
type Sum struct {
	// Unbounded says that AtMax has no end but the quota: something may grow
	// without bound, and is in AtMax with the fewest pods that answer.
	Unbounded bool `json:"unbounded,omitempty"`
	AtMin     Load `json:"atMin"`
	AtMax     Load `json:"atMax"`
}

// Change is an endpoint, or all of them, before and after.
type Change struct {
	// Endpoint is empty for all of them.
	Endpoint string `json:"endpoint,omitempty"`
	State    State  `json:"state"`
	// From is the former name of a renamed endpoint.
	From   string `json:"from,omitempty"`
	Before Sum    `json:"before"`
	After  Sum    `json:"after"`
	// Delta is After without Before.
	Delta Sum `json:"delta"`
	// Workloads are those after the change, of a removed endpoint those before.
	Workloads []Usage `json:"workloads,omitempty"`
}

// Flag is something a reviewer has to look at.
type Flag struct {
	// Endpoint is empty for all of them together.
	Endpoint string `json:"endpoint,omitempty"`
	// Resource is CPU, memory or replicas.
	Resource string `json:"resource"`
	// Message is one sentence.
	Message string `json:"message"`
}

// Delta is what a change of documents does to resources, costs and quotas.
type Delta struct {
	Currency      string     `json:"currency"`
	HoursPerMonth float64    `json:"hoursPerMonth"`
	Thresholds    Thresholds `json:"thresholds"`
	// Endpoints are all of them, by name.
	Endpoints []Change `json:"endpoints"`
	Total     Change   `json:"total"`
	Flags     []Flag   `json:"flags"`
	// Quotas are those of the tenants that have documents, after the change.
	Quotas []Headroom `json:"quotas"`
	// Unreadable are problems of documents before the change, which count as
	// nothing: a change may be what repairs them.
	Unreadable []string `json:"unreadable,omitempty"`
}

// Compare says what it means to go from the documents before to those after. A
// document after that cannot be read is an error; the error joins all of them,
// each line naming endpoint, object and field.
func Compare(before, after []Document, o Options) (*Delta, error) {
	prices := o.Prices
	if prices == nil {
		var err error
		if prices, err = DefaultPrices(); err != nil {
			return nil, err
		}
	}
	c, err := newCalculator(o)
	if err != nil {
		return nil, err
	}
	d := &Delta{Currency: prices.Currency, HoursPerMonth: prices.HoursPerMonth, Thresholds: o.Thresholds.orDefault(),
		Flags: []Flag{}, Quotas: []Headroom{}}
	old, err := c.all(before)
	if err != nil {
		d.Unreadable = strings.Split(err.Error(), "\n")
	}
	current, err := c.all(after)
	if err != nil {
		return nil, err
	}
	d.Endpoints = changes(old, current, prices)
	d.Total = Change{State: Unchanged}
	for _, e := range d.Endpoints {
		d.Total.Before = d.Total.Before.plus(e.Before)
		d.Total.After = d.Total.After.plus(e.After)
		if e.State != Unchanged {
			d.Total.State = Changed
		}
	}
	d.Total.price(prices)
	for _, e := range d.Endpoints {
		d.Flags = append(d.Flags, d.flags(e)...)
	}
	// Of a single endpoint the total would say everything twice.
	if int64(len(d.Endpoints))-d.count(Unchanged) > 1 {
		d.Flags = append(d.Flags, d.flags(d.Total)...)
	}
	d.Quotas, err = c.quotas(o.Tenants, old, current, after)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// all are the workloads of documents by endpoint; an endpoint without workloads
// is there too. Documents with problems are left out.
func (c *calculator) all(documents []Document) (map[string][]Usage, error) {
	documents, err := flatten(documents)
	problems := []error{err, c.learn(documents)}
	out := map[string][]Usage{}
	for _, d := range documents {
		usages, err := c.usages(d)
		problems = append(problems, err)
		out[d.Endpoint] = append(out[d.Endpoint], usages...)
	}
	return out, errors.Join(problems...)
}

func changes(before, after map[string][]Usage, prices *Prices) []Change {
	names := maps.Clone(before)
	maps.Copy(names, after)
	var out []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, was := before[name]
		current, is := after[name]
		e := Change{Endpoint: name, State: Unchanged, Before: sum(old), After: sum(current), Workloads: current}
		switch {
		case !was:
			e.State = Added
		case !is:
			e.State, e.Workloads = Removed, old
		case shape(old, "") != shape(current, ""):
			e.State = Changed
		}
		out = append(out, e)
	}
	out = renamed(out, before)
	for i := range out {
		out[i].price(prices)
	}
	return out
}

// renamed makes one endpoint of two that went and came if nothing but the
// endpoint's name differs, in the names of its objects too or not.
func renamed(all []Change, before map[string][]Usage) []Change {
	moved := map[string]bool{}
	for _, own := range []bool{false, true} {
		removed := map[string][]string{}
		for _, e := range all {
			if e.State == Removed && !moved[e.Endpoint] {
				key := e.shape(own)
				removed[key] = append(removed[key], e.Endpoint)
			}
		}
		for i, e := range all {
			if e.State != Added || len(e.Workloads) == 0 {
				continue
			}
			key := e.shape(own)
			if from := removed[key]; len(from) > 0 {
				removed[key] = from[1:]
				moved[from[0]] = true
				all[i].State, all[i].From, all[i].Before = Renamed, from[0], sum(before[from[0]])
			}
		}
	}
	return slices.DeleteFunc(all, func(e Change) bool { return moved[e.Endpoint] })
}

// shape is that of the endpoint's workloads; own leaves its name out of theirs.
func (e Change) shape(own bool) string {
	if own {
		return shape(e.Workloads, e.Endpoint)
	}
	return shape(e.Workloads, "")
}

// shape is everything about workloads that is counted, and their names but for
// one.
func shape(workloads []Usage, name string) string {
	var lines []string
	for _, u := range workloads {
		if u.Name == name {
			u.Name = ""
		}
		u.Endpoint = ""
		lines = append(lines, fmt.Sprint(u, " ", u.Replicas, " ", u.Requests, " ", u.Limits, " ", u.Deployments, " ", u.InferenceServices, " ", u.Services, " ", u.Notes))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func sum(workloads []Usage) Sum {
	var s Sum
	for _, u := range workloads {
		s = s.plus(Sum{
			Unbounded: u.Replicas.Unbounded,
			AtMin:     Load{Pods: u.Replicas.Min, Requests: u.Requests.Times(u.Replicas.Min), Limits: u.Limits.Times(u.Replicas.Min)},
			AtMax:     Load{Pods: u.Replicas.Max, Requests: u.Requests.Times(u.Replicas.Max), Limits: u.Limits.Times(u.Replicas.Max)},
		})
	}
	return s
}

func (s Sum) plus(other Sum) Sum {
	return Sum{Unbounded: s.Unbounded || other.Unbounded, AtMin: s.AtMin.plus(other.AtMin), AtMax: s.AtMax.plus(other.AtMax)}
}

func (l Load) plus(other Load) Load {
	return Load{Pods: l.Pods + other.Pods, Requests: l.Requests.Plus(other.Requests), Limits: l.Limits.Plus(other.Limits)}
}

func (l Load) minus(other Load) Load {
	return Load{Pods: l.Pods - other.Pods, Requests: l.Requests.Minus(other.Requests), Limits: l.Limits.Minus(other.Limits)}
}

// price fills in the difference and what everything costs. Prices are taken of
// exact sums, so that the order of documents does not matter.
func (e *Change) price(p *Prices) {
	e.Delta = Sum{
		Unbounded: e.After.Unbounded && !e.Before.Unbounded,
		AtMin:     e.After.AtMin.minus(e.Before.AtMin), AtMax: e.After.AtMax.minus(e.Before.AtMax),
	}
	for _, s := range []*Sum{&e.Before, &e.After, &e.Delta} {
		s.AtMin.Monthly, s.AtMax.Monthly = p.Monthly(s.AtMin.Requests), p.Monthly(s.AtMax.Requests)
	}
}

// flags are what is large about a change, the larger of the fewest and the most
// replicas, and what has no end.
func (d *Delta) flags(e Change) []Flag {
	if e.State == Unchanged {
		return nil
	}
	who := "all endpoints together"
	if e.Endpoint != "" {
		who = e.Endpoint
	}
	var out []Flag
	for dim, threshold := range map[dimension]resource.Quantity{cpu: d.Thresholds.CPU, memory: d.Thresholds.Memory} {
		change, at := *e.Delta.AtMax.Requests.field(dim), "most"
		size := magnitude(change)
		least := *e.Delta.AtMin.Requests.field(dim)
		if other := magnitude(least); other.Cmp(size) > 0 {
			change, size, at = least, other, "fewest"
		}
		if size.Cmp(threshold) >= 0 {
			verb := "more"
			if change.Sign() < 0 {
				verb = "less"
			}
			out = append(out, Flag{Endpoint: e.Endpoint, Resource: dim.String(), Message: fmt.Sprintf(
				"%s: %s %s %s requested at the %s replicas, the threshold is %s", who, size.String(), verb, dim, at, threshold.String())})
		}
	}
	slices.SortFunc(out, func(a, b Flag) int { return cmp.Compare(a.Resource, b.Resource) })
	if e.Endpoint == "" || e.State == Removed || e.State == Renamed {
		return out
	}
	for _, u := range e.Workloads {
		if u.Replicas.Unbounded {
			out = append(out, Flag{Endpoint: e.Endpoint, Resource: "replicas", Message: fmt.Sprintf(
				"%s: %s has no upper bound, only the quota ends its growth: set %s", who, u, bound(u))})
		}
	}
	return out
}

func bound(u Usage) string {
	if u.Component != "" {
		return "maxReplicas"
	}
	return "the annotation " + maxScales[0]
}

func magnitude(q resource.Quantity) resource.Quantity {
	q = q.DeepCopy()
	if q.Sign() < 0 {
		q.Neg()
	}
	return q
}
