package cost

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// yamlObject reads one YAML document.
func yamlObject(t testing.TB, text string) map[string]any {
	t.Helper()
	var o map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &o))
	return o
}

// workload is a kind with the spec of one container that asks for 100m and 64Mi
// and may use 200m and 128Mi.
func workload(kind, spec string) string {
	return "{apiVersion: apps/v1, kind: " + kind + ", metadata: {name: a}, spec: {" + spec +
		"template: {spec: {containers: [{name: c, resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 200m, memory: 128Mi}}}]}}}}"
}

// withPod is a Pod with this spec.
func withPod(spec string) string {
	return "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {" + spec + "}}"
}

// bare is a container with only what is given.
func bare(name, requests, limits string) string {
	return "{name: " + name + ", resources: {requests: {" + requests + "}, limits: {" + limits + "}}}"
}

func TestReplicasOfEveryKind(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want Replicas
	}{
		"a Deployment without replicas has 1":                 {workload("Deployment", ""), Replicas{Min: 1, Max: 1}},
		"0 replicas are not the default":                      {workload("Deployment", "replicas: 0, "), Replicas{}},
		"a StatefulSet without replicas has 1":                {workload("StatefulSet", ""), Replicas{Min: 1, Max: 1}},
		"a ReplicaSet has what it says":                       {workload("ReplicaSet", "replicas: 3, "), Replicas{Min: 3, Max: 3}},
		"a ReplicationController has what it says":            {workload("ReplicationController", "replicas: 2, "), Replicas{Min: 2, Max: 2}},
		"a DaemonSet has one on each of 3 nodes":              {workload("DaemonSet", "replicas: 9, "), Replicas{Min: 3, Max: 3}},
		"a Job is done in the end":                            {workload("Job", ""), Replicas{Max: 1}},
		"a Job runs as many as it may at once":                {workload("Job", "parallelism: 4, "), Replicas{Max: 4}},
		"a Job runs no more than it has to complete":          {workload("Job", "parallelism: 4, completions: 2, "), Replicas{Max: 2}},
		"a Job that completes more than it runs":              {workload("Job", "parallelism: 2, completions: 9, "), Replicas{Max: 2}},
		"a suspended Job runs nothing":                        {workload("Job", "parallelism: 4, suspend: true, "), Replicas{}},
		"a bare Pod is one":                                   {withPod("containers: [" + bare("c", "cpu: 1", "") + "]"), Replicas{Min: 1, Max: 1}},
		"a Knative Service goes to 0 and grows without end":   {knativeService(""), Replicas{Max: 1, Unbounded: true}},
		"a Knative Service in bounds":                         {knativeService(`autoscaling.knative.dev/min-scale: "2", autoscaling.knative.dev/max-scale: "5"`), Replicas{Min: 2, Max: 5}},
		"the older spelling of the bounds":                    {knativeService(`autoscaling.knative.dev/minScale: "1", autoscaling.knative.dev/maxScale: "4"`), Replicas{Min: 1, Max: 4}},
		"the newer spelling of the bounds wins":               {knativeService(`autoscaling.knative.dev/max-scale: "2", autoscaling.knative.dev/maxScale: "4"`), Replicas{Max: 2}},
		"an InferenceService without minReplicas has 1":       {isvc("maxReplicas: 3"), Replicas{Min: 1, Max: 3}},
		"an InferenceService scales to 0 only if it says so":  {isvc("minReplicas: 0, maxReplicas: 3"), Replicas{Max: 3}},
		"an InferenceService without maxReplicas has no end":  {isvc("minReplicas: 2"), Replicas{Min: 2, Max: 2, Unbounded: true}},
		"maxReplicas 0 is no end either":                      {isvc("minReplicas: 0, maxReplicas: 0"), Replicas{Max: 1, Unbounded: true}},
		"a bound in an annotation counts without maxReplicas": {isvc(`minReplicas: 0, annotations: {autoscaling.knative.dev/max-scale: "7"}`), Replicas{Max: 7}},
		"maxReplicas wins over the annotation":                {isvc(`maxReplicas: 2, annotations: {autoscaling.knative.dev/max-scale: "7"}`), Replicas{Min: 1, Max: 2}},
		"as a Deployment it never goes to 0": {
			isvcAnnotated(`serving.kserve.io/deploymentMode: Standard`, "minReplicas: 0, maxReplicas: 3"), Replicas{Min: 1, Max: 3}},
		"as a Deployment it has an end without maxReplicas": {
			isvcAnnotated(`serving.kserve.io/deploymentMode: RawDeployment`, "minReplicas: 2"), Replicas{Min: 2, Max: 2}},
		"KEDA scales a Deployment to 0": {
			isvcAnnotated(`serving.kserve.io/deploymentMode: Standard, serving.kserve.io/autoscalerClass: keda`, "minReplicas: 0, maxReplicas: 3"), Replicas{Max: 3}},
		"a stopped InferenceService runs nothing": {isvcAnnotated(`serving.kserve.io/stop: "True"`, "minReplicas: 2, maxReplicas: 3"), Replicas{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Of(Document{Object: yamlObject(t, test.text)}, Options{Nodes: 3})
			require.NoError(t, err)
			require.Len(t, got, 1)
			assert.Equal(t, test.want, got[0].Replicas)
		})
	}
}

