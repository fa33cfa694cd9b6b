package kubernetes

import (
	"strings"
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server/servertest"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A resource is created, found unready, and then changed by the "controller".
func TestCreateWaitsUntilReady(t *testing.T) {
	condition := func(kind, status string) m { return m{"conditions": []any{m{"type": kind, "status": status}}} }
	tests := []struct {
		name, token, kind, namespace string
		object                       m
		unready, ready               m
	}{
		{"Deployment", "apps/v1:Deployment", "apps/v1/deployments", "default", m{"spec": m{"replicas": 2}},
			m{"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1},
			m{"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}},
		{"Deployment with old replicas", "apps/v1:Deployment", "apps/v1/deployments", "default", m{"spec": m{"replicas": 1}},
			m{"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2},
			m{"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}},
		{"Deployment not observed", "apps/v1:Deployment", "apps/v1/deployments", "default", m{"spec": m{"replicas": 1}},
			m{"observedGeneration": 0, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
			m{"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}},
		{"StatefulSet", "apps/v1:StatefulSet", "apps/v1/statefulsets", "default", m{"spec": m{"replicas": 1}},
			m{"observedGeneration": 1, "readyReplicas": 0}, m{"observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 1}},
		{"StatefulSet rolling", "apps/v1:StatefulSet", "apps/v1/statefulsets", "default", m{"spec": m{"replicas": 2}},
			m{"observedGeneration": 1, "readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
			m{"observedGeneration": 1, "readyReplicas": 2, "updatedReplicas": 2, "currentRevision": "b", "updateRevision": "b"}},
		{"DaemonSet", "apps/v1:DaemonSet", "apps/v1/daemonsets", "default", m{"spec": m{}},
			m{"observedGeneration": 1, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 0},
			m{"observedGeneration": 1, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}},
		{"Job", "batch/v1:Job", "batch/v1/jobs", "default", m{"spec": m{}}, m{"active": 1}, condition("Complete", "True")},
		{"Pod", "core/v1:Pod", "v1/pods", "default", m{}, m{"phase": "Running"}, m{"phase": "Running", "conditions": condition("Ready", "True")["conditions"]}},
		{"PersistentVolumeClaim", "core/v1:PersistentVolumeClaim", "v1/persistentvolumeclaims", "default", m{}, m{"phase": "Pending"}, m{"phase": "Bound"}},
		{"Namespace", "core/v1:Namespace", "v1/namespaces", "", m{}, m{"phase": "Terminating"}, m{"phase": "Active"}},
		{"CustomResourceDefinition", "apiextensions.k8s.io/v1:CustomResourceDefinition", "apiextensions.k8s.io/v1/customresourcedefinitions", "", m{"spec": m{"group": "g.io"}},
			condition("Established", "False"), condition("Established", "True")},
		{"waitFor condition", "core/v1:ConfigMap", "v1/configmaps", "default",
			m{"metadata": m{"name": "x", "annotations": m{annotationWaitFor: "condition=Ready"}}}, condition("Ready", "False"), condition("ready", "true")},
		{"waitFor condition of a status", "core/v1:ConfigMap", "v1/configmaps", "default",
			m{"metadata": m{"name": "x", "annotations": m{annotationWaitFor: "condition=Stalled=False"}}}, condition("Stalled", "True"), condition("Stalled", "False")},
		{"waitFor path", "core/v1:ConfigMap", "v1/configmaps", "default",
			m{"metadata": m{"name": "x", "annotations": m{annotationWaitFor: "jsonpath={.status.address}"}}}, m{"other": 1}, m{"address": "10.0.0.1"}},
		{"waitFor list", "core/v1:ConfigMap", "v1/configmaps", "default",
			m{"metadata": m{"name": "x", "annotations": m{annotationWaitFor: `["jsonpath={.status.sync.status}=Synced", "jsonpath={.status.n}=2", "condition=Ready"]`}}},
			m{"sync": m{"status": "Synced"}, "n": 2, "conditions": condition("Ready", "False")["conditions"]},
			m{"sync": m{"status": "Synced"}, "n": 2, "conditions": condition("Ready", "True")["conditions"]}},
		{"waitFor filter", "core/v1:ConfigMap", "v1/configmaps", "default",
			m{"metadata": m{"name": "x", "annotations": m{annotationWaitFor: `jsonpath={.status.conditions[?(@.type=="Ready")].status}=True`}}},
			condition("Ready", "False"), condition("Ready", "True")},
		{"waitFor instead of the rollout", "apps/v1:Deployment", "apps/v1/deployments", "default",
			m{"metadata": m{"name": "x", "annotations": m{annotationWaitFor: "jsonpath={.status.custom}=yes"}}}, m{}, m{"custom": "yes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, api := start(t, nil)
			if _, ok := tt.object["metadata"]; !ok {
				tt.object["metadata"] = m{"name": "x"}
			}
			created := make(chan struct{})
			go func() {
				defer close(created)
				api.until("watch=true", 1)
				set := func(status m) {
					api.change(tt.kind, tt.namespace, "x", func(o map[string]any) { o["status"] = status })
				}
				set(tt.unready)
				assert.Eventually(t, func() bool { return len(e.Messages(pulumirpc.LogSeverity_INFO)) > 0 }, waitLimit, waitTick, "what is waited for must be shown")
				set(tt.ready)
			}()
			r, reasons, err := e.TryCreate(servertest.URN("kubernetes:"+tt.token, "x"), of(tt.object), 20)
			require.NoError(t, err, reasons)
			<-created
			assert.Equal(t, of(m{"s": tt.ready})["s"].Mappable(), r.Outputs["status"].Mappable(), "the outputs must be those of the ready object")
		})
	}
}

func TestNothingIsWaitedForWhereNothingHasTo(t *testing.T) {
	tests := map[string]struct {
		token  string
		object m
	}{
		"skipAwait":              {"apps/v1:Deployment", m{"metadata": m{"name": "x", "annotations": m{annotationSkipAwait: "true"}}}},
		"paused Deployment":      {"apps/v1:Deployment", m{"spec": m{"paused": true}}},
		"suspended Job":          {"batch/v1:Job", m{"spec": m{"suspend": true}}},
		"StatefulSet on delete":  {"apps/v1:StatefulSet", m{"spec": m{"updateStrategy": m{"type": "OnDelete"}}}},
		"headless Service":       {"core/v1:Service", m{"spec": m{"clusterIP": "None", "selector": m{"a": "b"}}}},
		"external Service":       {"core/v1:Service", m{"spec": m{"type": "ExternalName", "selector": m{"a": "b"}}}},
		"Service without choice": {"core/v1:Service", m{"spec": m{}}},
		"ConfigMap":              {"core/v1:ConfigMap", m{}},
		"claim for a later pod":  {"core/v1:PersistentVolumeClaim", m{"spec": m{"storageClassName": "lazy"}}},
		"claim of the default":   {"core/v1:PersistentVolumeClaim", m{"spec": m{}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, api := start(t, nil)
			api.put("storage.k8s.io/v1/storageclasses", "", `{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"lazy",`+
				`"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"volumeBindingMode":"WaitForFirstConsumer"}`)
			if _, ok := tt.object["metadata"]; !ok {
				tt.object["metadata"] = m{"name": "x"}
			}
			_, reasons, err := e.TryCreate(servertest.URN("kubernetes:"+tt.token, "x"), of(tt.object), 5)
			require.NoError(t, err, reasons)
			assert.Zero(t, api.asked("watch=true"))
		})
	}
}

func TestServiceIsReadyWithItsFirstEndpoint(t *testing.T) {
	e, api := start(t, nil)
	go func() {
		api.until("endpointslices?", 2)
		api.put("discovery.k8s.io/v1/endpointslices", "default", `{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"web-1",`+
			`"labels":{"kubernetes.io/service-name":"web"}},"endpoints":[{"conditions":{"ready":true}}]}`)
	}()
	urn := servertest.URN("kubernetes:core/v1:Service", "web")
	_, _, err := e.TryCreate(urn, of(m{"metadata": m{"name": "web"}, "spec": m{"selector": m{"app": "web"}}}), 20)
	require.NoError(t, err)

	_, reasons, err := e.TryCreate(servertest.URN("kubernetes:core/v1:Service", "lost"), of(m{"metadata": m{"name": "lost"}, "spec": m{"selector": m{"app": "lost"}}}), 1)
	require.Error(t, err)
	assert.Contains(t, reasons[0], "Service default/lost was not ready within 1s")
	assert.Contains(t, reasons[0], "app=lost")
}

func TestFailedJobIsAnErrorWithItsLastLines(t *testing.T) {
	e, api := start(t, nil)
	api.put("v1/pods", "default", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"load-1","labels":{"job-name":"load"}},"status":{"phase":"Failed",`+
		`"containerStatuses":[{"name":"main","state":{"terminated":{"exitCode":3,"reason":"Error"}}}]}}`)
	api.put("v1/events", "default", `{"apiVersion":"v1","kind":"Event","metadata":{"name":"e"},"type":"Warning","reason":"BackoffLimitExceeded",`+
		`"message":"Job has reached the specified backoff limit","involvedObject":{"name":"load","kind":"Job"}}`)
	api.mu.Lock()
	api.logs["load-1/main"] = "line one\nfatal: cannot push with password swordfish-123\n"
	api.mu.Unlock()
	e.Create(urnSecret, secretInputs("swordfish-123"))
	go func() {
		api.until("watch=true", 1)
		api.change("batch/v1/jobs", "default", "load", func(o map[string]any) {
			o["status"] = m{"conditions": []any{m{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too many failures"}}}
		})
	}()
	r, reasons, err := e.TryCreate(urnJob, of(m{"metadata": m{"name": "load"}, "spec": m{"selector": m{"matchLabels": m{"job-name": "load"}}}}), 20)
	require.Error(t, err)
	all := strings.Join(reasons, "\n")
	for _, part := range []string{"Job default/load is not ready: the Job failed", "too many failures", "exit code 3", "fatal: cannot push", "specified backoff limit"} {
		assert.Contains(t, all, part)
	}
	assert.NotContains(t, all, "swordfish-123", "a secret that a program prints must not reach the error")
	assert.NotContains(t, err.Error(), "swordfish-123")
	assert.Equal(t, "default/load", r.ID, "a failed Job exists and must stay in the state")
}

func TestTimeoutSaysWhatIsMissingAndWhy(t *testing.T) {
	e, api := start(t, nil)
	api.put("v1/pods", "default", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-1","labels":{"app":"web"}},"status":{"phase":"Pending",`+
		`"containerStatuses":[{"name":"main","ready":false,"state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image web:1"}}}]}}`)
	r, reasons, err := e.TryCreate(urnDeployment, deployment("web", 1), 1)
	require.Error(t, err)
	all := strings.Join(reasons, "\n")
	assert.Contains(t, reasons[0], "Deployment default/web was not ready within 1s")
	assert.Contains(t, all, "pod web-1, container main: ImagePullBackOff: Back-off pulling image web:1")
	assert.Equal(t, "default/web", r.ID)

	api.change("apps/v1/deployments", "default", "web", func(o map[string]any) {
		o["status"] = rolledOut(api.objects["apps/v1/deployments/default/web"].object, 1)
	})
	_, reasons, err = e.TryUpdate(r, deployment("web", 1), 5)
	require.NoError(t, err, "the next update must go on waiting where the last one gave up: %v", reasons)
}

func TestTimeoutIsTakenFromTheAnnotation(t *testing.T) {
	e, _ := start(t, nil)
	inputs := deployment("web", 1)
	inputs["metadata"] = of(m{"x": m{"name": "web", "annotations": m{annotationTimeoutSeconds: "1"}}})["x"]
	_, reasons, err := e.TryCreate(urnDeployment, inputs, 0)
	require.Error(t, err)
	assert.Contains(t, reasons[0], "within 1s")
}

func TestWaitSurvivesABrokenWatch(t *testing.T) {
	e, api := start(t, nil)
	go func() {
		api.until("watch=true", 1)
		api.CloseClientConnections()
		api.until("watch=true", 2)
		api.change("v1/namespaces", "", "space", func(o map[string]any) { o["status"] = m{"phase": "Active"} })
	}()
	_, reasons, err := e.TryCreate(urnNamespace, of(m{"metadata": m{"name": "space"}}), 20)
	require.NoError(t, err, reasons)
}

func TestObjectDeletedDuringTheWaitIsAnError(t *testing.T) {
	e, api := start(t, nil)
	go func() {
		api.until("watch=true", 1)
		api.drop("v1/namespaces", "", "space")
	}()
	_, reasons, err := e.TryCreate(urnNamespace, of(m{"metadata": m{"name": "space"}}), 20)
	require.Error(t, err)
	assert.Contains(t, reasons[0], "Namespace space is not ready: it was deleted meanwhile")
}

func TestWaitForIsParsedStrictly(t *testing.T) {
	for _, bad := range []string{"Ready", "condition=", "condition=Ready=", "jsonpath={.a}=", "jsonpath={.a", "[]", "[1]", `["condition=A", "x"]`} {
		_, err := parseWaitFor(bad)
		assert.Error(t, err, bad)
	}
	for _, good := range []string{"condition=Ready", "condition=Ready=Unknown", "jsonpath={.a.b}", "jsonpath=.a.b=c", "jsonpath=a=c", `["condition=A","jsonpath={.b}=c=d"]`} {
		_, err := parseWaitFor(good)
		assert.NoError(t, err, good)
	}
}
