package cost

import (
	"fmt"
	"maps"
	"strings"
)

// Names KServe gives containers.
const (
	serverContainer = "kserve-container"
	workerContainer = "worker-container"
)

// frameworks are the fields of a predictor that are a model of one format;
// KServe turns each into a model.
var frameworks = []string{"huggingface", "lightgbm", "onnx", "paddle", "pmml", "pytorch", "sklearn", "tensorflow", "triton", "xgboost"}

// inferenceService is one Usage a component, and one more for the other nodes of
// a model on several.
func (c *calculator) inferenceService(o object) []Usage {
	root := o.root
	annotations := texts(root.at("metadata", "annotations"))
	standard := c.platform.standard
	if mode, ok := annotations["serving.kserve.io/deploymentMode"]; ok {
		standard = standardMode(mode)
		if mode == "ModelMesh" {
			u := o.usage("", pod{}, Replicas{}, c)
			u.Notes = append(u.Notes, "runs in ModelMesh, which is not counted")
			return []Usage{u}
		}
	}
	spec := root.at("spec")
	var out []Usage
	for _, name := range []string{"predictor", "transformer", "explainer"} {
		component := spec.at(name)
		if !component.has() {
			continue
		}
		merged := maps.Clone(annotations)
		maps.Copy(merged, texts(component.at("annotations")))
		out = append(out, c.component(o, name, component, merged, standard)...)
	}
	if len(out) > 0 {
		out[0].InferenceServices = 1
		out[0].Services++ // KServe's own
	}
	return out
}

func (c *calculator) component(o object, name string, component node, annotations map[string]string, standard bool) []Usage {
	p := readPod(component)
	worker := component.at("workerSpec")
	standard = standard || worker.has()
	var rt runtime
	model := modelOf(component)
	loads := downloads(component.at("storageUris"))
	switch {
	case name == "predictor" && model.has():
		rt = c.runtime(o.namespace, model)
		server := readContainer(model)
		server.name = serverContainer
		containers := []container{server}
		for _, own := range rt.containers {
			if own.name == serverContainer {
				containers[0].requirements = server.or(own.requirements)
				continue
			}
			containers = append(containers, own)
		}
		p.containers = mergeContainers(containers, p.containers)
		loads = loads || download(model.at("storageUri")) || model.at("storage", "path").has()
	default:
		server := &container{name: serverContainer}
		env := component.at("containers")
		if explainer := component.at("art"); name == "explainer" && explainer.has() {
			art := readContainer(explainer)
			server = &art
			p.containers = append([]container{art}, p.containers...)
			loads = loads || download(explainer.at("storageUri"))
		} else if len(p.containers) > 0 {
			server = &p.containers[0]
			loads = loads || downloadByEnvironment(env.items()[0])
		} else {
			p.containers = []container{*server}
		}
		server.requirements = server.or(c.platform.modelServer)
		p.containers[0] = *server
	}
	batches := component.at("batcher").has() && name != "explainer"
	if batches || component.at("logger").has() {
		p.containers = append(p.containers, container{name: "agent", requirements: c.platform.agent})
	}
	if loads {
		p.inits = append(p.inits, container{name: "storage-initializer", requirements: c.platform.storageInitializer})
	}
	if !standard {
		p.containers = append(p.containers, container{name: "queue-proxy", requirements: c.queueProxy(o, annotations)})
	}
	if strings.EqualFold(annotations["serving.kserve.io/stop"], "true") {
		return []Usage{o.usage(name, p, Replicas{}, c)}
	}
	if worker.has() {
		return c.severalNodes(o, name, p, worker, rt)
	}
	u := o.usage(name, p, componentReplicas(component, annotations, standard), c)
	u.Deployments, u.Services = 1, 1
	if !standard {
		u.Services = 3 // the Route's and two of the revision
	}
	return []Usage{u}
}

// componentReplicas follows KServe: at least one pod unless 0 is written. On
// Knative no maximum is no bound; an autoscaler of Deployments cannot go to 0,
// and its maximum is at least its minimum.
func componentReplicas(component node, annotations map[string]string, standard bool) Replicas {
	const defaultMinReplicas = 1
	r := Replicas{Min: component.at("minReplicas").count(defaultMinReplicas), Max: component.at("maxReplicas").count(0)}
	if r.Max != 0 && r.Max < r.Min {
		component.reading.refuse(component.at("maxReplicas"), fmt.Sprintf("is %d: write at least minReplicas, %d", r.Max, r.Min))
	}
	if standard {
		if annotations["serving.kserve.io/autoscalerClass"] != "keda" {
			r.Min = max(r.Min, 1)
		}
		r.Max = max(r.Min, r.Max)
		return r
	}
	if r.Max == 0 {
		r.Max = maxScale(component.reading, component.at("annotations"), annotations)
	}
	return r.bounded()
}