func isvc(predictor string) string { return isvcAnnotated("", predictor) }

func isvcAnnotated(annotations, predictor string) string {
	return "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, metadata: {name: a, annotations: {" + annotations +
		"}}, spec: {predictor: {" + predictor + ", model: {modelFormat: {name: sklearn}, storageUri: gs://m, " +
		"resources: {requests: {cpu: 50m, memory: 256Mi}, limits: {cpu: 1, memory: 512Mi}}}}}}"
}

func knativeService(annotations string) string {
	return "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}, spec: {template: {metadata: {annotations: {" + annotations +
		"}}, spec: {containers: [{name: c, resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 200m, memory: 128Mi}}}]}}}}"
}

func TestCronJobs(t *testing.T) {
	cron := func(spec string) string {
		return "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, spec: {" + spec +
			"jobTemplate: {spec: {parallelism: 2, template: {spec: {containers: [" + bare("c", "cpu: 100m", "cpu: 1") + "]}}}}}}"
	}
	for name, test := range map[string]struct {
		text  string
		want  Replicas
		notes string
	}{
		"nothing between runs, a run at most": {cron("concurrencyPolicy: Forbid, "), Replicas{Max: 2}, "at most is a month of running without end"},
		"overlapping runs are said to be left out": {cron(""), Replicas{Max: 2},
			"at most is a month of running without end; runs that overlap are not counted (concurrencyPolicy Forbid prevents them)"},
		"suspended it runs nothing": {cron("concurrencyPolicy: Replace, suspend: true, "), Replicas{}, "at most is a month of running without end"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Of(Document{Object: yamlObject(t, test.text)}, Options{})
			require.NoError(t, err)
			require.Len(t, got, 1)
			assert.Equal(t, test.want, got[0].Replicas)
			assert.Equal(t, "100m", got[0].Requests.CPU.String())
			assert.Contains(t, got[0].Notes, test.notes)
		})
	}
}

