package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/internal/preview"
	"github.com/neuroscale-platform/neuroscale/internal/progress"
)

func TestMain(m *testing.M) {
	fakepulumi.Main()
	os.Exit(m.Run())
}

// machine is a checkout, a home and a cluster that answers, for one test.
type machine struct {
	t     *testing.T
	root  string
	env   map[string]string
	input string
	ask   bool
	// statuses of InferenceServices the cluster knows, by name or NAMESPACE/NAME.
	services map[string]string
	api      *httptest.Server
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir(), services: map[string]string{}}
	m.write("Pulumi.yaml", "name: neuroscale\nruntime: go\n")
	m.write("Pulumi.ci.yaml", "config:\n  neuroscale:cluster:\n    provider: existing\n")
	m.write("Pulumi.dev.yaml", "config:\n  neuroscale:cluster:\n    provider: k3d\n")
	m.api = httptest.NewServer(http.HandlerFunc(m.serveAPI))
	t.Cleanup(m.api.Close)
	home := t.TempDir()
	m.env = map[string]string{"HOME": home, "KUBECONFIG": filepath.Join(home, "kubeconfig")}
	require.NoError(t, os.WriteFile(m.env["KUBECONFIG"], []byte(m.kubeconfig()), 0o600))
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	require.NoError(m.t, os.WriteFile(filepath.Join(m.root, name), []byte(text), 0o644))
}

func (m *machine) kubeconfig() string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":%q}}],"users":[{"name":"u","user":{}}],
"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, m.api.URL)
}

func (m *machine) serveAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	const all = "/apis/serving.kserve.io/v1beta1/"
	path := strings.TrimPrefix(r.URL.Path, all)
	items := map[string]string{}
	for key, status := range m.services {
		namespace, name, ok := strings.Cut(key, "/")
		if !ok {
			namespace, name = "default", key
		}
		items[namespace+"/inferenceservices/"+name] = inferenceService(name, namespace, status)
	}
	list := func(namespace string) {
		var found []string
		for _, at := range slices.Sorted(maps.Keys(items)) {
			if strings.HasPrefix(at, namespace) {
				found = append(found, items[at])
			}
		}
		fmt.Fprintf(w, `{"apiVersion":"serving.kserve.io/v1beta1","kind":"InferenceServiceList","items":[%s]}`, strings.Join(found, ","))
	}
	namespaced, inNamespace := strings.CutPrefix(path, "namespaces/")
	switch {
	case r.URL.Path == "/version":
		io.WriteString(w, `{"gitVersion":"v1.35.4"}`)
	case path == "inferenceservices":
		list("")
	case inNamespace && strings.HasSuffix(namespaced, "/inferenceservices"):
		list(namespaced + "/")
	case items[namespaced] != "":
		io.WriteString(w, items[namespaced])
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	}
}

func inferenceService(name, namespace, status string) string {
	return fmt.Sprintf(`{"apiVersion":"serving.kserve.io/v1beta1","kind":"InferenceService","metadata":{"name":%q,"namespace":%q},"status":%s}`,
		name, namespace, status)
}

func readyStatus(host string) string {
	return fmt.Sprintf(`{"url":"http://%s","conditions":[{"type":"Ready","status":"True"}]}`, host)
}

// run drives the real root command.
func (m *machine) run(args ...string) (code int, out, errout string) {
	m.t.Helper()
	var o, e bytes.Buffer
	a := &app{
		in: strings.NewReader(m.input), out: &o, err: &e, askable: m.ask,
		getenv:  func(name string) string { return m.env[name] },
		program: func(*pulumi.Context) error { return nil },
	}
	code = a.main(context.Background(), append([]string{"-C", m.root}, args...))
	return code, o.String(), e.String()
}

// up marks the stack as one with state.
func (m *machine) up() {
	m.t.Helper()
	dir := filepath.Join(m.env["HOME"], ".local", "state", "neuroscale", ".pulumi", "stacks", "neuroscale")
	require.NoError(m.t, os.MkdirAll(dir, 0o755))
	require.NoError(m.t, os.WriteFile(filepath.Join(dir, "ci.json"), []byte(`{}`), 0o600))
}

