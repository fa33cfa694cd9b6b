package guardrails

import (
	"fmt"
	"strings"
)

// object is a manifest, or a part of one.
type object = map[string]any

// shape is a good manifest and the part of it that mutations change.
type shape struct {
	name string
	// object makes the manifest, all but its name and namespace.
	object func() object
	// metas are the paths of everything that has to be labelled.
	metas [][]string
	// pod is the path of the pod specification, container the place in it of the
	// container that is changed, which is a list for all but a model.
	pod, container []string
	// sidecars says that there may be more than one container, pods that the rest
	// of the pod may be changed too.
	sidecars, pods bool
	// bare shapes have no pod: only mutations that are about them make sense.
	bare bool
	// deep shapes get every mutation, the others those that differ by shape.
	deep bool
}

const (
	goodImage  = "docker.io/nginxinc/nginx-unprivileged:1.27.5"
	goodDigest = "sha256:6f1b4c0a7c0e3c5b2f4d1a9e8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c"
)

func (s shape) kind() string { return s.object()["kind"].(string) }

func (s shape) service() bool { return strings.HasPrefix(s.name, "inferenceservice") }

// labelled says that labels are asked for, templated that they are on a pod
// template too.
func (s shape) labelled() bool  { return len(s.metas) > 0 }
func (s shape) templated() bool { return len(s.metas) > 1 }

// labels is the policy for the labels of the shape's kind.
func (s shape) labels() Verdict {
	if s.service() {
		return ServiceLabels
	}
	return WorkloadLabels
}

func shapes() []shape {
	var (
		object_  = []string{"metadata"}
		template = []string{"spec", "template", "metadata"}
		pod      = []string{"spec", "template", "spec"}
		first    = []string{"containers"}
	)
	workload := func(name string, make func() object) shape {
		return shape{name: name, object: make, metas: [][]string{object_, template}, pod: pod, container: first, sidecars: true, pods: true}
	}
	service := func(name string, make func() object, pod string, container ...string) shape {
		return shape{
			name: "inferenceservice-" + name, object: make, metas: [][]string{object_},
			pod: append([]string{"spec"}, strings.Split(pod, ".")...), container: container, sidecars: true, pods: true,
		}
	}
	all := []shape{
		{name: "pod", object: podObject, metas: [][]string{object_}, pod: []string{"spec"}, container: first, sidecars: true, pods: true},
		workload("deployment", deployment),
		workload("statefulset", statefulSet),
		workload("daemonset", daemonSet),
		workload("replicaset", replicaSet),
		workload("replicationcontroller", replicationController),
		workload("job", job),
		{
			name: "cronjob", object: cronJob, container: first, sidecars: true, pods: true,
			metas: [][]string{object_, {"spec", "jobTemplate", "spec", "template", "metadata"}},
			pod:   []string{"spec", "jobTemplate", "spec", "template", "spec"},
		},
		{name: "service", object: coreService, bare: true},
		// KServe and Knative refuse most of what a pod may have besides.
		{name: "servingruntime", object: servingRuntime, pod: []string{"spec"}, container: first},
		{name: "knativeservice", object: knativeService, metas: [][]string{object_, template}, pod: pod, container: first},
		service("model", modelService, "predictor", "model"),
		service("framework", frameworkService, "predictor", "sklearn"),
		service("containers", containersService, "predictor", "containers"),
		service("transformer", transformerService, "transformer", "containers"),
		service("explainer", explainerService, "explainer", "containers"),
		service("worker", workerService, "predictor.workerSpec", "containers"),
	}
	for i := range all {
		switch all[i].name {
		case "deployment", "inferenceservice-model":
			all[i].deep = true
		case "inferenceservice-worker":
			all[i].sidecars = false // KServe refuses a second one.
		}
	}
	return all
}

func shapeNamed(name string) shape {
	for _, s := range shapes() {
		if s.name == name {
			return s
		}
	}
	panic(fmt.Sprintf("there is no shape %s", name))
}

func goodLabels() object { return object{"owner": "data-science", "cost-center": "ml-research"} }

func selectorLabels() object { return object{"app": "corpus"} }

func goodResources() object {
	return object{
		"requests": object{"cpu": "10m", "memory": "32Mi"},
		"limits":   object{"cpu": "100m", "memory": "64Mi"},
	}
}

func goodSecurity() object {
	return object{"runAsNonRoot": true, "runAsUser": int64(1000), "allowPrivilegeEscalation": false}
}

func goodContainer(name string) object {
	return object{"name": name, "image": goodImage, "resources": goodResources(), "securityContext": goodSecurity()}
}