// Each figure is worked out next to it.
func TestAPodCountsAsTheSchedulerCountsIt(t *testing.T) {
	tenant := config.Default().Tenants[0] // default 500m/512Mi, request 100m/128Mi
	for name, test := range map[string]struct {
		spec             string
		tenants          []config.Tenant
		requests, limits string
		notes            []string
	}{
		"containers add up": {
			// 100m+200m, 64+64 Mi; 1+1, 128+128 Mi
			spec:     "containers: [" + bare("a", "cpu: 100m, memory: 64Mi", "cpu: 1, memory: 128Mi") + ", " + bare("b", "cpu: 200m, memory: 64Mi", "cpu: 1, memory: 128Mi") + "]",
			requests: "300m CPU, 128Mi memory", limits: "2 CPU, 256Mi memory"},
		"requests default to limits, not the other way": {
			// request cpu = limit cpu = 1; memory has a request only
			spec:     "containers: [" + bare("a", "memory: 64Mi", "cpu: 1") + "]",
			requests: "1 CPU, 64Mi memory", limits: "1 CPU, 0 memory",
			notes: []string{"container a has no memory limit, which counts as nothing"}},
		"the larger of init container and containers": {
			// cpu: max(100m, 500m); memory: max(256Mi, 64Mi)
			spec:     "containers: [" + bare("a", "", "cpu: 100m, memory: 256Mi") + "], initContainers: [" + bare("i", "", "cpu: 500m, memory: 64Mi") + "]",
			requests: "500m CPU, 256Mi memory", limits: "500m CPU, 256Mi memory"},
		"init containers run one after the other": {
			// max(300m, 400m, 100m), not their sum
			spec:     "containers: [" + bare("a", "", "cpu: 100m, memory: 1Mi") + "], initContainers: [" + bare("i", "", "cpu: 300m, memory: 1Mi") + ", " + bare("j", "", "cpu: 400m, memory: 1Mi") + "]",
			requests: "400m CPU, 1Mi memory", limits: "400m CPU, 1Mi memory"},
		"a sidecar runs with the containers and with the init containers after it": {
			// containers + sidecar = 100+200 = 300m; init before it 250m; init after it 200+350 = 550m
			spec: "containers: [" + bare("a", "", "cpu: 100m, memory: 1Mi") + "], initContainers: [" + bare("i", "", "cpu: 250m, memory: 1Mi") +
				", {name: s, restartPolicy: Always, resources: {limits: {cpu: 200m, memory: 1Mi}}}, " + bare("j", "", "cpu: 350m, memory: 1Mi") + "]",
			requests: "550m CPU, 2Mi memory", limits: "550m CPU, 2Mi memory"},
		"overhead comes on top, of a limit only where there is one": {
			// 100m+50m, 64+16 Mi; limit 1+50m, no memory limit
			spec:     "overhead: {cpu: 50m, memory: 16Mi}, containers: [" + bare("a", "cpu: 100m, memory: 64Mi", "cpu: 1") + "]",
			requests: "150m CPU, 80Mi memory", limits: "1050m CPU, 0 memory",
			notes: []string{"container a has no memory limit, which counts as nothing"}},
		"the pod's own resources win": {
			spec:     "resources: {requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 3, memory: 2Gi}}, containers: [" + bare("a", "cpu: 100m, memory: 64Mi", "") + "]",
			requests: "2 CPU, 1Gi memory", limits: "3 CPU, 2Gi memory"},
		"the pod's limits make requests of the containers' or of themselves": {
			// cpu requested by a container: 100m; memory by none: the pod's limit
			spec:     "resources: {limits: {cpu: 3, memory: 2Gi}}, containers: [" + bare("a", "cpu: 100m", "") + "]",
			requests: "100m CPU, 2Gi memory", limits: "3 CPU, 2Gi memory"},
		"nothing written counts as nothing and is said": {
			spec: "containers: [{name: a}]", requests: "0 CPU, 0 memory", limits: "0 CPU, 0 memory",
			notes: []string{
				"container a requests no CPU, which counts as nothing", "container a has no CPU limit, which counts as nothing",
				"container a requests no memory, which counts as nothing", "container a has no memory limit, which counts as nothing"}},
		"a tenant's namespace fills in what is missing": {
			spec: "containers: [{name: a}]", tenants: []config.Tenant{tenant}, requests: "100m CPU, 128Mi memory", limits: "500m CPU, 512Mi memory"},
		"a limit alone is the request before the namespace has a say": {
			// cpu: limit 300m is the request, not 100m; memory: both filled in
			spec: "containers: [" + bare("a", "", "cpu: 300m") + "]", tenants: []config.Tenant{tenant}, requests: "300m CPU, 128Mi memory", limits: "300m CPU, 512Mi memory"},
		"init containers get the namespace's figures too": {
			// cpu: max(10m, 100m) requested, max(20m, 500m) limit
			spec:    "containers: [" + bare("a", "cpu: 10m, memory: 1Mi", "cpu: 20m, memory: 2Mi") + "], initContainers: [{name: i}]",
			tenants: []config.Tenant{tenant}, requests: "100m CPU, 128Mi memory", limits: "500m CPU, 512Mi memory"},
		"without a default limit the maximum is the limit and the request": {
			spec:     "containers: [{name: a}]",
			tenants:  []config.Tenant{{Namespace: "x", Limits: config.ContainerLimits{Max: config.Shares{CPU: "2", Memory: "4Gi"}}}},
			requests: "2 CPU, 4Gi memory", limits: "2 CPU, 4Gi memory"},
		"GPUs of any make are devices": {
			spec:     "containers: [" + bare("a", "cpu: 1, memory: 1Gi", "cpu: 1, memory: 1Gi, nvidia.com/gpu: 2") + ", " + bare("b", "cpu: 1, memory: 1Gi", `cpu: 1, memory: 1Gi, amd.com/gpu: "1"`) + "]",
			requests: "2 CPU, 2Gi memory, 3 GPU", limits: "2 CPU, 2Gi memory, 3 GPU"},
		"numbers without units": {
			// 0.25 cores, 1048576 bytes
			spec: "containers: [" + bare("a", "", "cpu: 0.25, memory: 1048576") + "]", requests: "250m CPU, 1Mi memory", limits: "250m CPU, 1Mi memory"},
		"one notation for equal amounts": {
			spec: "containers: [" + bare("a", "", `cpu: "1000m", memory: "0.5Gi"`) + "]", requests: "1 CPU, 512Mi memory", limits: "1 CPU, 512Mi memory"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Of(Document{Object: yamlObject(t, withPod(test.spec))}, Options{Tenants: test.tenants})
			require.NoError(t, err)
			require.Len(t, got, 1)
			assert.Equal(t, test.requests, got[0].Requests.String())
			assert.Equal(t, test.limits, got[0].Limits.String())
			assert.Equal(t, test.notes, got[0].Notes)
		})
	}
}

