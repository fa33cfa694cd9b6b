package kubernetes

import (
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server/servertest"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// named is an object of a fixed name with some fields.
func named(fields m) m {
	object := m{"metadata": m{"name": "x", "namespace": "default"}}
	for key, v := range fields {
		object[key] = v
	}
	return object
}

func TestFieldsThatCannotChangeForceAReplacement(t *testing.T) {
	e, _ := start(t, nil)
	selector := func(app string) m { return m{"matchLabels": m{"app": app}} }
	tests := []struct {
		name, token string
		old, new    m
		replaces    []string
		changes     []string
	}{
		{"Deployment image", "apps/v1:Deployment", m{"spec": m{"selector": selector("a"), "replicas": 1}}, m{"spec": m{"selector": selector("a"), "replicas": 2}}, nil, []string{"spec.replicas"}},
		{"Deployment selector", "apps/v1:Deployment", m{"spec": m{"selector": selector("a")}}, m{"spec": m{"selector": selector("b")}}, []string{"spec.selector.matchLabels.app"}, nil},
		{"DaemonSet selector", "apps/v1:DaemonSet", m{"spec": m{"selector": selector("a")}}, m{"spec": m{"selector": selector("b")}}, []string{"spec.selector.matchLabels.app"}, nil},
		{"StatefulSet replicas", "apps/v1:StatefulSet", m{"spec": m{"replicas": 1}}, m{"spec": m{"replicas": 2}}, nil, []string{"spec.replicas"}},
		{"StatefulSet service", "apps/v1:StatefulSet", m{"spec": m{"serviceName": "a"}}, m{"spec": m{"serviceName": "b"}}, []string{"spec.serviceName"}, nil},
		{"StatefulSet claims", "apps/v1:StatefulSet", m{"spec": m{"volumeClaimTemplates": []any{m{"spec": m{"a": "b"}}}}}, m{"spec": m{"volumeClaimTemplates": []any{m{"spec": m{"a": "c"}}}}}, []string{"spec.volumeClaimTemplates[0].spec.a"}, nil},
		{"Job template", "batch/v1:Job", m{"spec": m{"template": m{"spec": m{"image": "1"}}}}, m{"spec": m{"template": m{"spec": m{"image": "2"}}}}, []string{"spec.template.spec.image"}, nil},
		{"Job completions", "batch/v1:Job", m{"spec": m{"completions": 1}}, m{"spec": m{"completions": 2}}, []string{"spec.completions"}, nil},
		{"Job deadline", "batch/v1:Job", m{"spec": m{"activeDeadlineSeconds": 1}}, m{"spec": m{"activeDeadlineSeconds": 2}}, nil, []string{"spec.activeDeadlineSeconds"}},
		{"PVC size", "core/v1:PersistentVolumeClaim", m{"spec": m{"resources": m{"requests": m{"storage": "1Gi"}}}}, m{"spec": m{"resources": m{"requests": m{"storage": "2Gi"}}}}, nil, []string{"spec.resources.requests.storage"}},
		{"PVC class", "core/v1:PersistentVolumeClaim", m{"spec": m{"storageClassName": "a"}}, m{"spec": m{"storageClassName": "b"}}, []string{"spec.storageClassName"}, nil},
		{"PVC attributes class", "core/v1:PersistentVolumeClaim", m{"spec": m{"volumeAttributesClassName": "a"}}, m{"spec": m{"volumeAttributesClassName": "b"}}, nil, []string{"spec.volumeAttributesClassName"}},
		{"Secret type", "core/v1:Secret", m{"type": "Opaque"}, m{"type": "kubernetes.io/tls"}, []string{"type"}, nil},
		{"Secret data", "core/v1:Secret", m{"data": m{"a": "MQ=="}}, m{"data": m{"a": "Mg=="}}, []string{"data.a"}, nil},
		{"Secret labels", "core/v1:Secret", m{"data": m{"a": "MQ=="}}, m{"data": m{"a": "MQ=="}, "metadata": m{"name": "x", "namespace": "default", "labels": m{"l": "1"}}}, nil, []string{"metadata.labels"}},
		{"ConfigMap data", "core/v1:ConfigMap", m{"data": m{"a": "1"}}, m{"data": m{"a": "2"}}, []string{"data.a"}, nil},
		{"ConfigMap all data added", "core/v1:ConfigMap", m{}, m{"data": m{"a": "2"}}, []string{"data"}, nil},
		{"ConfigMap binary data", "core/v1:ConfigMap", m{"binaryData": m{"a": "MQ=="}}, m{"binaryData": m{"a": "Mg=="}}, []string{"binaryData.a"}, nil},
		{"Service address", "core/v1:Service", m{"spec": m{"clusterIP": "None"}}, m{"spec": m{}}, []string{"spec.clusterIP"}, nil},
		{"Service ports", "core/v1:Service", m{"spec": m{"ports": []any{m{"port": 80}}}}, m{"spec": m{"ports": []any{m{"port": 81}}}}, nil, []string{"spec.ports[0].port"}},
		{"StorageClass", "storage.k8s.io/v1:StorageClass", m{"provisioner": "a"}, m{"provisioner": "b"}, []string{"provisioner"}, nil},
		{"role reference", "rbac.authorization.k8s.io/v1:RoleBinding", m{"roleRef": m{"name": "a"}}, m{"roleRef": m{"name": "b"}}, []string{"roleRef.name"}, nil},
		{"role subjects", "rbac.authorization.k8s.io/v1:ClusterRoleBinding", m{"subjects": []any{m{"name": "a"}}}, m{"subjects": []any{m{"name": "b"}}}, nil, []string{"subjects[0].name"}},
		{"Pod image", "core/v1:Pod", m{"spec": m{"containers": []any{m{"image": "1"}}}}, m{"spec": m{"containers": []any{m{"image": "2"}}}}, nil, []string{"spec.containers[0].image"}},
		{"Pod command", "core/v1:Pod", m{"spec": m{"containers": []any{m{"command": []any{"1"}}}}}, m{"spec": m{"containers": []any{m{"command": []any{"2"}}}}}, []string{"spec.containers[0].command[0]"}, nil},
		{"namespace", "core/v1:ConfigMap", m{}, m{"metadata": m{"name": "x", "namespace": "other"}}, []string{"metadata.namespace"}, nil},
		{"name", "core/v1:ConfigMap", m{}, m{"metadata": m{"name": "y", "namespace": "default"}}, []string{"metadata.name"}, nil},
		{"API group", "core/v1:ConfigMap", m{"apiVersion": "a.io/v1"}, m{"apiVersion": "b.io/v1"}, []string{"apiVersion"}, nil},
		{"API version", "core/v1:ConfigMap", m{"apiVersion": "a.io/v1"}, m{"apiVersion": "a.io/v2"}, nil, []string{"apiVersion"}},
		{"custom resource", "example.com/v1:Widget", m{"spec": m{"a": 1}}, m{"spec": m{"a": 2}}, nil, []string{"spec.a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			urn := servertest.URN("kubernetes:"+tt.token, "x")
			olds, failures := e.Check(urn, nil, of(named(tt.old)))
			require.Empty(t, failures)
			diff := e.Diff(servertest.Resource{URN: urn, ID: "default/x", Inputs: olds}, of(named(tt.new)))
			assert.Equal(t, tt.replaces, diff.GetReplaces())
			assert.True(t, diff.GetHasDetailedDiff())
			for _, path := range append(tt.changes, tt.replaces...) {
				assert.Contains(t, diff.GetDetailedDiff(), path)
			}
			assert.Len(t, diff.GetDetailedDiff(), len(tt.changes)+len(tt.replaces))
			sameIdentity := tt.name != "name" && tt.name != "namespace" && tt.name != "API group"
			assert.Equal(t, len(tt.replaces) > 0 && sameIdentity, diff.GetDeleteBeforeReplace(),
				"two objects cannot have one name at a time")
		})
	}
}

func TestMutableConfigMapsAndSecretsAreUpdatedInPlace(t *testing.T) {
	e, _ := start(t, props{"enableConfigMapMutable": resource.NewProperty("true"), "enableSecretMutable": resource.NewProperty(true)})
	for _, kind := range []string{"ConfigMap", "Secret"} {
		urn := servertest.URN("kubernetes:core/v1:"+kind, "x")
		inputs, _ := e.Check(urn, nil, of(named(m{"data": m{"a": "MQ=="}})))
		r := servertest.Resource{URN: urn, ID: "default/x", Inputs: inputs}
		diff := e.Diff(r, of(named(m{"data": m{"a": "Mg=="}})))
		assert.Equal(t, pulumirpc.DiffResponse_DIFF_SOME, diff.GetChanges(), kind)
		assert.Empty(t, diff.GetReplaces(), kind)

		r.Inputs["immutable"] = resource.NewProperty(true)
		assert.Contains(t, e.Diff(r, of(named(m{"data": m{"a": "Mg=="}, "immutable": true}))).GetReplaces(), "data.a", kind+" marked immutable")
	}
}

func TestEqualInputsAreNoChange(t *testing.T) {
	e, _ := start(t, nil)
	r := e.Create(urnConfigMap, configMap("settings", m{"a": "1"}))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, configMap("settings", m{"a": "1"})).GetChanges())

	marked := configMap("settings", m{"a": "1"})
	marked["data"] = resource.MakeSecret(marked["data"])
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, marked).GetChanges(), "marking a value secret does not change the object")

	withNull := configMap("settings", m{"a": "1"})
	withNull["binaryData"] = resource.NewNullProperty()
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, withNull).GetChanges())
}

