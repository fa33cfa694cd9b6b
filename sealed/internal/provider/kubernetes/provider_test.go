package kubernetes

import (
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server/servertest"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type (
	props = servertest.Props
	value = resource.PropertyValue
)

func build(h *server.Host) server.Provider { return New(h) }

// start connects a configured provider to a fake API.
func start(t *testing.T, extra props) (*servertest.Engine, *fakeAPI) {
	t.Helper()
	api := newFakeAPI(t)
	e := servertest.Start(t, build)
	cfg := api.kubeconfig()
	for key, v := range extra {
		cfg[key] = v
	}
	e.Configure(cfg)
	return e, api
}

// of writes properties the way programs give them.
func of(fields map[string]any) props { return resource.NewPropertyMapFromMap(fields) }

type m = map[string]any

func configMap(name string, data m) props {
	return of(m{"metadata": m{"name": name}, "data": data})
}

var (
	urnConfigMap  = servertest.URN("kubernetes:core/v1:ConfigMap", "settings")
	urnSecret     = servertest.URN("kubernetes:core/v1:Secret", "token")
	urnDeployment = servertest.URN("kubernetes:apps/v1:Deployment", "web")
	urnJob        = servertest.URN("kubernetes:batch/v1:Job", "load")
	urnNamespace  = servertest.URN("kubernetes:core/v1:Namespace", "space")
)

func field(t *testing.T, p props, path ...string) value {
	t.Helper()
	v := resource.NewProperty(p)
	for _, key := range path {
		for v.IsSecret() {
			v = v.SecretValue().Element
		}
		require.True(t, v.IsObject(), "no object above %s in %v", key, path)
		v = v.ObjectValue()[resource.PropertyKey(key)]
	}
	return v
}

func TestObjectIsCreatedChangedAndDeletedInTheCluster(t *testing.T) {
	e, api := start(t, props{"enableConfigMapMutable": resource.NewProperty(true)})

	r := e.Create(urnConfigMap, configMap("settings", m{"a": "1", "gone": "x"}))
	assert.Equal(t, "default/settings", r.ID)
	assert.Equal(t, "v1", field(t, r.Outputs, "apiVersion").StringValue())
	assert.Equal(t, "ConfigMap", field(t, r.Outputs, "kind").StringValue())
	assert.Equal(t, "default", field(t, r.Outputs, "metadata", "namespace").StringValue())
	assert.NotEmpty(t, field(t, r.Outputs, "metadata", "uid").StringValue())
	assert.NotContains(t, r.Outputs["metadata"].ObjectValue(), resource.PropertyKey("managedFields"))

	r = e.Update(r, configMap("settings", m{"a": "2"}))
	live := api.get("v1/configmaps", "default", "settings")
	assert.Equal(t, m{"a": "2"}, live.Object["data"], "a field taken out of the inputs must leave the object")
	assert.Equal(t, "2", field(t, r.Outputs, "data", "a").StringValue())

	require.NoError(t, e.Delete(r, 0))
	assert.Nil(t, api.get("v1/configmaps", "default", "settings"))
	require.NoError(t, e.Delete(r, 0), "deleting what is already gone must succeed")
}