// The platform's figures: queue-proxy 10m/32Mi, limit 250m/128Mi; downloader
// 20m/64Mi, limit 1/512Mi; agent 20m/64Mi, limit 1/256Mi; a server that says
// nothing 50m/256Mi, limit 1/512Mi.
func TestAnInferenceServiceCountsWithWhatThePlatformAdds(t *testing.T) {
	service := func(annotations, spec string) string {
		return "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, metadata: {name: a, annotations: {" + annotations + "}}, spec: {" + spec + "}}"
	}
	const figures = "resources: {requests: {cpu: 5m, memory: 100Mi}, limits: {cpu: 10m, memory: 200Mi}}"
	for name, test := range map[string]struct {
		text string
		// want is component: requests / limits, replicas.
		want []string
	}{
		"a model has a queue-proxy and a downloader before it": {
			// requests: max(5m+10m, 20m), max(100+32, 64); limits: max(10m+250m, 1), max(200+128, 512)
			service("", "predictor: {maxReplicas: 1, model: {modelFormat: {name: sklearn}, storageUri: gs://m, "+figures+"}}"),
			[]string{"predictor: 20m CPU, 132Mi memory / 1 CPU, 512Mi memory"}},
		"a model of a volume has no downloader": {
			// 5m+10m, 100+32; 10m+250m, 200+128
			service("", "predictor: {maxReplicas: 1, model: {modelFormat: {name: sklearn}, storageUri: pvc://m, "+figures+"}}"),
			[]string{"predictor: 15m CPU, 132Mi memory / 260m CPU, 328Mi memory"}},
		"storage by path is downloaded": {
			service("", "predictor: {maxReplicas: 1, model: {modelFormat: {name: sklearn}, storage: {key: k, path: p}, "+figures+"}}"),
			[]string{"predictor: 20m CPU, 132Mi memory / 1 CPU, 512Mi memory"}},
		"several storage addresses are downloaded by one": {
			service("", "predictor: {maxReplicas: 1, storageUris: [{uri: gs://m}, {uri: gs://n}], model: {modelFormat: {name: sklearn}, "+figures+"}}"),
			[]string{"predictor: 20m CPU, 132Mi memory / 1 CPU, 512Mi memory"}},
		"the older way to write a model": {
			service("", "predictor: {maxReplicas: 1, sklearn: {storageUri: gs://m, "+figures+"}}"),
			[]string{"predictor: 20m CPU, 132Mi memory / 1 CPU, 512Mi memory"}},
		"a model that asks for nothing gets its runtime's figures": {
			// runtime 50m/256Mi, limit 1/512Mi: 50+10, 256+32; 1+250m, 512+128
			service("", "predictor: {maxReplicas: 1, model: {modelFormat: {name: sklearn}, storageUri: gs://m}}"),
			[]string{"predictor: 60m CPU, 288Mi memory / 1250m CPU, 640Mi memory"}},
		"as a Deployment there is no queue-proxy": {
			// max(5m, 20m), max(100, 64); max(10m, 1), max(200, 512)
			service("serving.kserve.io/deploymentMode: Standard", "predictor: {maxReplicas: 1, model: {modelFormat: {name: sklearn}, storageUri: gs://m, "+figures+"}}"),
			[]string{"predictor: 20m CPU, 100Mi memory / 1 CPU, 512Mi memory"}},
		"logging adds an agent": {
			// 5+10+20, 100+32+64; 10m+250m+1, 200+128+256
			service("", "predictor: {maxReplicas: 1, logger: {mode: all}, model: {modelFormat: {name: sklearn}, storageUri: pvc://m, "+figures+"}}"),
			[]string{"predictor: 35m CPU, 196Mi memory / 1260m CPU, 584Mi memory"}},
		"logging and batching add one agent": {
			service("", "predictor: {maxReplicas: 1, logger: {mode: all}, batcher: {maxBatchSize: 8}, model: {modelFormat: {name: sklearn}, storageUri: pvc://m, "+figures+"}}"),
			[]string{"predictor: 35m CPU, 196Mi memory / 1260m CPU, 584Mi memory"}},
		"annotations size the queue-proxy": {
			// 5+100, 100+32; 10m+250m, 200+128
			service(`queue.sidecar.serving.knative.dev/cpu-resource-request: 100m`, "predictor: {maxReplicas: 1, model: {modelFormat: {name: sklearn}, storageUri: pvc://m, "+figures+"}}"),
			[]string{"predictor: 105m CPU, 132Mi memory / 260m CPU, 328Mi memory"}},
		"a server of one's own gets KServe's figures where it has none": {
			// 50+10, 256+32; 1+250m, 512+128
			service("", "predictor: {maxReplicas: 1, containers: [{name: mine}]}"),
			[]string{"predictor: 60m CPU, 288Mi memory / 1250m CPU, 640Mi memory"}},
		"a server of one's own downloads by its environment": {
			// max(5+10, 20)
			service("", "predictor: {maxReplicas: 1, containers: [{name: kserve-container, env: [{name: STORAGE_URI, value: gs://m}], "+figures+"}]}"),
			[]string{"predictor: 20m CPU, 132Mi memory / 1 CPU, 512Mi memory"}},
		"a container next to the model counts": {
			// 5+10+30, 100+32+10; 10+500+40, 200+128+20
			service("", "predictor: {maxReplicas: 1, model: {modelFormat: {name: sklearn}, storageUri: pvc://m, "+figures+"}, containers: [{name: next, resources: {requests: {cpu: 30m, memory: 10Mi}, limits: {cpu: 40m, memory: 20Mi}}}]}"),
			[]string{"predictor: 45m CPU, 142Mi memory / 300m CPU, 348Mi memory"}},
		"every component is pods of its own": {
			// transformer: 50+10, 256+32; explainer: 7m+10m, max(256+32, 64); limits from KServe for what they lack
			service("", "predictor: {maxReplicas: 1, model: {modelFormat: {name: sklearn}, storageUri: pvc://m, "+figures+"}}, "+
				"transformer: {minReplicas: 2, maxReplicas: 3, containers: [{name: t}]}, explainer: {minReplicas: 0, maxReplicas: 1, art: {type: SquareAttack, resources: {requests: {cpu: 7m}}}}"),
			[]string{
				"predictor: 15m CPU, 132Mi memory / 260m CPU, 328Mi memory",
				"transformer: 60m CPU, 288Mi memory / 1250m CPU, 640Mi memory",
				"explainer: 17m CPU, 288Mi memory / 1250m CPU, 640Mi memory",
			}},
		"a model on 3 nodes of 2 GPUs is a head and 2 workers": {
			// tensor 2 x pipeline 3 = 6 GPUs, 2 a worker: 3 nodes; the head gets 6-2*2 = 2
			service("serving.kserve.io/deploymentMode: Standard", "predictor: {model: {modelFormat: {name: x}, storageUri: pvc://m, "+figures+"}, "+
				"workerSpec: {tensorParallelSize: 2, pipelineParallelSize: 3, containers: [{name: worker-container, resources: {requests: {cpu: 1, memory: 1Gi, nvidia.com/gpu: 2}, limits: {cpu: 1, memory: 1Gi, nvidia.com/gpu: 2}}}]}}"),
			[]string{
				"predictor: 5m CPU, 100Mi memory, 2 GPU / 10m CPU, 200Mi memory, 2 GPU",
				"predictor worker: 1 CPU, 1Gi memory, 2 GPU / 1 CPU, 1Gi memory, 2 GPU",
			}},
	} {
		t.Run(name, func(t *testing.T) {
			usages, err := Of(Document{Object: yamlObject(t, test.text)}, Options{})
			require.NoError(t, err)
			var got []string
			for _, u := range usages {
				got = append(got, u.Component+": "+u.Requests.String()+" / "+u.Limits.String())
				assert.EqualValues(t, 1, u.Deployments, "each component is a Deployment to a quota")
				assert.Empty(t, u.Notes)
			}
			assert.Equal(t, test.want, got)
			assert.EqualValues(t, 1, usages[0].InferenceServices)
		})
	}
}

