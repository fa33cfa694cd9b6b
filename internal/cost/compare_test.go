package cost

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// examples are the endpoints a new repository begins with.
func examples(t testing.TB) []Document {
	t.Helper()
	files, err := fs.Glob(gitops.FS, "apps/*/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var out []Document
	for _, file := range files {
		data, err := fs.ReadFile(gitops.FS, file)
		require.NoError(t, err)
		var o map[string]any
		require.NoError(t, yaml.Unmarshal(data, &o))
		out = append(out, Document{Endpoint: path.Base(path.Dir(file)), Object: o})
	}
	return out
}

func document(t testing.TB, endpoint, text string) Document {
	return Document{Endpoint: endpoint, Object: yamlObject(t, text)}
}

// model is an InferenceService of a volume's model: one pod requests 10m and
// 32Mi (limits 250m, 128Mi) more than these.
func model(name, replicas, cpu, memory string) string {
	return "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, metadata: {name: " + name + "}, spec: {predictor: {" + replicas +
		"model: {modelFormat: {name: x}, storageUri: pvc://m, resources: {requests: {cpu: " + cpu + ", memory: " + memory + "}, limits: {cpu: " + cpu + ", memory: " + memory + "}}}}}}"
}

func deployment(name string, replicas int, cpu, memory string) string {
	return fmt.Sprintf("{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s}, spec: {replicas: %d, template: {spec: {containers: [%s]}}}}",
		name, replicas, bare("c", "cpu: "+cpu+", memory: "+memory, "cpu: "+cpu+", memory: "+memory))
}

// withDisk is a Deployment of one container that asks for disk.
func withDisk(disk string, replicas int) string {
	return fmt.Sprintf("{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: %d, template: {spec: {containers: [%s]}}}}",
		replicas, bare("c", "cpu: 1m, memory: 1Mi, ephemeral-storage: "+disk, "cpu: 1m, memory: 1Mi, ephemeral-storage: "+disk))
}

// many are n objects of a kind that has no pods.
func many(t testing.TB, kind string, n int) []Document {
	var out []Document
	for i := range n {
		out = append(out, document(t, "many", fmt.Sprintf("{apiVersion: v1, kind: %s, metadata: {name: n%d}}", kind, i)))
	}
	return out
}

func tenants() []config.Tenant { return config.Default().Tenants }

func compare(t testing.TB, before, after []Document, o Options) *Delta {
	t.Helper()
	d, err := Compare(before, after, o)
	require.NoError(t, err)
	return d
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// One pod of an example model: max(50m+10m, 20m) = 60m and max(256Mi+32Mi, 64Mi)
// = 288Mi requested, max(1+250m, 1) = 1250m and max(512Mi+128Mi, 512Mi) = 640Mi
// limit. sklearn-iris has 0 to 2 of them, demo-iris-2 1 to 2; nginx-test is one
// pod of 10m, 32Mi, limits 100m, 64Mi.
//
//	fewest: 60m+10m = 70m, 288Mi+32Mi = 320Mi
//	most: 4*60m+10m = 250m, 4*288Mi+32Mi = 1184Mi
//
// A month: 0.07*23.07603 + 320/1024*3.09301 = 2.581887725 and
// 0.25*23.07603 + 1184/1024*3.09301 = 9.3453003125.
func TestTheExamplesByHand(t *testing.T) {
	d := compare(t, nil, examples(t), Options{Tenants: tenants()})
	least, most := d.Total.After.AtMin, d.Total.After.AtMax
	assert.Equal(t, "70m CPU, 320Mi memory", least.Requests.String())
	assert.Equal(t, "250m CPU, 1184Mi memory", most.Requests.String())
	// 1250m + 100m, 640Mi + 64Mi; 4*1250m + 100m, 4*640Mi + 64Mi
	assert.Equal(t, "1350m CPU, 704Mi memory", least.Limits.String())
	assert.Equal(t, "5100m CPU, 2624Mi memory", most.Limits.String())
	assert.EqualValues(t, []int64{2, 5}, []int64{least.Pods, most.Pods})
	assert.InDelta(t, 2.581887725, least.Monthly, 1e-9)
	assert.InDelta(t, 9.3453003125, most.Monthly, 1e-9)
	assert.Empty(t, d.Flags)
	assert.Empty(t, d.Exceeded())

	left := map[string]string{}
	for _, r := range d.Quotas[0].Rows {
		left[r.Resource] = r.left()
	}
	assert.Equal(t, map[string]string{
		"requests.cpu":    "3930m..3750m",   // 4 less 70m, 250m
		"requests.memory": "7872Mi..7008Mi", // 8Gi = 8192Mi less 320Mi, 1184Mi
		"limits.cpu":      "6650m..2900m",   // 8 less 1350m, 5100m
		"limits.memory":   "15680Mi..13760Mi",
		// A model has 256Mi+32Mi, limits 4Gi+256Mi; nginx-test 256Mi, 4Gi.
		"requests.ephemeral-storage": "9696Mi..8832Mi",
		"limits.ephemeral-storage":   "93952Mi..79Gi",
		"services":                   "51", // KServe's, the Route's and two of a revision for each predictor, and the example's, of 60
		"configmaps":                 "49", // Kubernetes' own of 50
		"pods":                       "18..15",
		"count/deployments.apps":     "7", // two predictors and nginx-test of 10
		"count/inferenceservices.serving.kserve.io": "3",
	}, left)
}

func TestReports(t *testing.T) {
	small := deployment("small", 1, "100m", "128Mi")
	for name, test := range map[string]struct{ before, after []Document }{
		"first":   {nil, examples(t)},
		"nothing": {examples(t), examples(t)},
		"removed": {examples(t), examples(t)[:1]},
		"changes": {
			append(examples(t),
				document(t, "goes", deployment("goes", 2, "250m", "256Mi")),
				document(t, "grows", model("grows", "minReplicas: 0, maxReplicas: 2, ", "100m", "512Mi")),
				document(t, "old-name", deployment("old-name", 1, "100m", "128Mi")),
				document(t, "same", small)),
			append(examples(t),
				document(t, "comes", model("comes", "minReplicas: 1, ", "200m", "1Gi")),
				document(t, "grows", model("grows", "minReplicas: 1, maxReplicas: 3, ", "1", "2Gi")),
				document(t, "new-name", deployment("new-name", 1, "100m", "128Mi")),
				document(t, "nightly", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: nightly}, spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c}]}}}}}}"),
				document(t, "same", small)),
		},
		"exceeded": {examples(t), append(examples(t), document(t, "huge", deployment("huge", 18, "300m", "64Mi")))},
		"repaired": {
			[]Document{document(t, "x", deployment("x", 1, "1 GB", "64Mi"))},
			[]Document{document(t, "x", deployment("x", 1, "1", "64Mi"))},
		},
		"gpu":     {nil, []Document{document(t, "x", withPod("containers: ["+bare("c", "cpu: 1, memory: 1Gi", "cpu: 1, memory: 1Gi, nvidia.com/gpu: 1")+"]"))}},
		"hostile": {nil, []Document{{Endpoint: "`|@team", Object: map[string]any{"kind": "<img>", "metadata": map[string]any{"name": "*x*|[a](http://b)"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			d := compare(t, test.before, test.after, Options{Tenants: tenants()})
			golden(t, name+".md", d.Markdown())
			golden(t, name+".txt", d.Text())
		})
	}
}

func TestStates(t *testing.T) {
	a := deployment("a", 1, "100m", "64Mi")
	for name, test := range map[string]struct {
		before, after []Document
		want          map[string]State
	}{
		"the same":                {[]Document{document(t, "a", a)}, []Document{document(t, "a", a)}, map[string]State{"a": Unchanged}},
		"another way to write it": {[]Document{document(t, "a", a)}, []Document{document(t, "a", deployment("a", 1, "0.1", "65536Ki"))}, map[string]State{"a": Unchanged}},
		"added":                   {nil, []Document{document(t, "a", a)}, map[string]State{"a": Added}},
		"removed":                 {[]Document{document(t, "a", a)}, nil, map[string]State{"a": Removed}},
		"changed":                 {[]Document{document(t, "a", a)}, []Document{document(t, "a", deployment("a", 2, "100m", "64Mi"))}, map[string]State{"a": Changed}},
		"changed, with the same sum": {
			[]Document{document(t, "a", deployment("a", 2, "100m", "64Mi"))},
			[]Document{document(t, "a", deployment("a", 1, "200m", "128Mi"))}, map[string]State{"a": Changed}},
		"the folder renamed":              {[]Document{document(t, "a", a)}, []Document{document(t, "b", a)}, map[string]State{"b": Renamed}},
		"the folder and what it is named": {[]Document{document(t, "a", a)}, []Document{document(t, "b", deployment("b", 1, "100m", "64Mi"))}, map[string]State{"b": Renamed}},
		"renamed and grown is not renamed": {
			[]Document{document(t, "a", a)}, []Document{document(t, "b", deployment("b", 2, "100m", "64Mi"))}, map[string]State{"a": Removed, "b": Added}},
		"another object of the same size is not renamed": {
			[]Document{document(t, "a", deployment("x", 1, "100m", "64Mi"))}, []Document{document(t, "b", deployment("z", 1, "100m", "64Mi"))},
			map[string]State{"a": Removed, "b": Added}},
		"two of which one is renamed": {
			[]Document{document(t, "a", a)},
			[]Document{document(t, "b", a), document(t, "c", a)}, map[string]State{"b": Renamed, "c": Added}},
		"without workloads nothing is renamed": {
			[]Document{document(t, "a", "{kind: Service, metadata: {name: a}}")}, []Document{document(t, "b", "{kind: Service, metadata: {name: a}}")},
			map[string]State{"a": Removed, "b": Added}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]State{}
			for _, e := range compare(t, test.before, test.after, Options{}).Endpoints {
				got[e.Endpoint] = e.State
			}
			assert.Equal(t, test.want, got)
		})
	}
}