func TestCreateTakesOverAnExistingObject(t *testing.T) {
	e, api := start(t, nil)
	api.put("v1/configmaps", "default", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"other":"kept"}}`)
	e.Create(urnConfigMap, configMap("settings", m{"a": "1"}))
	assert.Equal(t, m{"other": "kept", "a": "1"}, api.get("v1/configmaps", "default", "settings").Object["data"])
}

func TestUpdateMakesAVanishedObjectAgain(t *testing.T) {
	e, api := start(t, nil)
	r := e.Create(urnConfigMap, configMap("settings", m{"a": "1"}))
	api.drop("v1/configmaps", "default", "settings")
	e.Update(r, configMap("settings", m{"a": "1"}))
	assert.NotNil(t, api.get("v1/configmaps", "default", "settings"))
}

func TestConflictNamesOwnerFieldAndRemedy(t *testing.T) {
	e, api := start(t, nil)
	r := e.Create(urnConfigMap, configMap("settings", m{"a": "1"}))
	api.mu.Lock()
	s := api.objects["v1/configmaps/default/settings"]
	s.owners["kubectl"] = map[string]any{"data\x00a": "theirs"}
	api.mu.Unlock()

	_, _, err := e.TryUpdate(r, configMap("settings", m{"a": "2"}), 0)
	require.Error(t, err)
	for _, part := range []string{"ConfigMap default/settings", `conflict with "kubectl"`, ".data.a", annotationPatchForce} {
		assert.Contains(t, err.Error(), part)
	}

	forced := of(m{"metadata": m{"name": "settings", "annotations": m{annotationPatchForce: "true"}}, "data": m{"a": "2"}})
	e.Update(r, forced)
	assert.Equal(t, m{"a": "2"}, api.get("v1/configmaps", "default", "settings").Object["data"])
}

func TestNameIsChosenOnceAndKept(t *testing.T) {
	e, _ := start(t, nil)
	unnamed := of(m{"data": m{"a": "1"}})
	r := e.Create(urnConfigMap, unnamed)
	name := field(t, r.Inputs, "metadata", "name").StringValue()
	assert.Regexp(t, `^settings-[0-9a-f]{8}$`, name)
	assert.Equal(t, "true", field(t, r.Inputs, "metadata", "annotations", annotationAutonamed).StringValue())

	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, unnamed).GetChanges(), "the same program must not change the name")

	diff := e.Diff(r, of(m{"data": m{"a": "2"}}))
	assert.NotEmpty(t, diff.GetReplaces())
	assert.False(t, diff.GetDeleteBeforeReplace(), "an object with a chosen name can be replaced before the old one goes")
}

func TestNamespaceIsFilledInForNamespacedKindsOnly(t *testing.T) {
	e, _ := start(t, props{"namespace": resource.NewProperty("team")})
	for token, want := range map[string]string{
		"kubernetes:core/v1:ConfigMap":                                            "team",
		"kubernetes:apps/v1:Deployment":                                           "team",
		"kubernetes:core/v1:Namespace":                                            "",
		"kubernetes:rbac.authorization.k8s.io/v1:ClusterRole":                     "",
		"kubernetes:apiregistration.k8s.io/v1:APIService":                         "",
		"kubernetes:networking.k8s.io/v1:Ingress":                                 "team",
		"kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration": "",
	} {
		inputs, failures := e.Check(servertest.URN(token, "x"), nil, of(m{"metadata": m{"name": "x"}}))
		require.Empty(t, failures, token)
		if want == "" {
			assert.NotContains(t, inputs["metadata"].ObjectValue(), resource.PropertyKey("namespace"), token)
		} else {
			assert.Equal(t, want, field(t, inputs, "metadata", "namespace").StringValue(), token)
		}
	}
}

func TestCheckKeepsUnknownsAndSecrets(t *testing.T) {
	e, _ := start(t, nil)
	unknown := resource.MakeComputed(resource.NewProperty(""))
	inputs, failures := e.Check(urnSecret, nil, props{
		"metadata":   resource.NewProperty(props{"name": resource.NewProperty("token"), "labels": unknown}),
		"stringData": resource.MakeSecret(resource.NewProperty(props{"t": resource.NewProperty("hunter2hunter2")})),
		"type":       unknown,
	})
	require.Empty(t, failures)
	assert.True(t, inputs["type"].IsComputed())
	assert.True(t, field(t, inputs, "metadata", "labels").IsComputed())
	assert.True(t, inputs["stringData"].IsSecret())

	unnamed := props{"metadata": resource.NewProperty(props{"annotations": resource.MakeSecret(resource.NewProperty(props{"a": resource.NewProperty("b")}))})}
	inputs, failures = e.Check(urnSecret, nil, unnamed)
	require.Empty(t, failures)
	assert.True(t, inputs["metadata"].ObjectValue()["annotations"].IsSecret(), "naming an object must not uncover its annotations")

	inputs, failures = e.Check(urnSecret, nil, props{"metadata": unknown})
	require.Empty(t, failures)
	assert.True(t, inputs["metadata"].IsComputed(), "unknown metadata must stay unknown")
}

func TestMalformedAnnotationsAreRefusedBeforeAnythingIsCreated(t *testing.T) {
	e, api := start(t, nil)
	for name, bad := range map[string]string{
		annotationWaitFor:           "Ready",
		annotationTimeoutSeconds:    "5m",
		annotationPropagationPolicy: "never",
	} {
		_, failures := e.Check(urnConfigMap, nil, of(m{"metadata": m{"name": "x", "annotations": m{name: bad}}}))
		require.Len(t, failures, 1, name)
		assert.Contains(t, failures[0].GetProperty(), name)
	}
	assert.Zero(t, api.asked("PATCH"))
}

func TestCustomResourcesAreManagedByTheirOwnAPIVersion(t *testing.T) {
	e, api := start(t, nil)
	api.serve("argoproj.io/v1alpha1/applications/Application/ns")
	urn := servertest.URN("kubernetes:argoproj.io/v1alpha1:Application", "app")
	r := e.Create(urn, of(m{"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": m{"name": "app"}, "spec": m{"project": "p"}}))
	assert.Equal(t, "default/app", r.ID)
	require.NoError(t, e.Delete(r, 0))
	assert.Nil(t, api.get("argoproj.io/v1alpha1/applications", "default", "app"))
}

func TestKindThatAppearsDuringTheRunIsFound(t *testing.T) {
	e, api := start(t, nil)
	urn := servertest.URN("kubernetes:example.com/v1:Widget", "w")
	appears := make(chan struct{})
	go func() {
		defer close(appears)
		api.until("/apis/example.com/v1", 2)
		api.serve("example.com/v1/widgets/Widget/ns")
	}()
	r := e.Create(urn, of(m{"metadata": m{"name": "w"}}))
	<-appears
	assert.Equal(t, "default/w", r.ID, "the scope of a kind that was unknown at check must be found at create")
}

func TestNamespaceThatAppearsDuringTheRunIsWaitedFor(t *testing.T) {
	e, api := start(t, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		api.until("PATCH /api/v1/namespaces/late", 1)
		api.put("v1/namespaces", "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"late"},"status":{"phase":"Active"}}`)
	}()
	e.Create(urnConfigMap, of(m{"metadata": m{"name": "settings", "namespace": "late"}}))
	<-done
}