func TestUnknownValueIsAChange(t *testing.T) {
	e, _ := start(t, nil)
	r := e.Create(urnJob, of(m{"metadata": m{"name": "load", "annotations": m{annotationSkipAwait: "true"}}, "spec": m{"template": m{"image": "1"}}}))
	news := of(m{"metadata": m{"name": "load", "annotations": m{annotationSkipAwait: "true"}}, "spec": m{"template": m{}}})
	news["spec"].ObjectValue()["template"].ObjectValue()["image"] = resource.MakeComputed(resource.NewProperty(""))
	diff := e.Diff(r, news)
	assert.Equal(t, []string{"spec.template.image"}, diff.GetReplaces())
}

func TestJobThatAsksForItIsReplacedWhenItFailed(t *testing.T) {
	e, api := start(t, nil)
	inputs := of(m{"metadata": m{"name": "load", "annotations": m{annotationReplaceUnready: "true", annotationSkipAwait: "true"}}, "spec": m{}})
	r := e.Create(urnJob, inputs)
	setJob := func(kind string) {
		api.change("batch/v1/jobs", "default", "load", func(o map[string]any) {
			o["status"] = m{"conditions": []any{m{"type": kind, "status": "True"}}}
		})
	}
	setJob("Failed")
	diff := e.Diff(r, inputs)
	assert.NotEmpty(t, diff.GetReplaces())
	assert.True(t, diff.GetDeleteBeforeReplace())
	setJob("Complete")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, inputs).GetChanges())
}