func TestFlags(t *testing.T) {
	thresholds := func(cpu, memory string) Thresholds {
		out, err := ParseThresholds(cpu, memory)
		require.NoError(t, err)
		return out
	}
	for name, test := range map[string]struct {
		before, after []Document
		thresholds    Thresholds
		want          []string
	}{
		"just below": {nil, []Document{document(t, "a", deployment("a", 1, "1999m", "4194303Ki"))}, Thresholds{}, nil},
		"just there": {nil, []Document{document(t, "a", deployment("a", 1, "2", "4Gi"))}, Thresholds{}, []string{
			"a: 2 more CPU requested at the most replicas, the threshold is 2", "a: 4Gi more memory requested at the most replicas, the threshold is 4Gi"}},
		"less is a change too": {[]Document{document(t, "a", deployment("a", 3, "1", "1Gi"))}, nil, Thresholds{}, []string{
			"a: 3 less CPU requested at the most replicas, the threshold is 2"}},
		"only in the sum": {nil, []Document{document(t, "a", deployment("a", 1, "1", "1Gi")), document(t, "b", deployment("b", 1, "1", "1Gi"))}, Thresholds{}, []string{
			"all endpoints together: 2 more CPU requested at the most replicas, the threshold is 2"}},
		"what cancels out in the sum is flagged where it is": {
			[]Document{document(t, "a", deployment("x", 1, "3", "1Gi"))}, []Document{document(t, "b", deployment("z", 1, "3", "1Gi"))}, Thresholds{}, []string{
				"a: 3 less CPU requested at the most replicas, the threshold is 2", "b: 3 more CPU requested at the most replicas, the threshold is 2"}},
		"the fewest replicas": {
			// fewest 0 -> 3*1010m, most 3*1010m both times
			[]Document{document(t, "a", model("a", "minReplicas: 0, maxReplicas: 3, ", "1", "64Mi"))},
			[]Document{document(t, "a", model("a", "minReplicas: 3, maxReplicas: 3, ", "1", "64Mi"))}, Thresholds{}, []string{
				"a: 3030m more CPU requested at the fewest replicas, the threshold is 2"}},
		"thresholds of one's own": {nil, []Document{document(t, "a", deployment("a", 1, "2", "1Gi"))}, thresholds("2500m", "1Gi"), []string{
			"a: 1Gi more memory requested at the most replicas, the threshold is 1Gi"}},
		"no bound": {nil, []Document{document(t, "a", model("a", "", "100m", "64Mi"))}, Thresholds{}, []string{
			"a: InferenceService default/a predictor has no upper bound, only the quota ends its growth: set maxReplicas"}},
		"no bound as before": {[]Document{document(t, "a", model("a", "", "100m", "64Mi"))}, []Document{document(t, "a", model("a", "", "100m", "64Mi"))}, Thresholds{}, nil},
		"no bound of a Knative Service": {nil, []Document{document(t, "a", knativeService(""))}, Thresholds{}, []string{
			"a: Service default/a has no upper bound, only the quota ends its growth: set the annotation autoscaling.knative.dev/max-scale"}},
		"renamed": {[]Document{document(t, "a", deployment("a", 9, "1", "1Gi"))}, []Document{document(t, "b", deployment("b", 9, "1", "1Gi"))}, Thresholds{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range compare(t, test.before, test.after, Options{Thresholds: test.thresholds}).Flags {
				got = append(got, f.Message)
			}
			assert.Equal(t, test.want, got)
		})
	}
}