func (m *machine) outputs(gateway string) map[string]any {
	return map[string]any{
		"kubeconfig": m.kubeconfig(), "argocdUrl": "http://10.88.0.2:30081", "argocdAdminPassword": "secret-a",
		"gatewayUrl": gateway, "forgeUrl": "http://10.88.0.2:30082", "forgeUser": "ops", "forgePassword": "secret-b",
		"repository": "http://10.88.0.2:30082/neuroscale/endpoints.git",
		"endpoints":  map[string]any{"demo-iris-2": "http://demo-iris-2-predictor.default.neuroscale.test"},
		"forwards":   []any{}, "layers": map[string]any{"knative": map[string]any{"version": "v1", "hash": "abc"}},
		"versions": map[string]any{"kserve": "v0.16.0"},
	}
}

// iris is a gateway that answers for demo-iris-2 only.
func iris(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "demo-iris-2-predictor.default.neuroscale.test" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, `{"predictions":[1,1]}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestBadInputIsOneSentenceAndExitCodeOne(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		setup func(*machine)
		want  string
	}{
		"unknown command":  {args: []string{"upp"}, want: `neuroscale: unknown command "upp" (did you mean "up"?): there are bench, destroy, guard, predict, preview, render, up, version`},
		"unknown flag":     {args: []string{"up", "--foo"}, want: "neuroscale: unknown flag: --foo: see `neuroscale up --help`"},
		"extra argument":   {args: []string{"preview", "ci"}, want: `neuroscale: preview takes no arguments: remove "ci"`},
		"missing argument": {args: []string{"predict"}, want: "neuroscale: predict takes 1 argument(s) (NAME), got 0: see `neuroscale predict --help`"},
		"unknown format":   {args: []string{"preview", "-o", "xml"}, want: "neuroscale: -o xml is unknown: use text or json or markdown"},
		"unknown stack":    {args: []string{"up", "-s", "devv"}, want: `neuroscale: no stack "devv" (did you mean "dev"?): the stacks here are ci, dev; create Pulumi.devv.yaml for another one`},
		"unknown layer":    {args: []string{"render", "knativ"}, want: `neuroscale: unknown layer "knativ" (did you mean "knative"?): there are argocd, knative, kserve, kserve-runtimes, admission, kyverno, policies, tenancy`},
		"unknown target":   {args: []string{"bench", "--only", "drifd"}, want: `neuroscale: --only drifd is unknown (did you mean "drift"?): there are`},
		"unknown key": {
			args:  []string{"up"},
			setup: func(m *machine) { m.write("Pulumi.ci.yaml", "config:\n  neuroscale:forg:\n    nodePort: 1\n") },
			want:  "neuroscale: Pulumi.ci.yaml: neuroscale:forg is not a key of the configuration: did you mean forge?",
		},
		"unknown key in a preview": {
			args:  []string{"preview"},
			setup: func(m *machine) { m.write("Pulumi.ci.yaml", "config:\n  neuroscale:forge:\n    nodeport: 30082\n") },
			want:  "did you mean nodePort?",
		},
		"settings are no YAML": {
			args:  []string{"up"},
			setup: func(m *machine) { m.write("Pulumi.ci.yaml", "\tconfig") },
			want:  "neuroscale: Pulumi.ci.yaml is not YAML",
		},
		"missing kubeconfig": {
			args:  []string{"up"},
			setup: func(m *machine) { m.env["KUBECONFIG"] = "/nowhere/kubeconfig" },
			want:  "neuroscale: the kubeconfig /nowhere/kubeconfig does not exist: set neuroscale:cluster.kubeconfig or KUBECONFIG",
		},
		"kubeconfig of nothing": {
			args: []string{"up"},
			setup: func(m *machine) {
				require.NoError(m.t, os.WriteFile(m.env["KUBECONFIG"], []byte(`{"apiVersion":"v1","kind":"Config"}`), 0o600))
			},
			want: "names no cluster: point KUBECONFIG or neuroscale:cluster.kubeconfig at one that does",
		},
		"unreachable cluster": {
			args:  []string{"up"},
			setup: func(m *machine) { m.api.Close() },
			want:  "does not answer (connect: connection refused): start it, or point KUBECONFIG or neuroscale:cluster.kubeconfig at one that runs",
		},
		"a stack that needs Docker": {
			args: []string{"up", "-s", "dev"},
			want: "neuroscale: stack dev makes its cluster with Docker, which this version cannot do yet: use -s ci",
		},
		"not a checkout":    {args: []string{"-C", "/", "up"}, want: "no Pulumi.yaml in / or above it"},
		"predict before up": {args: []string{"predict", "demo-iris-2"}, want: "run `neuroscale up -s ci` first"},
		"destroy of an unreachable cluster": {
			args:  []string{"destroy", "--yes"},
			setup: func(m *machine) { m.up(); m.api.Close() },
			want:  "if it is gone for good, run `neuroscale destroy -s ci --unreachable`",
		},
		"destroy with nobody to ask": {
			args:  []string{"destroy"},
			setup: func(m *machine) { m.up() },
			want:  "there is no terminal to ask on: pass --yes",
		},
		"destroy with the wrong answer": {
			args:  []string{"destroy"},
			setup: func(m *machine) { m.up(); m.ask, m.input = true, "yes\n" },
			want:  `"yes" is not "ci": nothing was deleted`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			calls := fakepulumi.Install(t, fakepulumi.Script{})
			m := newMachine(t)
			if c.setup != nil {
				c.setup(m)
			}
			code, out, errout := m.run(c.args...)
			assert.Equal(t, 1, code)
			assert.Contains(t, errout, c.want)
			assert.Empty(t, out)
			last := strings.TrimSpace(errout)
			assert.NotContains(t, last[strings.LastIndex(last, "neuroscale: "):], "\n", "one sentence")
			for _, line := range calls.Lines(t) {
				assert.True(t, line == "" || line == "version", "nothing may have been done, but pulumi %s", line)
			}
		})
	}
}

const urn = "urn:pulumi:ci::neuroscale::"

func events(op apitype.OpType, names ...string) []apitype.EngineEvent {
	return eventsOf("knative", op, names...)
}

func eventsOf(phase string, op apitype.OpType, names ...string) []apitype.EngineEvent {
	layer := urn + "neuroscale:platform:Layer::" + phase
	list := []apitype.EngineEvent{{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
		Op: op, URN: layer, Type: "neuroscale:platform:Layer", New: &apitype.StepEventStateMetadata{},
	}}}}
	for _, n := range names {
		m := apitype.StepEventMetadata{
			Op: op, URN: urn + "neuroscale:platform:Layer$kubernetes:batch/v1:Job::" + n, Type: "kubernetes:batch/v1:Job",
			New: &apitype.StepEventStateMetadata{Custom: true, Parent: layer},
		}
		list = append(list, apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: m}},
			apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: m}})
	}
	return append(list, apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{
		ResourceChanges: map[apitype.OpType]int{op: len(names)},
	}})
}

func TestUpEndsWithThePredictionAndTheURLs(t *testing.T) {
	m := newMachine(t)
	m.services["demo-iris-2"] = readyStatus("demo-iris-2-predictor.default.neuroscale.test")
	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpCreate, "a", "b"), Outputs: m.outputs(iris(t))})
	code, out, errout := m.run("up")
	require.Equal(t, 0, code, errout)
	assert.Contains(t, errout, "knative          done in")
	assert.Contains(t, out, "stack ci is up: 2 resources in")
	assert.Regexp(t, `(?m)^PHASE +FROM +TOOK +RESOURCES$`, out)
	assert.Regexp(t, `(?m)^knative +\d+\.\ds +\d+\.\ds +2 \(2 changed\)$`, out)
	assert.Regexp(t, `(?m)^argocd +http://10\.88\.0\.2:30081 `, out)
	assert.Contains(t, out, "{\"predictions\":[1,1]}\n")
	assert.NotContains(t, out+errout, "secret-", "passwords are not printed")
}

