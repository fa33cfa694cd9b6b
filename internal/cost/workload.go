package cost

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Document is one object and the endpoint it belongs to: the folder it is in.
type Document struct {
	Endpoint string
	Object   map[string]any
}

// Replicas are how many pods there are at least and at most.
type Replicas struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
	// Unbounded says that nothing but the quota ends the growth; Max is then the
	// smallest number of pods that answer.
	Unbounded bool `json:"unbounded,omitempty"`
}

// Plus is r and other together.
func (r Replicas) Plus(other Replicas) Replicas {
	return Replicas{Min: r.Min + other.Min, Max: r.Max + other.Max, Unbounded: r.Unbounded || other.Unbounded}
}

// Usage is what one workload takes. An InferenceService is several: one for each
// component.
type Usage struct {
	Endpoint  string `json:"endpoint"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Component is that of an InferenceService, otherwise empty.
	Component string   `json:"component,omitempty"`
	Replicas  Replicas `json:"replicas"`
	// Requests and Limits are those of one pod, as the scheduler and quotas count
	// them. A limit that is missing counts as nothing and is in Notes.
	Requests Amount `json:"requests"`
	Limits   Amount `json:"limits"`
	// Deployments, InferenceServices and Services are objects a quota counts.
	Deployments       int64 `json:"deployments"`
	InferenceServices int64 `json:"inferenceServices"`
	// Services are those KServe and Knative make of it, while nothing is updated.
	Services int64 `json:"services"`
	// Notes are what the figures leave out or assume.
	Notes []string `json:"notes,omitempty"`
}

// String names the workload.
func (u Usage) String() string {
	s := u.Kind + " " + u.Namespace + "/" + u.Name
	if u.Component != "" {
		s += " " + u.Component
	}
	return s
}

// calculator knows what the arithmetic of a document needs from outside of it.
type calculator struct {
	platform *Platform
	// namespace is that of documents without one.
	namespace string
	nodes     int64
	defaults  map[string]containerDefaults
	// scalers are the bounds autoscalers set, by namespace/kind/name.
	scalers map[string]Replicas
	// runtimes are ServingRuntimes by namespace/name.
	runtimes map[string]runtime
	// formats are the runtimes that take a format of themselves, by
	// namespace/format; without a namespace those of the whole cluster.
	formats map[string]string
}

// object is a document on the way to its Usage.
type object struct {
	endpoint, kind, namespace, name string
	root                            node
}

// Of is what a document takes: nothing for one that has no pods, several for an
// InferenceService or a List. The error joins what is wrong with it, each line
// naming object and field.
func Of(d Document, o Options) ([]Usage, error) {
	c, err := newCalculator(o)
	if err != nil {
		return nil, err
	}
	all, err := c.all([]Document{d})
	if err != nil {
		return nil, err
	}
	return all[d.Endpoint], nil
}

func newCalculator(o Options) (*calculator, error) {
	c := &calculator{platform: o.Platform, namespace: "default", nodes: int64(max(o.Nodes, 1)), defaults: map[string]containerDefaults{}}
	if c.platform == nil {
		p, err := NewPlatform(gitops.FS, config.Default().Serving)
		if err != nil {
			return nil, err
		}
		c.platform = p
	}
	for i, t := range o.Tenants {
		if i == 0 {
			c.namespace = t.Namespace
		}
		d, err := defaultsOf(t)
		if err != nil {
			return nil, err
		}
		c.defaults[t.Namespace] = d
	}
	return c, nil
}

// flatten puts the items of Lists in the place of the Lists.
func flatten(documents []Document) ([]Document, error) {
	var out []Document
	var problems []error
	for _, d := range documents {
		kind, _ := d.Object["kind"].(string)
		if items, ok := d.Object["items"]; !ok || !strings.HasSuffix(kind, "List") {
			out = append(out, d)
		} else if values, ok := items.([]any); !ok {
			problems = append(problems, fmt.Errorf("%s: items of a %s is %s: write a list", d.Endpoint, kind, show(items)))
		} else {
			inner := make([]Document, 0, len(values))
			for i, value := range values {
				object, ok := value.(map[string]any)
				if !ok {
					problems = append(problems, fmt.Errorf("%s: items[%d] of a %s is %s: write an object", d.Endpoint, i, kind, show(value)))
					continue
				}
				inner = append(inner, Document{d.Endpoint, object})
			}
			more, err := flatten(inner)
			out, problems = append(out, more...), append(problems, err)
		}
	}
	return out, errors.Join(problems...)
}

func (c *calculator) open(d Document) object {
	where := ""
	if d.Endpoint != "" {
		where = d.Endpoint + ": "
	}
	r := &reading{where: where + "a document"}
	o := object{endpoint: d.Endpoint, root: node{reading: r, value: d.Object}}
	o.kind = o.root.at("kind").text()
	r.where = where + o.kind
	o.namespace = o.root.at("metadata", "namespace").text()
	if o.namespace == "" {
		o.namespace = c.namespace
	}
	o.name = o.root.at("metadata", "name").text()
	if o.name == "" {
		o.name = o.root.at("metadata", "generateName").text()
	}
	r.where = fmt.Sprintf("%s%s %s/%s", where, o.kind, o.namespace, o.name)
	return o
}

// group is the API group of the object.
func (o object) group() string {
	group, _, _ := strings.Cut(o.root.at("apiVersion").text(), "/")
	return group
}

// learn reads the documents others depend on: autoscalers and runtimes.
func (c *calculator) learn(documents []Document) error {
	c.scalers, c.runtimes = map[string]Replicas{}, map[string]runtime{}
	var problems []error
	for _, d := range documents {
		kind, _ := d.Object["kind"].(string)
		if kind != "HorizontalPodAutoscaler" && kind != "ServingRuntime" {
			continue
		}
		o := c.open(d)
		spec := o.root.at("spec")
		if kind == "ServingRuntime" {
			c.runtimes[o.namespace+"/"+o.name] = readRuntime(spec)
		} else {
			target := spec.at("scaleTargetRef")
			r := Replicas{Min: spec.at("minReplicas").count(1), Max: spec.at("maxReplicas").count(1)}
			if r.Max < r.Min {
				o.root.reading.refuse(spec.at("maxReplicas"), fmt.Sprintf("is %d: write at least minReplicas, %d", r.Max, r.Min))
			}
			c.scalers[o.namespace+"/"+target.at("kind").text()+"/"+target.at("name").text()] = r
		}
		problems = append(problems, o.root.reading.err())
	}
	c.formats = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.platform.runtimes)) {
		c.learnFormats("", name, c.platform.runtimes[name])
	}
	for _, key := range slices.Sorted(maps.Keys(c.runtimes)) {
		namespace, name, _ := strings.Cut(key, "/")
		c.learnFormats(namespace, name, c.runtimes[key])
	}
	return errors.Join(problems...)
}

func (c *calculator) learnFormats(namespace, name string, r runtime) {
	for _, format := range r.formats {
		if key := namespace + "/" + format; c.formats[key] == "" {
			c.formats[key] = name
		}
	}
}

func (c *calculator) usages(d Document) ([]Usage, error) {
	o := c.open(d)
	spec := o.root.at("spec")
	template := spec.at("template", "spec")
	var out []Usage
	one := func(p node, r Replicas, notes ...string) {
		u := o.usage("", readPod(p), r, c)
		u.Notes = append(notes, u.Notes...)
		out = []Usage{u}
	}
	switch o.kind {
	case "Deployment", "StatefulSet", "ReplicaSet", "ReplicationController":
		one(template, c.scaled(o, spec.at("replicas").count(1)))
		if o.kind == "Deployment" {
			out[0].Deployments = 1
		}
		if len(spec.at("volumeClaimTemplates").items()) > 0 {
			out[0].Notes = append(out[0].Notes, "its volumes are not priced")
		}
	case "DaemonSet":
		one(template, Replicas{Min: c.nodes, Max: c.nodes}, "counted for "+plural(c.nodes, "node"))
	case "Pod":
		one(spec, Replicas{Min: 1, Max: 1})
	case "Job":
		one(template, jobReplicas(spec), "at most is a month of running without end")
	case "CronJob":
		job := spec.at("jobTemplate", "spec")
		r := jobReplicas(job)
		if spec.at("suspend").truth() {
			r = Replicas{}
		}
		notes := []string{"at most is a month of running without end"}
		if policy := spec.at("concurrencyPolicy").text(); policy == "" || policy == "Allow" {
			notes = []string{"at most is a month of running without end; runs that overlap are not counted (concurrencyPolicy Forbid prevents them)"}
		}
		one(job.at("template", "spec"), r, notes...)
	case "InferenceService":
		out = c.inferenceService(o)
	case "Service":
		if o.group() == "serving.knative.dev" {
			annotations := texts(spec.at("template", "metadata", "annotations"))
			p := readPod(template)
			p.containers = append(p.containers, container{name: "queue-proxy", requirements: c.queueProxy(o, annotations)})
			u := o.usage("", p, knativeReplicas(o.root.reading, spec.at("template", "metadata", "annotations"), annotations), c)
			u.Deployments, u.Services = 1, 3
			out = []Usage{u}
		}
	default:
		if !slices.Contains(withoutPods, o.kind) {
			u := o.usage("", pod{}, Replicas{}, c)
			u.Notes = append(u.Notes, "is of a kind that is not priced")
			out = []Usage{u}
		}
	}
	if err := o.root.reading.err(); err != nil {
		return nil, err
	}
	return out, nil
}

// withoutPods are kinds that take neither CPU nor memory.
var withoutPods = []string{
	"ConfigMap", "Secret", "Service", "ServiceAccount", "Endpoints", "EndpointSlice", "Role", "RoleBinding",
	"ClusterRole", "ClusterRoleBinding", "NetworkPolicy", "Ingress", "PodDisruptionBudget", "PriorityClass",
	"HorizontalPodAutoscaler", "ServingRuntime", "ClusterServingRuntime", "ClusterStorageContainer",
	"Namespace", "ResourceQuota", "LimitRange", "Kustomization",
	"Application", "AppProject", "ApplicationSet",
}

// usage is what replicas pods of p are.
func (o object) usage(component string, p pod, r Replicas, c *calculator) Usage {
	e := p.effective(c.defaults[o.namespace])
	u := Usage{
		Endpoint: o.endpoint, Kind: o.kind, Namespace: o.namespace, Name: o.name, Component: component,
		Replicas: r, Requests: e.requests, Limits: e.limits,
	}
	for d := range gpu {
		if name := e.unrequested[d]; name != "" {
			u.Notes = append(u.Notes, fmt.Sprintf("container %s requests no %s, which counts as nothing", name, d))
		}
		if name := e.unlimited[d]; name != "" {
			u.Notes = append(u.Notes, fmt.Sprintf("container %s has no %s limit, which counts as nothing", name, d))
		}
	}
	return u
}

// scaled are the pods of a workload with this number written, or those of the
// autoscaler that looks after it. 0 switches an autoscaler off.
func (c *calculator) scaled(o object, replicas int64) Replicas {
	if r, ok := c.scalers[o.namespace+"/"+o.kind+"/"+o.name]; ok && replicas > 0 {
		return r
	}
	return Replicas{Min: replicas, Max: replicas}
}

// jobReplicas are none, once it is done, and as many as may run at once.
func jobReplicas(job node) Replicas {
	parallel := job.at("parallelism").count(1)
	if completions := job.at("completions"); completions.has() {
		parallel = min(parallel, completions.count(1))
	}
	if job.at("suspend").truth() {
		parallel = 0
	}
	return Replicas{Max: parallel}
}

// Knative's bounds, in its newer spelling and its older.
var (
	minScales = []string{"autoscaling.knative.dev/min-scale", "autoscaling.knative.dev/minScale"}
	maxScales = []string{"autoscaling.knative.dev/max-scale", "autoscaling.knative.dev/maxScale"}
)

func knativeReplicas(r *reading, at node, annotations map[string]string) Replicas {
	return Replicas{Min: scale(r, at, annotations, minScales), Max: scale(r, at, annotations, maxScales)}.bounded()
}

func maxScale(r *reading, at node, annotations map[string]string) int64 {
	return scale(r, at, annotations, maxScales)
}

func scale(r *reading, at node, annotations map[string]string, keys []string) int64 {
	for _, key := range keys {
		text, ok := annotations[key]
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 0 {
			r.refuse(node{reading: r, parent: &at, key: key}, fmt.Sprintf("is %q: write a whole number of 0 or more, in quotes", text))
			return 0
		}
		return n
	}
	return 0
}

// bounded reads a maximum of 0 as Knative does: as none.
func (r Replicas) bounded() Replicas {
	if r.Max == 0 {
		return Replicas{Min: r.Min, Max: max(r.Min, 1), Unbounded: true}
	}
	return r
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