func TestThresholdsAreRead(t *testing.T) {
	for _, test := range []struct{ cpu, memory, want string }{
		{"two", "4Gi", `the CPU threshold is "two": write an amount`},
		{"2", "0", `the memory threshold is "0": write more than 0`},
		{"-1", "4 GB", `the CPU threshold is "-1": write 0 or more` + "\n" + `the memory threshold is "4 GB": write an amount`},
	} {
		_, err := ParseThresholds(test.cpu, test.memory)
		require.ErrorContains(t, err, test.want)
	}
}

func TestQuotasSayWhatIsExceededAndByHowMuch(t *testing.T) {
	two := append(tenants(), config.Tenant{Namespace: "second", Quota: config.Quota{Requests: config.Shares{CPU: "1"}, Pods: 9, Deployments: 1, ConfigMaps: 1}})
	second := func(text string) map[string]any {
		o := yamlObject(t, text)
		o["metadata"].(map[string]any)["namespace"] = "second"
		return o
	}
	for name, test := range map[string]struct {
		after []Document
		// tenants are those whose quotas are shown.
		tenants, want []string
	}{
		"full to the last bit": {[]Document{document(t, "a", deployment("a", 1, "4", "8Gi"))}, []string{"default"}, nil},
		"even at the fewest": {[]Document{document(t, "a", deployment("a", 1, "4100m", "1Gi"))}, []string{"default"}, []string{
			"the quota of tenant default is exceeded: requests.cpu by 100m even at the fewest replicas"}},
		// 3 * (2Gi + 32Mi) = 6240Mi fit; 5 * = 10400Mi, 2208Mi too much; limits 5 * (2Gi + 128Mi) = 10880Mi fit
		"only at the most": {[]Document{document(t, "a", model("a", "minReplicas: 3, maxReplicas: 5, ", "100m", "2Gi"))}, []string{"default"}, []string{
			"the quota of tenant default is exceeded: requests.memory by 2208Mi at the most replicas"}},
		"a count": {[]Document{
			document(t, "a", model("a", "maxReplicas: 1, ", "1m", "1Mi")), document(t, "b", model("b", "maxReplicas: 1, ", "1m", "1Mi")),
			document(t, "c", model("c", "maxReplicas: 1, ", "1m", "1Mi")), document(t, "d", model("d", "maxReplicas: 1, ", "1m", "1Mi")),
			document(t, "e", model("e", "maxReplicas: 1, ", "1m", "1Mi")), document(t, "f", model("f", "maxReplicas: 1, ", "1m", "1Mi")),
		}, []string{"default"}, []string{
			"the quota of tenant default is exceeded: count/inferenceservices.serving.kserve.io by 1 even at the fewest replicas"}},
		// 8Gi and 2304Mi of 10Gi.
		"disk": {[]Document{document(t, "a", withDisk("8Gi", 1)), document(t, "b", withDisk("2304Mi", 1))}, []string{"default"}, []string{
			"the quota of tenant default is exceeded: requests.ephemeral-storage by 256Mi even at the fewest replicas"}},
		"Services that are written and that Knative makes": {append(many(t, "Service", 57), document(t, "a", model("a", "maxReplicas: 1, ", "1m", "1Mi"))),
			[]string{"default"}, []string{"the quota of tenant default is exceeded: services by 1 even at the fewest replicas"}},
		"ConfigMaps beside Kubernetes' own": {append(many(t, "ConfigMap", 50), document(t, "a", deployment("a", 1, "1m", "1Mi"))),
			[]string{"default"}, []string{"the quota of tenant default is exceeded: configmaps by 1 even at the fewest replicas"}},
		"each tenant has its own": {[]Document{document(t, "a", deployment("a", 1, "3", "1Gi")), {Endpoint: "b", Object: second(deployment("b", 3, "500m", "1Gi"))}},
			[]string{"default", "second"}, []string{"the quota of tenant second is exceeded: requests.cpu by 500m even at the fewest replicas"}},
		"a tenant without documents is not shown": {[]Document{{Endpoint: "b", Object: second(deployment("b", 1, "500m", "1Gi"))}}, []string{"second"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := compare(t, nil, test.after, Options{Tenants: two})
			var shown []string
			for _, q := range d.Quotas {
				shown = append(shown, q.Tenant)
			}
			assert.Equal(t, test.tenants, shown)
			assert.Equal(t, test.want, d.Exceeded())
		})
	}
}