func TestOnlyAnotherClusterReplacesEverything(t *testing.T) {
	e := servertest.Start(t, build)
	s := func(v string) value { return resource.NewProperty(v) }
	tests := []struct {
		name      string
		old, new  props
		replaces  []string
		unchanged bool
	}{
		{"renewed kubeconfig", props{"kubeconfig": s("a"), "clusterIdentifier": s("c")}, props{"kubeconfig": s("b"), "clusterIdentifier": s("c")}, nil, false},
		{"unknown kubeconfig", props{"kubeconfig": s("a"), "clusterIdentifier": s("c")}, props{"kubeconfig": resource.MakeComputed(s("")), "clusterIdentifier": s("c")}, nil, false},
		{"other cluster", props{"kubeconfig": s("a"), "clusterIdentifier": s("c")}, props{"kubeconfig": s("a"), "clusterIdentifier": s("d")}, []string{"clusterIdentifier"}, false},
		{"same", props{"kubeconfig": s("a")}, props{"kubeconfig": resource.MakeSecret(s("a"))}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			urn := string(servertest.URN("pulumi:providers:kubernetes", "p"))
			diff, err := e.Client.DiffConfig(t.Context(), &pulumirpc.DiffRequest{
				Urn: urn, OldInputs: servertest.Marshal(t, tt.old), News: servertest.Marshal(t, tt.new),
			})
			require.NoError(t, err)
			assert.Equal(t, tt.replaces, diff.GetReplaces())
			assert.Equal(t, tt.unchanged, diff.GetChanges() == pulumirpc.DiffResponse_DIFF_NONE)
		})
	}
}