func TestUpAgainSaysNothingToChange(t *testing.T) {
	m := newMachine(t)
	m.services["demo-iris-2"] = readyStatus("demo-iris-2-predictor.default.neuroscale.test")
	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpSame, "a", "b"), Outputs: m.outputs(iris(t))})
	code, out, _ := m.run("up")
	require.Equal(t, 0, code)
	assert.Regexp(t, `^nothing to change: the 2 resources of stack ci are as wanted`, out)
	assert.Contains(t, out, `{"predictions":[1,1]}`)

	code, out, _ = m.run("up", "-o", "json")
	require.Equal(t, 0, code)
	var report upReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.False(t, report.Changed)
	assert.Equal(t, `{"predictions":[1,1]}`, report.Prediction.Body)
	assert.Equal(t, "prediction", report.Phases[len(report.Phases)-1].Name)
}

// The engine also counts the stack, components and providers.
func TestAllCommandsCountTheSameResources(t *testing.T) {
	engine := func(op apitype.OpType) fakepulumi.Script {
		list := events(op, "a", "b")
		list[len(list)-1].SummaryEvent.ResourceChanges[op] += 3
		return fakepulumi.Script{Events: list}
	}
	for _, test := range []struct {
		op   apitype.OpType
		args string
		want string
	}{
		{apitype.OpCreate, "preview", "stack ci: 2 to create ("},
		{apitype.OpCreate, "up --skip-predict", "stack ci is up: 2 resources in"},
		{apitype.OpSame, "preview", "nothing to change: the 2 resources of stack ci"},
		{apitype.OpSame, "up --skip-predict", "nothing to change: the 2 resources of stack ci"},
		{apitype.OpDelete, "destroy --yes", "stack ci is destroyed: 2 resources deleted"},
	} {
		m := newMachine(t)
		script := engine(test.op)
		script.Outputs = m.outputs("http://10.88.0.2:30080")
		fakepulumi.Install(t, script)
		if test.op == apitype.OpDelete {
			m.up()
		}
		code, out, errout := m.run(strings.Fields(test.args)...)
		require.Equal(t, 0, code, errout)
		assert.Contains(t, out, test.want, test.args)
	}
}