func TestNameChosenByTheServerIsKept(t *testing.T) {
	e, api := start(t, nil)
	inputs := of(m{"metadata": m{"generateName": "run-"}, "data": m{"a": "1"}})
	r := e.Create(urnConfigMap, inputs)
	assert.Regexp(t, `^default/run-\d+$`, r.ID)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, inputs).GetChanges())
	require.NoError(t, e.Delete(r, 0))
	_, name := splitID(r.ID)
	assert.Nil(t, api.get("v1/configmaps", "default", name))
}

func TestPatchChangesOnlyItsFieldsAndGivesThemBack(t *testing.T) {
	e, api := start(t, nil)
	urn := servertest.URN("kubernetes:core/v1:NamespacePatch", "labels")
	patch := of(m{"apiVersion": "v1", "kind": "Namespace", "metadata": m{"name": "default", "labels": m{"team": "a"}}})
	r := e.Create(urn, patch)
	assert.Equal(t, "a", api.get("v1/namespaces", "", "default").GetLabels()["team"])
	require.NoError(t, e.Delete(r, 0))
	require.NotNil(t, api.get("v1/namespaces", "", "default"), "a patch must never delete the object it patches")
	assert.Empty(t, api.get("v1/namespaces", "", "default").GetLabels()["team"])

	_, _, err := e.TryCreate(urn, of(m{"apiVersion": "v1", "kind": "Namespace", "metadata": m{"name": "nobody"}}), 0)
	require.ErrorContains(t, err, "Namespace nobody")
}

func TestPreviewAsksTheClusterWithoutChangingIt(t *testing.T) {
	e, api := start(t, nil)
	outputs, err := e.PreviewCreate(urnConfigMap, configMap("settings", m{"a": "1"}))
	require.NoError(t, err)
	assert.Equal(t, 1, api.asked("dryRun=All"))
	assert.Nil(t, api.get("v1/configmaps", "default", "settings"))
	assert.Equal(t, "1", field(t, outputs, "data", "a").StringValue())
	assert.True(t, outputs["status"].IsComputed())

	_, err = e.PreviewCreate(urnConfigMap, of(m{"metadata": m{"name": "x", "namespace": "not-there-yet"}}))
	require.NoError(t, err, "a namespace that the same program makes must not fail the preview")
}