func TestAProblemBeforeIsToldAndOneAfterIsAnError(t *testing.T) {
	bad, good := document(t, "x", deployment("x", 1, "much", "64Mi")), document(t, "x", deployment("x", 1, "1", "64Mi"))
	d := compare(t, []Document{bad}, []Document{good}, Options{})
	assert.Equal(t, []string{`x: Deployment default/x: spec.template.spec.containers[0].resources.limits.cpu is "much": write an amount such as 250m or 2 (CPU), 512Mi or 1Gi (memory), 1 (GPU)`,
		`x: Deployment default/x: spec.template.spec.containers[0].resources.requests.cpu is "much": write an amount such as 250m or 2 (CPU), 512Mi or 1Gi (memory), 1 (GPU)`}, slices.Sorted(slices.Values(d.Unreadable)))
	_, err := Compare([]Document{good}, []Document{bad, document(t, "z", deployment("z", 1, "1", "-1"))}, Options{})
	require.ErrorContains(t, err, "x: Deployment default/x: spec.template.spec.containers[0].resources.requests.cpu")
	require.ErrorContains(t, err, "z: Deployment default/z: spec.template.spec.containers[0].resources.requests.memory")
}

func TestADeltaSurvivesJSON(t *testing.T) {
	d := compare(t, examples(t)[:2], append(examples(t), document(t, "x", model("x", "", "1", "1Gi"))), Options{Tenants: tenants()})
	data, err := json.Marshal(d)
	require.NoError(t, err)
	var back Delta
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&back))
	assert.Equal(t, d.Markdown(), back.Markdown())
	assert.Equal(t, d.Text(), back.Text())
}