func TestUpFailsWhenTheEndpointDoesNotAnswer(t *testing.T) {
	m := newMachine(t)
	m.services["demo-iris-2"] = `{"conditions":[{"type":"PredictorReady","status":"False","reason":"RevisionFailed","message":"image not found"}]}`
	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpSame, "a"), Outputs: m.outputs(iris(t))})
	code, _, errout := m.run("up", "--predict-timeout", "300ms")
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, "gave no prediction in 300ms: endpoint demo-iris-2 in namespace default is not ready: PredictorReady RevisionFailed: image not found")

	code, _, _ = m.run("up", "--skip-predict")
	assert.Equal(t, 0, code)
}

func TestUpAsksAnEndpointThatIsThere(t *testing.T) {
	const host = "demo-iris-2-predictor.default.neuroscale.test"
	for name, test := range map[string]struct {
		services map[string]string
		settings string
		want     string
	}{
		"an example is deleted": {
			services: map[string]string{"sklearn-iris": readyStatus(host)},
			want:     "\nsklearn-iris, asked through the gateway as " + host + ", answered in ",
		},
		"the first tenant is another": {
			services: map[string]string{"team-x/demo-iris-2": readyStatus(host)},
			settings: "config:\n  neuroscale:tenants:\n    - {namespace: team-x, owner: x, costCenter: x, repositories: [models]}\n",
			want:     "\ndemo-iris-2, asked through the gateway as " + host + ", answered in ",
		},
		"only somebody's own is there": {
			services: map[string]string{"mine": readyStatus(host)},
			want:     "\nmine, asked through the gateway as " + host + ", answered in ",
		},
		"every endpoint is deleted": {
			want: "\nno prediction: there is no endpoint in default: push a folder apps/NAME to the endpoints repository\n",
		},
		"nobody's is ready": {
			services: map[string]string{"mine": `{}`},
			want:     "\nno prediction: no endpoint is ready: mine in namespace default (its controller has not reported yet)\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.services = test.services
			if test.settings != "" {
				m.write("Pulumi.ci.yaml", test.settings)
			}
			fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpCreate, "a"), Outputs: m.outputs(iris(t))})
			code, out, errout := m.run("up", "--predict-timeout", "5s")
			require.Equal(t, 0, code, errout)
			assert.Contains(t, out, test.want)

			code, out, _ = m.run("up", "--predict-timeout", "5s", "-o", "json")
			require.Equal(t, 0, code)
			var report upReport
			require.NoError(t, json.Unmarshal([]byte(out), &report))
			assert.NotEqual(t, report.Prediction == nil, report.NoPrediction == "", "one of the two is told")
		})
	}
}