func TestNodesOfAModelOnSeveral(t *testing.T) {
	for name, test := range map[string]struct{ total, head, worker, nodes, workerGPUs, headGPUs int64 }{
		"workers' GPUs decide":                  {6, 0, 2, 3, 2, 2},
		"the last part node is one":             {5, 0, 2, 3, 2, 1},
		"all on one node":                       {2, 0, 2, 1, 0, 2},
		"a head that has them all":              {4, 4, 2, 1, 0, 4},
		"a head with some":                      {4, 2, 2, 2, 2, 2},
		"the head's GPUs and one a worker":      {4, 2, 0, 3, 1, 2},
		"no GPUs anywhere: one each":            {4, 0, 0, 4, 1, 1},
		"the head has more than the model asks": {2, 8, 0, 1, 1, 8},
	} {
		t.Run(name, func(t *testing.T) {
			nodes, worker, head := rayNodes(test.total, test.head, test.worker)
			assert.Equal(t, []int64{test.nodes, test.workerGPUs, test.headGPUs}, []int64{nodes, worker, head})
		})
	}
}

func TestAnAutoscalerSetsTheBoundsOfItsDeployment(t *testing.T) {
	scaler := yamlObject(t, "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: s}, spec: {minReplicas: 2, maxReplicas: 6, scaleTargetRef: {kind: Deployment, name: a}}}")
	for name, test := range map[string]struct {
		text string
		want Replicas
	}{
		"its own":                 {workload("Deployment", ""), Replicas{Min: 2, Max: 6}},
		"not a StatefulSet's":     {workload("StatefulSet", ""), Replicas{Min: 1, Max: 1}},
		"switched off at 0 pods":  {workload("Deployment", "replicas: 0, "), Replicas{}},
		"a DaemonSet has no such": {workload("DaemonSet", ""), Replicas{Min: 1, Max: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Of(Document{Object: map[string]any{"kind": "List", "items": []any{yamlObject(t, test.text), scaler}}}, Options{})
			require.NoError(t, err)
			require.Len(t, got, 1)
			assert.Equal(t, test.want, got[0].Replicas)
		})
	}
}