func TestACommentOfManyEndpointsFitsAndShowsTheLargest(t *testing.T) {
	const name = "an-endpoint-with-a-name-as-long-as-kubernetes-lets-it-be-"
	var many []Document
	for i := range 1000 {
		e := fmt.Sprintf("%s%04d", name, i)
		many = append(many, document(t, e, model(e, "minReplicas: 1, ", fmt.Sprintf("%dm", 2000+i), "7777Mi")))
	}
	text := compare(t, nil, many, Options{Tenants: tenants()}).Markdown()
	assert.Less(t, len(text), 50_000, "a comment has at most 65,536 characters, and has more in it")
	assert.Contains(t, text, "| `"+name+"0999` (added) |")
	assert.NotContains(t, text, "| `"+name+"0959` (added) |")
	assert.Contains(t, text, "960 endpoints with smaller changes not listed.")
	assert.Contains(t, text, "- and ")
}

// random are n documents of all kinds, of any size.
func random(t testing.TB, r *rand.Rand, n int) []Document {
	t.Helper()
	var out []Document
	for i := range n {
		name := fmt.Sprintf("e%d", i)
		amounts := func() string {
			return fmt.Sprintf("cpu: %dm, memory: %dMi", 1+r.IntN(3000), 1+r.IntN(4096))
		}
		c := bare("c", amounts(), amounts())
		spec := "containers: [" + c + "], initContainers: [" + bare("i", amounts(), "") + ", {name: s, restartPolicy: Always, resources: {limits: {" + amounts() + "}}}]"
		least := r.IntN(4)
		var text string
		switch r.IntN(6) {
		case 0:
			text = model(name, fmt.Sprintf("minReplicas: %d, maxReplicas: %d, ", least, least+r.IntN(4)), fmt.Sprintf("%dm", 1+r.IntN(3000)), "512Mi")
		case 1:
			text = model(name, fmt.Sprintf("minReplicas: %d, ", least), "1", fmt.Sprintf("%dMi", 1+r.IntN(4096)))
		case 2:
			text = fmt.Sprintf("{kind: Job, metadata: {name: %s}, spec: {parallelism: %d, template: {spec: {%s}}}}", name, r.IntN(5), spec)
		case 3:
			text = fmt.Sprintf("{kind: DaemonSet, metadata: {name: %s}, spec: {template: {spec: {%s}}}}", name, spec)
		case 4:
			text = fmt.Sprintf("{kind: StatefulSet, metadata: {name: %s}, spec: {replicas: %d, template: {spec: {%s}}}}", name, r.IntN(5), spec)
		default:
			text = fmt.Sprintf("{kind: Pod, metadata: {name: %s}, spec: {%s}}", name, spec)
		}
		out = append(out, document(t, fmt.Sprintf("e%d", r.IntN(n)), text))
	}
	return out
}

