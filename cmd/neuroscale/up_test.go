package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/progress"
)

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
	assert.Regexp(t, `(?m)^forge .* administrator ops, password: output forgePassword$`, out)
	assert.Regexp(t, `(?m)^repository .* propose a folder apps/NAME as user data-scientist, password: output members$`, out)
	assert.Contains(t, out, "{\"predictions\":[1,1]}\n")
	assert.NotContains(t, out+errout, "secret-", "passwords are not printed")
}

func TestUpSaysIfTenantsAreNotApart(t *testing.T) {
	for verdict, want := range map[string]string{
		tenancy.Enforced:    "",
		tenancy.NotEnforced: "NetworkPolicies are not enforced on this cluster: ",
		"":                  "whether this cluster enforces NetworkPolicies is not known: ",
	} {
		m := newMachine(t)
		m.verdict = verdict
		fakepulumi.Install(t, fakepulumi.Script{Events: events(apitype.OpSame, "a"), Outputs: m.outputs(iris(t))})
		code, out, errout := m.run("up", "--skip-predict")
		require.Equal(t, 0, code, errout)
		assert.Contains(t, out, want)
		assert.Equal(t, want != "", strings.Contains(out, "NetworkPolicies"), out)
		code, out, _ = m.run("up", "--skip-predict", "-o", "json")
		require.Equal(t, 0, code)
		var report upReport
		require.NoError(t, json.Unmarshal([]byte(out), &report))
		assert.Equal(t, verdict, report.NetworkPolicies)
	}
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

func TestUpDoesNotBeginWithAStorageClassThatIsNotThere(t *testing.T) {
	m := newMachine(t)
	m.write("Pulumi.ci.yaml", "config:\n  neuroscale:cluster: {provider: existing, storageClass: fast}\n")
	calls := fakepulumi.Install(t, fakepulumi.Script{})
	code, _, errout := m.run("up")
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, `neuroscale:cluster.storageClass is "fast": the cluster has no StorageClass "fast": write one of standard`)
	assert.NotContains(t, strings.Join(calls.Lines(t), "\n"), "up ", "a pod would wait for its volume for ever")
}

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

func TestUpOfAClusterInDockerThatDoesNotAnswerSaysHowToGoOn(t *testing.T) {
	m := newMachine(t)
	calls := fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs("https://127.0.0.1:30080")})
	m.upStack("dev")
	m.api.Close()
	code, _, errout := m.run("up", "-s", "dev")
	assert.Equal(t, 1, code)
	assert.Contains(t, errout, "does not answer (connect: connection refused): run `docker start neuroscale-dev`; if it is gone for good, run `neuroscale destroy -s dev --unreachable` and this again")
	assert.NotContains(t, strings.Join(calls.Lines(t), "\n"), "refresh", "the look at what is in it would wait for it")
	code, _, errout = m.run("destroy", "-s", "dev", "--yes")
	assert.Equal(t, 0, code, errout)
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
	assert.Equal(t, "https://10.88.0.2:30080", gateway(cfg, cluster))
	cfg.Cluster.Address = "fd00::2"
	assert.Equal(t, "https://[fd00::2]:30080", gateway(cfg, cluster))
}