func TestWhatHasNoPodsTakesNothingAndWhatIsNotKnownIsSaid(t *testing.T) {
	for kind, notes := range map[string][]string{
		"Service":               nil,
		"ConfigMap":             nil,
		"PersistentVolumeClaim": {"is of a kind that is not priced"},
		"InferenceGraph":        {"is of a kind that is not priced"},
	} {
		got, err := Of(Document{Object: map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": "a"}}}, Options{})
		require.NoError(t, err)
		if notes == nil {
			assert.Empty(t, got, kind)
			continue
		}
		require.Len(t, got, 1, kind)
		assert.Equal(t, notes, got[0].Notes)
		assert.Zero(t, got[0].Replicas)
	}
}

func TestAProblemNamesObjectAndField(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no amount": {withPod("containers: [" + bare("a", "cpu: 1 GB", "") + "]"),
			`apps/x: Pod default/a: spec.containers[0].resources.requests.cpu is "1 GB": write an amount such as 250m or 2 (CPU), 512Mi or 1Gi (memory), 1 (GPU)`},
		"less than nothing": {withPod("containers: [" + bare("a", "", "memory: -1Gi") + "]"),
			`apps/x: Pod default/a: spec.containers[0].resources.limits.memory is "-1Gi": write 0 or more`},
		"empty": {withPod("containers: [" + bare("a", "", "memory: ") + "]"),
			`apps/x: Pod default/a: spec.containers[0].resources.limits.memory is empty: write an amount such as 250m or 512Mi`},
		"a truth value": {withPod("containers: [" + bare("a", "", "memory: true") + "]"),
			`apps/x: Pod default/a: spec.containers[0].resources.limits.memory is true: write an amount such as 250m or 512Mi`},
		"quoted replicas": {workload("Deployment", `replicas: "2", `),
			`apps/x: Deployment default/a: spec.replicas is "2": write a whole number of 0 or more, without quotes`},
		"half a replica": {workload("Deployment", `replicas: 1.5, `),
			`apps/x: Deployment default/a: spec.replicas is 1.5: write a whole number of 0 or more, without quotes`},
		"containers that are no list": {withPod("containers: {a: 1}"), `apps/x: Pod default/a: spec.containers is {"a":1}: write a list`},
		"a spec that is a text":       {"{kind: Pod, metadata: {name: a}, spec: x}", `apps/x: Pod default/a: spec is "x": write an object`},
		"bounds the wrong way round":  {isvc("minReplicas: 3, maxReplicas: 2"), `apps/x: InferenceService default/a: spec.predictor.maxReplicas is 2: write at least minReplicas, 3`},
		"a bound that is no number": {isvc(`annotations: {autoscaling.knative.dev/max-scale: "many"}`),
			`apps/x: InferenceService default/a: spec.predictor.annotations.autoscaling.knative.dev/max-scale is "many": write a whole number of 0 or more, in quotes`},
		"an amount in an annotation": {isvcAnnotated(`queue.sidecar.serving.knative.dev/cpu-resource-limit: much`, "maxReplicas: 1"),
			`apps/x: InferenceService default/a: annotation queue.sidecar.serving.knative.dev/cpu-resource-limit is "much": write an amount such as 250m or 2 (CPU), 512Mi or 1Gi (memory), 1 (GPU)`},
		"an item that is no object": {"{kind: List, items: [1]}", `apps/x: items[0] of a List is 1: write an object`},
		"items that are no list":    {"{kind: List, items: 1}", `apps/x: items of a List is 1: write a list`},
		"an autoscaler": {"{kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {maxReplicas: 1, minReplicas: 2, scaleTargetRef: {kind: Deployment, name: a}}}",
			`apps/x: HorizontalPodAutoscaler default/a: spec.maxReplicas is 1: write at least minReplicas, 2`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Of(Document{Endpoint: "apps/x", Object: yamlObject(t, test.text)}, Options{})
			require.EqualError(t, err, test.want)
		})
	}
}