func TestPropertiesOfAnyDocuments(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		a, b := random(t, r, 1+r.IntN(20)), random(t, r, 1+r.IntN(20))
		o := Options{Tenants: tenants(), Nodes: 1 + r.IntN(4)}
		if same := compare(t, a, a, o); assert.Equal(t, Unchanged, same.Total.State) {
			assert.Zero(t, same.Total.Delta.AtMax.Monthly)
			assert.True(t, same.Total.Delta.AtMin.Requests.Equal(Amount{}) && same.Total.Delta.AtMax.Limits.Equal(Amount{}))
			assert.Empty(t, same.Flags)
		}

		d := compare(t, a, b, o)
		var total Sum
		monthly := 0.0
		for _, e := range d.Endpoints {
			total = total.plus(e.After)
			monthly += e.After.AtMax.Monthly
			assert.True(t, e.Before.AtMin.Requests.Plus(e.Delta.AtMin.Requests).Equal(e.After.AtMin.Requests), "before and change are after")
		}
		for _, s := range []Sum{d.Total.Before, d.Total.After} {
			assert.LessOrEqual(t, s.AtMin.Monthly, s.AtMax.Monthly)
			assert.LessOrEqual(t, s.AtMin.Pods, s.AtMax.Pods)
		}
		assert.True(t, total.AtMax.Requests.Equal(d.Total.After.AtMax.Requests), "the total is the endpoints together")
		assert.True(t, total.AtMin.Limits.Equal(d.Total.After.AtMin.Limits), "the total is the endpoints together")
		assert.InDelta(t, d.Total.After.AtMax.Monthly, monthly, 1e-6)

		back := compare(t, b, a, o)
		assert.True(t, back.Total.Delta.AtMax.Requests.Plus(d.Total.Delta.AtMax.Requests).Equal(Amount{}), "there and back is nothing")

		r.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
		assert.Equal(t, d.Total.After.AtMax.Monthly, compare(t, a, b, o).Total.After.AtMax.Monthly, "the order of documents does not matter")
	}
}

// FuzzOf looks for input that ends in a panic, or in figures that cannot be.
func FuzzOf(f *testing.F) {
	f.Add(isvc("minReplicas: 1"))
	f.Add(workload("Deployment", "replicas: 2, "))
	f.Add(knativeService(`autoscaling.knative.dev/max-scale: "2"`))
	f.Add(withPod("resources: {limits: {cpu: 1}}, containers: [{name: a}], initContainers: [{restartPolicy: Always}]"))
	f.Add("{kind: CronJob, spec: {jobTemplate: {spec: []}}}")
	f.Add("{kind: List, items: [{kind: List, items: [1]}]}")
	f.Add("{kind: InferenceService, spec: {predictor: {workerSpec: {tensorParallelSize: 2147483647, pipelineParallelSize: 2147483647}}}}")
	platform, err := NewPlatform(gitops.FS, config.Default().Serving)
	require.NoError(f, err)
	o := Options{Tenants: tenants(), Platform: platform, Prices: &Prices{}}
	f.Fuzz(func(t *testing.T, text string) {
		var object map[string]any
		if yaml.Unmarshal([]byte(text), &object) != nil || object == nil {
			t.Skip()
		}
		usages, err := Of(Document{Endpoint: "x", Object: object}, o)
		if err != nil {
			return
		}
		for _, u := range usages {
			if u.Replicas.Min < 0 || u.Replicas.Max < u.Replicas.Min {
				t.Errorf("%s has %+v", u, u.Replicas)
			}
			for d := range dimensions {
				if u.Requests.field(d).Sign() < 0 || u.Limits.field(d).Sign() < 0 {
					t.Errorf("%s has %s, %s", u, u.Requests, u.Limits)
				}
			}
		}
		d, err := Compare(nil, []Document{{Endpoint: "x", Object: object}}, o)
		if err != nil {
			t.Errorf("Of reads it, Compare does not: %v", err)
			return
		}
		_, _ = d.Markdown(), d.Text()
	})
}

func BenchmarkCompare(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			before, after := random(b, r, n), random(b, r, n)
			for b.Loop() {
				d := compare(b, before, after, Options{Tenants: tenants()})
				_ = d.Markdown()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/document")
		})
	}
}