// goodModel has no image: a model's comes from its runtime.
func goodModel() object {
	return object{
		"storageUri": "gs://kfserving-examples/models/sklearn/1.0/model",
		"resources":  goodResources(), "securityContext": goodSecurity(),
	}
}

// podSpec is of pods that never run, should one have to exist.
func podSpec() object {
	return object{
		"automountServiceAccountToken": false,
		"nodeSelector":                 object{"neuroscale.dev/no-such-node": "true"},
		"containers":                   []any{goodContainer("main")},
	}
}

func podTemplate(restart string) object {
	labels, spec := goodLabels(), podSpec()
	labels["app"] = "corpus"
	if restart != "" {
		spec["restartPolicy"] = restart
	}
	return object{"metadata": object{"labels": labels}, "spec": spec}
}

func manifest(apiVersion, kind string, spec object) object {
	return object{"apiVersion": apiVersion, "kind": kind, "metadata": object{"labels": goodLabels()}, "spec": spec}
}

func podObject() object { return manifest("v1", "Pod", podSpec()) }

func deployment() object {
	return manifest("apps/v1", "Deployment", object{
		"replicas": int64(0), "selector": object{"matchLabels": selectorLabels()}, "template": podTemplate(""),
	})
}

func statefulSet() object {
	return manifest("apps/v1", "StatefulSet", object{
		"replicas": int64(0), "serviceName": "corpus", "selector": object{"matchLabels": selectorLabels()}, "template": podTemplate(""),
	})
}

func daemonSet() object {
	return manifest("apps/v1", "DaemonSet", object{
		"selector": object{"matchLabels": selectorLabels()}, "template": podTemplate(""),
	})
}

func replicaSet() object {
	return manifest("apps/v1", "ReplicaSet", object{
		"replicas": int64(0), "selector": object{"matchLabels": selectorLabels()}, "template": podTemplate(""),
	})
}

func replicationController() object {
	return manifest("v1", "ReplicationController", object{
		"replicas": int64(0), "selector": selectorLabels(), "template": podTemplate(""),
	})
}

func job() object {
	return manifest("batch/v1", "Job", object{"suspend": true, "template": podTemplate("Never")})
}

func cronJob() object {
	return manifest("batch/v1", "CronJob", object{
		"schedule": "0 3 * * *", "suspend": true,
		"jobTemplate": object{"spec": object{"template": podTemplate("Never")}},
	})
}

func coreService() object {
	return manifest("v1", "Service", object{"selector": selectorLabels(), "ports": []any{object{"port": int64(80)}}})
}

func servingRuntime() object {
	return manifest("serving.kserve.io/v1alpha1", "ServingRuntime", object{
		"supportedModelFormats": []any{object{"name": "corpus", "version": "1"}},
		"containers":            []any{goodContainer("kserve-container")},
	})
}

func knativeService() object {
	labels := goodLabels()
	return manifest("serving.knative.dev/v1", "Service", object{"template": object{
		"metadata": object{"labels": labels}, "spec": object{"containers": []any{goodContainer("main")}},
	}})
}

// inferenceService is one that is never brought up.
func inferenceService(spec object) object {
	o := manifest("serving.kserve.io/v1beta1", "InferenceService", spec)
	o["metadata"].(object)["annotations"] = object{"serving.kserve.io/stop": "true"}
	return o
}

func modelPredictor() object {
	model := goodModel()
	model["modelFormat"] = object{"name": "sklearn"}
	model["runtime"] = "kserve-sklearn-server"
	return object{"minReplicas": int64(0), "maxReplicas": int64(1), "model": model}
}

func modelService() object { return inferenceService(object{"predictor": modelPredictor()}) }

func frameworkService() object {
	return inferenceService(object{"predictor": object{"minReplicas": int64(0), "sklearn": goodModel()}})
}

func containersService() object {
	return inferenceService(object{"predictor": object{"containers": []any{goodContainer("kserve-container")}}})
}

func transformerService() object {
	return inferenceService(object{
		"predictor":   modelPredictor(),
		"transformer": object{"containers": []any{goodContainer("kserve-container")}},
	})
}

func explainerService() object {
	return inferenceService(object{
		"predictor": modelPredictor(),
		"explainer": object{"containers": []any{goodContainer("kserve-container")}},
	})
}

func workerService() object {
	predictor := modelPredictor()
	// What KServe asks of a model on several nodes.
	predictor["model"].(object)["storageUri"] = "pvc://models/sklearn"
	predictor["workerSpec"] = object{"pipelineParallelSize": int64(2), "containers": []any{goodContainer("worker-container")}}
	o := inferenceService(object{"predictor": predictor})
	o["metadata"].(object)["annotations"].(object)["serving.kserve.io/autoscalerClass"] = "none"
	return o
}