func TestDeleteWaitsForFinalizers(t *testing.T) {
	e, api := start(t, nil)
	r := e.Create(urnConfigMap, of(m{"metadata": m{"name": "settings", "finalizers": []any{"example.com/hold"}}}))

	err := e.Delete(r, 1)
	require.ErrorContains(t, err, "ConfigMap default/settings was not deleted within 1s")
	require.ErrorContains(t, err, "example.com/hold", "the error must say what holds the object")

	done := make(chan error)
	go func() { done <- e.Delete(r, 30) }()
	select {
	case err := <-done:
		t.Fatalf("delete returned before the object was gone: %v", err)
	default:
	}
	api.drop("v1/configmaps", "default", "settings")
	require.NoError(t, <-done)
}

func TestDeletionReachesDependentsFirstWhereThereAreSome(t *testing.T) {
	e, api := start(t, nil)
	api.serve("example.com/v1/widgets/Widget/ns")
	for _, tt := range []struct {
		token, policy string
		want          metav1.DeletionPropagation
	}{
		{"apps/v1:Deployment", "", metav1.DeletePropagationForeground},
		{"batch/v1:Job", "", metav1.DeletePropagationForeground},
		{"example.com/v1:Widget", "", metav1.DeletePropagationForeground},
		{"core/v1:ConfigMap", "", metav1.DeletePropagationBackground},
		{"core/v1:ConfigMap", "foreground", metav1.DeletePropagationForeground},
		{"apps/v1:Deployment", "background", metav1.DeletePropagationBackground},
		{"apps/v1:Deployment", "orphan", metav1.DeletePropagationOrphan},
	} {
		annotations := m{annotationSkipAwait: "true"}
		if tt.policy != "" {
			annotations[annotationPropagationPolicy] = tt.policy
		}
		r := e.Create(servertest.URN("kubernetes:"+tt.token, "x"), of(m{"metadata": m{"name": "x", "annotations": annotations}}))
		require.NoError(t, e.Delete(r, 5))
		assert.Equal(t, tt.want, api.propagation, "%s %s", tt.token, tt.policy)
	}
}

func TestDeleteEndsWhenTheKindItselfGoes(t *testing.T) {
	e, api := start(t, nil)
	api.serve("example.com/v1/widgets/Widget/ns")
	r := e.Create(servertest.URN("kubernetes:example.com/v1:Widget", "w"), of(m{"metadata": m{"name": "w", "finalizers": []any{"example.com/hold"}}}))
	go func() {
		api.until("watch=true", 1)
		api.mu.Lock()
		delete(api.kinds, "example.com/v1/widgets")
		api.mu.Unlock()
		api.CloseClientConnections()
	}()
	require.NoError(t, e.Delete(r, 20))
}

func TestCreateWaitsForThePreviousDeletion(t *testing.T) {
	e, api := start(t, nil)
	api.put("v1/configmaps", "default", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["x"]}}`)
	done := make(chan struct{})
	go func() {
		defer close(done)
		api.until("watch=true", 1)
		api.drop("v1/configmaps", "default", "settings")
	}()
	r := e.Create(urnConfigMap, configMap("settings", m{"a": "1"}))
	<-done
	live := api.get("v1/configmaps", "default", "settings")
	require.NotNil(t, live)
	assert.Nil(t, live.GetDeletionTimestamp())
	assert.Equal(t, string(live.GetUID()), field(t, r.Outputs, "metadata", "uid").StringValue())
}

func TestCancelEndsAWait(t *testing.T) {
	e, api := start(t, nil)
	go func() {
		api.until("watch=true", 1)
		_, _ = e.Client.Cancel(t.Context(), nil)
	}()
	r, reasons, err := e.TryCreate(urnDeployment, deployment("web", 1), 0)
	require.Error(t, err)
	require.NotEmpty(t, reasons)
	assert.Contains(t, reasons[0], "cancelled")
	assert.Equal(t, "default/web", r.ID, "what was created before the cancellation must stay in the state")
}

func deployment(name string, replicas float64) props {
	labels := m{"app": name}
	return of(m{
		"metadata": m{"name": name},
		"spec": m{
			"replicas": replicas, "selector": m{"matchLabels": labels},
			"template": m{"metadata": m{"labels": labels}, "spec": m{"containers": []any{m{"name": "main", "image": "web:1"}}}},
		},
	})
}

// rolledOut is the status of a Deployment whose rollout has ended well.
func rolledOut(obj *unstructured.Unstructured, replicas int64) m {
	return m{
		"observedGeneration": obj.GetGeneration() + 1, "replicas": replicas, "updatedReplicas": replicas,
		"availableReplicas": replicas, "readyReplicas": replicas,
	}
}
