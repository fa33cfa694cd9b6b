package cost

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// The files of a gitops folder that say what KServe and Knative add to a pod.
const (
	knativeFile  = "platform/knative/patches/config.yaml"
	kserveFile   = "platform/kserve/inferenceservice-config.yaml"
	runtimeFiles = "platform/kserve-runtimes/*.yaml"
)

// Files are the patterns of all files of a gitops folder that costs depend on.
var Files = []string{knativeFile, kserveFile, runtimeFiles, PricesFile}

// Platform is what the platform adds to the pods of an InferenceService.
type Platform struct {
	// modelServer is for a model server of one's own, a transformer or an
	// explainer that lacks a figure.
	modelServer requirements
	// queueProxy is next to every model server on Knative.
	queueProxy requirements
	// storageInitializer downloads the model before the server starts.
	storageInitializer requirements
	// agent is next to a model server that batches or logs.
	agent requirements
	// standard says that InferenceServices are Deployments unless they say
	// otherwise.
	standard bool
	// runtimes are ClusterServingRuntimes by name.
	runtimes map[string]runtime
}

// runtime is a ServingRuntime: what a model gets that names it.
type runtime struct {
	pod
	worker  *pod
	formats []string
	// tensor and pipeline are the sizes of a model on several nodes.
	tensor, pipeline int64
}

// NewPlatform reads a gitops folder (gitops.FS or a changed copy) and what the
// configuration changes in it.
func NewPlatform(fsys fs.FS, serving config.Serving) (*Platform, error) {
	p := &Platform{runtimes: map[string]runtime{}}
	var problems []error
	knative, err := configMap(fsys, knativeFile, "config-deployment")
	if err != nil {
		return nil, err
	}
	queue := fields{knativeFile + ": config-deployment.", knative, nil}
	p.queueProxy = queue.requirements("queue-sidecar-cpu-request", "queue-sidecar-memory-request",
		"queue-sidecar-cpu-limit", "queue-sidecar-memory-limit",
		"queue-sidecar-ephemeral-storage-request", "queue-sidecar-ephemeral-storage-limit")
	if p.queueProxy.requests[cpu] == nil {
		q, err := parse(cpu, "25m") // the only figure Knative itself fills in
		if err != nil {
			return nil, err
		}
		p.queueProxy.requests[cpu] = &q
	}
	problems = append(problems, queue.problems...)

	kserve, err := configMap(fsys, kserveFile, "inferenceservice-config")
	if err != nil {
		return nil, err
	}
	for key, to := range map[string]*requirements{"storageInitializer": &p.storageInitializer, "agent": &p.agent} {
		var values map[string]any
		if err := json.Unmarshal([]byte(kserve[key]), &values); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", kserveFile, key, err))
			continue
		}
		texts := map[string]string{}
		for name, value := range values {
			texts[name], _ = value.(string)
		}
		f := fields{kserveFile + ": " + key + ".", texts, nil}
		*to = f.requirements("cpuRequest", "memoryRequest", "cpuLimit", "memoryLimit", "", "")
		problems = append(problems, f.problems...)
	}
	var deploy struct {
		DefaultDeploymentMode string `json:"defaultDeploymentMode"`
	}
	if err := json.Unmarshal([]byte(kserve["deploy"]), &deploy); err != nil {
		problems = append(problems, fmt.Errorf("%s: deploy: %w", kserveFile, err))
	}
	p.standard = standardMode(deploy.DefaultDeploymentMode)

	r := serving.DefaultResources
	f := fields{"neuroscale:serving.defaultResources.", map[string]string{
		"cpu": r.CPU, "memory": r.Memory, "limits.cpu": r.Limits.CPU, "limits.memory": r.Limits.Memory,
	}, nil}
	p.modelServer = f.requirements("cpu", "memory", "limits.cpu", "limits.memory", "", "")
	problems = append(problems, f.problems...)

	problems = append(problems, p.readRuntimes(fsys))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Platform) readRuntimes(fsys fs.FS) error {
	files, err := fs.Glob(fsys, runtimeFiles)
	if err != nil {
		return err
	}
	var problems []error
	for _, file := range files {
		documents, err := decode(fsys, file)
		if err != nil {
			return err
		}
		for _, document := range documents {
			if document["kind"] != "ClusterServingRuntime" {
				continue
			}
			r := &reading{where: file}
			root := node{reading: r, value: document}
			p.runtimes[root.at("metadata", "name").text()] = readRuntime(root.at("spec"))
			problems = append(problems, r.err())
		}
	}
	return errors.Join(problems...)
}

func readRuntime(spec node) runtime {
	out := runtime{pod: readPod(spec)}
	for _, format := range spec.at("supportedModelFormats").items() {
		if format.at("autoSelect").truth() {
			out.formats = append(out.formats, format.at("name").text())
		}
	}
	if worker := spec.at("workerSpec"); worker.has() {
		p := readPod(worker)
		out.worker = &p
		out.tensor = worker.at("tensorParallelSize").count(1)
		out.pipeline = worker.at("pipelineParallelSize").count(1)
	}
	return out
}

// fields are the figures of a configuration.
type fields struct {
	where    string
	values   map[string]string
	problems []error
}

// requirements are the figures of these keys; an empty one stands for nothing.
func (f *fields) requirements(cpuRequest, memoryRequest, cpuLimit, memoryLimit, diskRequest, diskLimit string) requirements {
	var r requirements
	for _, one := range []struct {
		to  *list
		d   dimension
		key string
	}{
		{&r.requests, cpu, cpuRequest}, {&r.requests, memory, memoryRequest},
		{&r.limits, cpu, cpuLimit}, {&r.limits, memory, memoryLimit},
		{&r.requests, disk, diskRequest}, {&r.limits, disk, diskLimit},
	} {
		text := f.values[one.key]
		if text == "" {
			continue
		}
		q, err := parse(one.d, text)
		if err != nil {
			f.problems = append(f.problems, fmt.Errorf("%s%s %w", f.where, one.key, err))
			continue
		}
		one.to[one.d] = &q
	}
	return r
}

// configMap is the data of the ConfigMap name in a file of several documents.
func configMap(fsys fs.FS, file, name string) (map[string]string, error) {
	documents, err := decode(fsys, file)
	if err != nil {
		return nil, err
	}
	for _, document := range documents {
		r := &reading{where: file}
		root := node{reading: r, value: document}
		if document["kind"] != "ConfigMap" || root.at("metadata", "name").text() != name {
			continue
		}
		values, _ := root.at("data").value.(map[string]any)
		data := map[string]string{}
		for key := range values {
			data[key] = root.at("data", key).text()
		}
		return data, r.err()
	}
	return nil, fmt.Errorf("%s has no ConfigMap %s: what the platform adds to a pod is read from it", file, name)
}

func decode(fsys fs.FS, file string) ([]map[string]any, error) {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("read what the platform adds to a pod: %w", err)
	}
	var out []map[string]any
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		var document map[string]any
		if err := yaml.Unmarshal(text, &document); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		if document != nil {
			out = append(out, document)
		}
	}
}