func TestUpChecksTheClusterThatKubectlWouldTake(t *testing.T) {
	m := newMachine(t)
	first, second := filepath.Join(m.root, "first"), m.env["KUBECONFIG"]
	require.NoError(t, os.WriteFile(first, []byte(`{"apiVersion":"v1","kind":"Config",
"clusters":[{"name":"gone","cluster":{"server":"http://127.0.0.1:1"}}],"users":[{"name":"u","user":{}}],
"contexts":[{"name":"gone","context":{"cluster":"gone","user":"u"}}]}`), 0o600))
	m.env["KUBECONFIG"] = strings.Join([]string{filepath.Join(m.root, "none"), first, second}, string(filepath.ListSeparator))
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs("http://gateway")})
	code, _, errout := m.run("up", "--skip-predict")
	assert.Equal(t, 0, code, errout)
}

func TestPreviewListsLayersAndCounts(t *testing.T) {
	m := newMachine(t)
	m.api.Close() // no cluster is needed
	delete(m.env, "KUBECONFIG")
	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpCreate, "layer-b", "layer-a")})
	code, out, errout := m.run("preview")
	require.Equal(t, 0, code, errout)
	assert.Regexp(t, `^knative: 2 to create\n  create  Job  layer-a\n  create  Job  layer-b\n\nstack ci: 2 to create \(`, out)

	code, out, _ = m.run("preview", "-o", "json")
	require.Equal(t, 0, code)
	var report preview.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.True(t, report.Changed)
	assert.Equal(t, "knative", report.Layers[0].Name)
	assert.Len(t, report.Layers[0].Resources, 2)
	entries, err := os.ReadDir(m.env["HOME"])
	require.NoError(t, err)
	assert.Len(t, entries, 1, "a preview leaves no state behind, only the kubeconfig was there")
}

func TestPreviewComparesWithTheOneItIsGiven(t *testing.T) {
	m := newMachine(t)
	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpCreate, "layer-a")})
	code, base, errout := m.run("preview", "-o", "json")
	require.Equal(t, 0, code, errout)
	file := filepath.Join(m.root, "base.json")
	m.write("base.json", base)

	fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpCreate, "layer-b", "layer-a")})
	code, out, errout := m.run("preview", "--base", file, "-o", "markdown")
	require.Equal(t, 0, code, errout)
	assert.True(t, strings.HasPrefix(out, "<!-- neuroscale-preview -->\n"), "the comment is found by its first line")
	assert.Contains(t, out, "**1 to create, 1 unchanged**, compared with the base.")

	m.write("none.json", "{}")
	for given, want := range map[string]string{
		"/nowhere.json":                      "neuroscale: read the preview to compare with (--base): ",
		filepath.Join(m.root, "none.json"):   "none.json: it names no resources: make it with ",
		filepath.Join(m.root, "Pulumi.yaml"): "Pulumi.yaml: it is not the -o json of a preview: ",
	} {
		code, out, errout := m.run("preview", "--base", given)
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Contains(t, errout, want)
	}
	m.write("base.json", strings.Replace(base, `"stack": "ci"`, `"stack": "dev"`, 1))
	_, _, errout = m.run("preview", "--base", file)
	assert.Contains(t, errout, "neuroscale: --base "+file+": it is a preview of stack dev, not of ci: make it with -s ci")
}