// severalNodes are the head and the other nodes of a model that is on several. No
// autoscaler looks at them.
func (c *calculator) severalNodes(o object, name string, head pod, spec node, rt runtime) []Usage {
	worker := readPod(spec)
	if rt.worker != nil {
		if len(worker.containers) > 0 {
			worker.containers[0].name = workerContainer
		}
		worker.containers = mergeContainers(rt.worker.containers, worker.containers)
	}
	total := max(spec.at("tensorParallelSize").count(max(rt.tensor, 1)), 1) *
		max(spec.at("pipelineParallelSize").count(max(rt.pipeline, 1)), 1)
	nodes, workerGPUs, headGPUs := rayNodes(total, gpusOf(head), gpusOf(worker))
	setGPUs(&head, headGPUs)
	setGPUs(&worker, workerGPUs)
	first := o.usage(name, head, Replicas{Min: 1, Max: 1}, c)
	rest := o.usage(name+" worker", worker, Replicas{Min: nodes - 1, Max: nodes - 1}, c)
	first.Deployments, rest.Deployments = 1, 1
	first.Services = 2 // the second is for the nodes to find each other
	return []Usage{first, rest}
}

// rayNodes splits the GPUs of a model over nodes as KServe does: how many nodes
// there are, the GPUs of each but the first, and those of the first.
func rayNodes(total, head, worker int64) (nodes, workerGPUs, headGPUs int64) {
	switch {
	case worker > 0:
		nodes = (total + worker - 1) / worker
		if head >= total {
			nodes = 1
		}
		if nodes == 1 {
			return 1, 0, total
		}
		if head == 0 {
			head = total - worker*(nodes-1)
		}
		return nodes, worker, head
	case head > 0:
		return max(total-head, 0) + 1, 1, head
	}
	return total, 1, 1
}

func gpusOf(p pod) int64 {
	if len(p.containers) == 0 {
		return 0
	}
	c := p.containers[0]
	if q := c.requests.or(c.limits)[gpu]; q != nil {
		return q.Value()
	}
	return 0
}

func setGPUs(p *pod, n int64) {
	if len(p.containers) == 0 {
		return
	}
	q := canonical(gpu, quantityOf(n))
	p.containers[0].requests[gpu], p.containers[0].limits[gpu] = &q, &q
}

// runtime is the one a model names, or the first that takes its format; none
// adds nothing.
func (c *calculator) runtime(namespace string, model node) runtime {
	name := model.at("runtime").text()
	if name == "" {
		format := model.key
		if f := model.at("modelFormat", "name"); f.has() {
			format = f.text()
		}
		name = c.formats[namespace+"/"+format]
		if name == "" {
			name = c.formats["/"+format]
		}
	}
	if own, ok := c.runtimes[namespace+"/"+name]; ok {
		return own
	}
	return c.platform.runtimes[name]
}

// modelOf is a predictor's model, in the newer way of writing or the older.
func modelOf(predictor node) node {
	if model := predictor.at("model"); model.has() {
		return model
	}
	for _, framework := range frameworks {
		if model := predictor.at(framework); model.has() {
			return model
		}
	}
	return node{reading: predictor.reading}
}

// mergeContainers is base with what own says on top, by name; further ones of
// own follow.
func mergeContainers(base, own []container) []container {
	out := append([]container(nil), base...)
next:
	for _, c := range own {
		for i := range out {
			if out[i].name == c.name {
				out[i].requirements = c.or(out[i].requirements)
				continue next
			}
		}
		out = append(out, c)
	}
	return out
}

// queueProxy is Knative's container for a revision with these annotations.
func (c *calculator) queueProxy(o object, annotations map[string]string) requirements {
	const prefix = "queue.sidecar.serving.knative.dev/"
	own := fields{o.root.reading.where + ": annotation ", map[string]string{}, nil}
	for key, value := range annotations {
		if strings.HasPrefix(key, prefix) {
			own.values[key] = value
		}
	}
	r := own.requirements(prefix+"cpu-resource-request", prefix+"memory-resource-request",
		prefix+"cpu-resource-limit", prefix+"memory-resource-limit",
		prefix+"ephemeral-storage-resource-request", prefix+"ephemeral-storage-resource-limit")
	o.root.reading.problems = append(o.root.reading.problems, own.problems...)
	return r.or(c.platform.queueProxy)
}

// download says whether a model is fetched before the server starts: a volume is
// mounted instead.
func download(uri node) bool {
	return uri.has() && !strings.HasPrefix(uri.text(), "pvc://")
}

func downloads(uris node) bool {
	any := false
	for _, uri := range uris.items() {
		any = any || download(uri.at("uri"))
	}
	return any
}

func downloadByEnvironment(server node) bool {
	for _, e := range server.at("env").items() {
		if e.at("name").text() == "STORAGE_URI" {
			return download(e.at("value"))
		}
	}
	return false
}

func standardMode(mode string) bool { return mode == "Standard" || mode == "RawDeployment" }

// texts is a map of strings.
func texts(n node) map[string]string {
	out := map[string]string{}
	values, _ := n.value.(map[string]any)
	for key := range values {
		out[key] = n.at(key).text()
	}
	return out
}
