package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/status"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// well makes the cluster one with every layer, a tenant and a node, all well, and
// the stack one that delivered them.
func (m *machine) well() {
	m.t.Helper()
	layers, err := stacks.Layers(config.Default())
	require.NoError(m.t, err)
	var apps []string
	for _, l := range layers {
		if !l.ByProgram {
			apps = append(apps, fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"argocd","labels":{"neuroscale.dev/layer":%q}},
				"spec":{"source":{"targetRevision":"c0ffee"},"info":[{"name":"revision","value":"layer/%s/abc"}]},
				"status":{"sync":{"status":"Synced","comparedTo":{"source":{"targetRevision":"c0ffee"}}},"health":{"status":"Healthy"},
				"operationState":{"phase":"Succeeded","syncResult":{"revision":"c0ffee"}}}}`, l.Name, l.Name, l.Name))
		}
	}
	list := func(path, version, kind string, items ...string) {
		m.answers[path] = fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"items":[%s]}`, version, kind+"List", strings.Join(items, ","))
	}
	list("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications", "argoproj.io/v1alpha1", "Application", apps...)
	list("/apis/apps/v1/namespaces/argocd/deployments", "apps/v1", "Deployment", `{"metadata":{"name":"argocd-server","namespace":"argocd"},
		"spec":{"replicas":1},"status":{"replicas":1,"updatedReplicas":1,"readyReplicas":1,"availableReplicas":1,
		"conditions":[{"type":"Available","status":"True"}]}}`)
	list("/apis/apps/v1/namespaces/argocd/statefulsets", "apps/v1", "StatefulSet")
	list("/api/v1/nodes", "v1", "Node", `{"metadata":{"name":"sealed"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`)
	list("/api/v1/resourcequotas", "v1", "ResourceQuota", `{"metadata":{"name":"default-namespace-quota","namespace":"default"},
		"status":{"hard":{"pods":"20"},"used":{"pods":"2"}}}`)
	list("/api/v1/pods", "v1", "Pod")
	list("/api/v1/namespaces/default/events", "v1", "Event")
	m.services["demo-iris-2"] = readyStatus("demo-iris-2.example")
	m.up()
	outputs := m.outputs("http://gateway")
	outputs["layers"] = m.delivered()
	fakepulumi.Install(m.t, fakepulumi.Script{Outputs: outputs})
}

// delivered are all layers as well has them.
func (m *machine) delivered() map[string]any {
	layers, err := stacks.Layers(config.Default())
	require.NoError(m.t, err)
	delivered := map[string]any{}
	for _, l := range layers {
		delivered[l.Name] = map[string]any{"version": "v1", "hash": "abc"}
	}
	return delivered
}

func TestStatusSucceedsOnlyIfAllIsWell(t *testing.T) {
	m := newMachine(t)
	m.well()
	code, out, errout := m.run("status")
	require.Equal(t, 0, code, out+errout)
	assert.Contains(t, out, "stack ci is well")
	assert.Regexp(t, `kserve +v1 +abc +abc +c0ffee +yes +yes`, out)

	m.services["late"] = `{"conditions":[{"type":"Ready","status":"False","message":"no model"}]}`
	code, out, errout = m.run("status", "-o", "json")
	assert.Equal(t, 1, code)
	assert.Equal(t, "neuroscale: stack ci is not well: see above what to do next\n", errout)
	var report status.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.Equal(t, []string{"endpoint late of tenant default is not ready: see why with `neuroscale endpoints late -n default`"}, report.Next)
	assert.False(t, report.Well)
}

func TestStatusOfALayerThatWasNeverDelivered(t *testing.T) {
	m := newMachine(t)
	m.well()
	fakepulumi.Install(t, fakepulumi.Script{Outputs: m.outputs("http://gateway")})
	m.answers["/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"] = ""
	delete(m.services, "demo-iris-2")
	code, out, _ := m.run("status")
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "layer kserve is not as wanted (the settings name it and the stack has not delivered it): run `neuroscale up -s ci`")
	assert.Contains(t, out, "no endpoints")
}

func TestAClusterThatDoesNotAnswerIsOneSentence(t *testing.T) {
	m := newMachine(t)
	m.well()
	m.api.Close()
	for _, args := range [][]string{{"status"}, {"endpoints"}, {"endpoints", "demo-iris-2"}} {
		code, out, errout := m.run(args...)
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Contains(t, errout, "does not answer")
		assert.Equal(t, 1, strings.Count(errout, "\n"), errout)
	}
}

func TestEndpointsAreListedOrOneIsDescribed(t *testing.T) {
	m := newMachine(t)
	m.well()
	code, out, errout := m.run("endpoints", "-o", "json")
	require.Equal(t, 0, code, errout)
	var all []endpoint.Endpoint
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	require.Len(t, all, 1)
	assert.True(t, all[0].Ready)
	m.answers["/api/v1/namespaces/nobody/pods"] = m.answers["/api/v1/pods"]
	code, out, errout = m.run("endpoints", "-n", "nobody")
	require.Equal(t, 0, code, errout)
	assert.Contains(t, out, "no endpoints")
	code, out, errout = m.run("endpoints", "demo-iris-2")
	require.Equal(t, 0, code, errout)
	assert.Contains(t, out, "demo-iris-2 of tenant default is ready")
	for line, want := range map[string]string{
		"endpoints a b":       "endpoints takes at most one NAME, got a b",
		"endpoints --logs -1": "--logs -1 is negative",
		"endpoints demo-iris": `no endpoint "demo-iris" (did you mean "demo-iris-2"?)`,
	} {
		code, _, errout := m.run(strings.Fields(line)...)
		assert.Equal(t, 1, code)
		assert.Contains(t, errout, want)
	}
}

func TestTheLogOfWhatFailsIsRead(t *testing.T) {
	m := newMachine(t)
	m.well()
	m.services["late"] = `{"conditions":[{"type":"Ready","status":"False"}]}`
	pod := `{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"late-0","namespace":"default",
		"labels":{"serving.kserve.io/inferenceservice":"late"}},"status":{"containerStatuses":[{"name":"model","state":{"terminated":{"exitCode":1,"reason":"Error"}}}]}}]}`
	m.answers["/api/v1/namespaces/default/pods"] = pod
	m.answers["/api/v1/namespaces/default/pods/late-0/log"] = "no model\n"
	code, out, errout := m.run("endpoints", "late", "-n", "default")
	require.Equal(t, 0, code, errout)
	assert.Contains(t, out, "last lines of container model of pod late-0:\n  no model\n")
}