func TestThePlatformIsReadFromItsFolder(t *testing.T) {
	serving := config.Default().Serving
	serving.DefaultResources.CPU = "75m"
	p, err := NewPlatform(gitops.FS, serving)
	require.NoError(t, err)
	for want, got := range map[string]requirements{
		"10m CPU, 32Mi memory / 250m CPU, 128Mi memory": p.queueProxy,
		"20m CPU, 64Mi memory / 1 CPU, 512Mi memory":    p.storageInitializer,
		"20m CPU, 64Mi memory / 1 CPU, 256Mi memory":    p.agent,
		"75m CPU, 256Mi memory / 1 CPU, 512Mi memory":   p.modelServer,
	} {
		assert.Equal(t, want, got.requests.amount().String()+" / "+got.limits.amount().String())
	}
	assert.False(t, p.standard)
	assert.Contains(t, p.runtimes, "kserve-sklearn-server")

	serving.DefaultResources.CPU = "much"
	_, err = NewPlatform(gitops.FS, serving)
	require.ErrorContains(t, err, `neuroscale:serving.defaultResources.cpu is "much"`)
	empty, err := fs.Sub(gitops.FS, "apps")
	require.NoError(t, err)
	_, err = NewPlatform(empty, config.Default().Serving)
	require.ErrorContains(t, err, "read what the platform adds to a pod: open platform/knative/patches/config.yaml")
}