func TestPredictPrintsExactlyTheBody(t *testing.T) {
	m := newMachine(t)
	m.up()
	m.services["demo-iris-2"] = readyStatus("demo-iris-2-predictor.default.neuroscale.test")
	m.services["slow"] = `{"conditions":[{"type":"Ready","status":"False","message":"no pods"}]}`
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs(iris(t))})
	code, out, errout := m.run("predict", "demo-iris-2")
	require.Equal(t, 0, code, errout)
	assert.Equal(t, "{\"predictions\":[1,1]}\n", out)
	assert.Empty(t, errout)

	code, out, _ = m.run("predict", "demo-iris-2", "-o", "json")
	require.Equal(t, 0, code)
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	assert.ElementsMatch(t, []string{"body", "status", "latencyMs", "url", "host"}, slices.Collect(maps.Keys(answer)))

	for name, want := range map[string]string{
		"demo-iris-3": `neuroscale: no endpoint "demo-iris-3" in namespace default (did you mean "demo-iris-2"?): there are demo-iris-2, slow`,
		"slow":        "neuroscale: endpoint slow in namespace default is not ready: Ready: no pods",
	} {
		code, out, errout = m.run("predict", name)
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Equal(t, want+"\n", errout)
	}
}

func TestPredictReadsTheRequestFromWhereItIsTold(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got = string(raw)
	}))
	defer s.Close()
	m := newMachine(t)
	m.input = `{"from":"stdin"}`
	m.write("request.json", `{"from":"file"}`)
	for data, want := range map[string]string{
		`{"from":"flag"}`: `{"from":"flag"}`,
		"@" + filepath.Join(m.root, "request.json"): `{"from":"file"}`,
		"-": `{"from":"stdin"}`,
	} {
		code, _, errout := m.run("predict", "x", "--gateway", s.URL, "--host", "h", "--data", data)
		require.Equal(t, 0, code, errout)
		assert.Equal(t, want, got)
	}
	code, _, errout := m.run("predict", "x", "--gateway", s.URL, "--host", "h", "--data", "@/nowhere.json")
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, "read the request (--data @/nowhere.json)")
}

func TestPredictWithoutTheAPIServerUsesTheUsualHostName(t *testing.T) {
	m := newMachine(t)
	m.up()
	gateway := iris(t)
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs(gateway)})
	m.api.Close()
	code, out, errout := m.run("predict", "demo-iris-2")
	require.Equal(t, 0, code, errout)
	assert.Equal(t, "{\"predictions\":[1,1]}\n", out)
	assert.Contains(t, errout, "using the usual one")
}

func TestDestroyAsksForTheStacksName(t *testing.T) {
	m := newMachine(t)
	m.up()
	m.ask, m.input = true, "ci\n"
	calls := fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpDelete, "a", "b")})
	code, out, errout := m.run("destroy")
	require.Equal(t, 0, code, errout)
	assert.Contains(t, out, "stack ci is destroyed: 2 resources deleted in")
	assert.Contains(t, strings.Join(calls.Lines(t), "\n"), "destroy --parallel")
}

func TestDestroyOfNothingIsNoError(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	code, out, _ := newMachine(t).run("destroy", "--yes")
	assert.Equal(t, 0, code)
	assert.Equal(t, "nothing to destroy: stack ci was never up\n", out)
}

func TestVersionIsReadByPrograms(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	code, out, _ := newMachine(t).run("version", "-o", "json")
	require.Equal(t, 0, code)
	var v versionReport
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	assert.Equal(t, "v3.220.0", v.Pulumi)
	assert.NotEmpty(t, v.Go)
}

func TestHelpNamesEveryCommand(t *testing.T) {
	code, out, _ := newMachine(t).run("--help")
	require.Equal(t, 0, code)
	for _, name := range []string{"up", "preview", "destroy", "predict", "render", "guard", "bench", "version"} {
		assert.Regexp(t, `(?m)^  `+name+` `, out)
	}
}

func TestRenderPrintsTheLayerWithTheStacksSettings(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads upstream modules")
	}
	m := newMachine(t)
	hashes := func() map[string]string {
		all := map[string]string{}
		for _, layer := range []string{"admission", "argocd", "knative", "kserve", "kserve-runtimes", "kyverno", "policies", "tenancy"} {
			code, out, errout := m.run("render", layer, "-o", "json")
			require.Equal(t, 0, code, errout)
			var tree struct {
				Layer   string           `json:"layer"`
				Hash    string           `json:"hash"`
				Objects []map[string]any `json:"objects"`
			}
			require.NoError(t, json.Unmarshal([]byte(out), &tree))
			assert.Equal(t, layer, tree.Layer)
			assert.NotEmpty(t, tree.Objects, layer)
			all[layer] = tree.Hash
		}
		return all
	}
	before := hashes()
	for setting, want := range map[string][]string{
		"gitops: {nodePort: 31081}":               {"argocd"},
		"serving: {domain: models.example.org}":   {"knative", "kserve"},
		"serving: {gateway: {nodePort: 31080}}":   {"knative"},
		"serving: {defaultResources: {cpu: 75m}}": {"kserve"},
		"tenants: [{quota: {pods: 21}}]":          {"tenancy"},
		"endpoints: {requeueSeconds: 9}":          nil,
		"forge: {nodePort: 31082, storage: 2Gi}":  nil,
	} {
		m.write("Pulumi.ci.yaml", "config:\n  neuroscale:"+setting+"\n")
		var changed []string
		for layer, hash := range hashes() {
			if hash != before[layer] {
				changed = append(changed, layer)
			}
		}
		assert.ElementsMatch(t, want, changed, setting)
	}
	m.write("Pulumi.ci.yaml", "config:\n  neuroscale:serving:\n    domain: models.example.org\n")
	for layer, version := range map[string]string{"knative": "knative-serving", "kserve": "kserve"} {
		code, out, _ := m.run("render", layer)
		require.Equal(t, 0, code)
		assert.Regexp(t, `^# layer `+layer+`, `+version+` v\d`, out)
		assert.Contains(t, out, "models.example.org")
	}
}

var irisChoice = predict.Choice{Examples: []string{"demo-iris-2"}, Namespace: "default"}

func TestUpShowsTheFirstPredictionBeforeTheWholePlatformIsThere(t *testing.T) {
	m := newMachine(t)
	m.services["demo-iris-2"] = readyStatus("demo-iris-2-predictor.default.neuroscale.test")
	cluster, err := kube.Connect(kube.Source{Text: m.kubeconfig()})
	require.NoError(t, err)
	tracker := progress.NewTracker(nil)
	end := (&app{}).predictEarly(t.Context(), tracker, cluster, irisChoice, iris(t))
	for _, e := range eventsOf("endpoints", apitype.OpCreate, "applicationset") {
		tracker.Observe(e)
	}
	answered := func() bool {
		return slices.ContainsFunc(tracker.Snapshot().Phases, func(p progress.Phase) bool { return p.Name == "prediction" && p.Complete() })
	}
	require.Eventually(t, answered, 10*time.Second, 10*time.Millisecond)
	end()
	assert.True(t, answered(), "an answer that came must be kept")
}

func TestUpThatEndsBeforeTheFirstPredictionShowsNone(t *testing.T) {
	m := newMachine(t)
	cluster, err := kube.Connect(kube.Source{Text: m.kubeconfig()})
	require.NoError(t, err)
	tracker := progress.NewTracker(nil)
	(&app{}).predictEarly(t.Context(), tracker, cluster, irisChoice, iris(t))()
	assert.Empty(t, tracker.Snapshot().Phases)
}

func TestTheGatewayIsAtTheClustersAddressUnlessToldOtherwise(t *testing.T) {
	cfg := config.Default()
	cluster := &kube.Cluster{Kubeconfig: &kube.Kubeconfig{Host: "10.88.0.2"}}
	assert.Equal(t, "http://10.88.0.2:30080", gateway(cfg, cluster))
	cfg.Cluster.Address = "fd00::2"
	assert.Equal(t, "http://[fd00::2]:30080", gateway(cfg, cluster))
}
