package kubernetes

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server/servertest"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// realCluster connects a provider to the cluster of NEUROSCALE_TEST_KUBECONFIG and
// gives the test a namespace of its own there. Without the variable the test is
// skipped: no test touches a cluster that it was not pointed at.
func realCluster(t *testing.T, extra props) (*servertest.Engine, string) {
	t.Helper()
	path := os.Getenv("NEUROSCALE_TEST_KUBECONFIG")
	if path == "" {
		lack(t, "NEUROSCALE_TEST_KUBECONFIG names no cluster")
	}
	e := servertest.Start(t, build)
	cfg := props{"kubeconfig": resource.NewProperty(path)}
	for key, v := range extra {
		cfg[key] = v
	}
	e.Configure(cfg)
	suffix := make([]byte, 4)
	_, _ = rand.Read(suffix)
	name := "standin-" + hex.EncodeToString(suffix)
	namespace := e.Create(urnNamespace, of(m{"metadata": m{"name": name}}))
	t.Cleanup(func() { assert.NoError(t, e.Delete(namespace, 60)) })
	return e, name
}

// lack skips a test for want of something real, but fails it where everything
// real was promised: a suite that skips itself proves nothing.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("NEUROSCALE_E2E") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func TestRealClusterTakesEveryStepOfALife(t *testing.T) {
	e, ns := realCluster(t, props{"enableConfigMapMutable": resource.NewProperty(true)})
	at := func(data m) props { return of(m{"metadata": m{"name": "settings", "namespace": ns}, "data": data}) }

	_, err := e.PreviewCreate(urnConfigMap, at(m{"a": "1"}))
	require.NoError(t, err)
	r := e.Create(urnConfigMap, at(m{"a": "1", "b": "2"}))
	assert.Equal(t, ns+"/settings", r.ID)
	r = e.Update(r, at(m{"a": "3"}))
	assert.Equal(t, of(m{"a": "3"}), r.Outputs["data"].ObjectValue(), "fields taken out must go")
	found, ok, err := e.Read(r)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(found, at(m{"a": "3"})).GetChanges())
	imported, ok, err := e.Read(servertest.Resource{URN: urnConfigMap, ID: r.ID})
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(imported, at(m{"a": "3"})).GetChanges())
	require.NoError(t, e.Delete(r, 30))
	_, ok, err = e.Read(r)
	require.NoError(t, err)
	assert.False(t, ok)
}

func TestRealClusterRefusesWhatIsInvalidAtPreview(t *testing.T) {
	e, ns := realCluster(t, nil)
	bad := deployment("web", 1)
	bad["metadata"] = of(m{"x": m{"name": "web", "namespace": ns}})["x"]
	bad["spec"].ObjectValue()["selector"] = of(m{"x": m{"matchLabels": m{"app": "other"}}})["x"]
	_, err := e.PreviewCreate(urnDeployment, bad)
	require.ErrorContains(t, err, "Deployment "+ns+"/web would be refused")
}

func TestRealClusterServesACustomResourceRightAfterItsDefinition(t *testing.T) {
	e, ns := realCluster(t, nil)
	group := ns + ".example.com"
	definition := of(m{
		"metadata": m{"name": "widgets." + group},
		"spec": m{
			"group": group, "scope": "Namespaced",
			"names": m{"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
			"versions": []any{m{"name": "v1", "served": true, "storage": true, "subresources": m{"status": m{}}, "schema": m{
				"openAPIV3Schema": m{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
			}}},
		},
	})
	crd := e.Create(servertest.URN("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "widgets"), definition)
	urn := servertest.URN(fmt.Sprintf("kubernetes:%s/v1:Widget", group), "w")
	widget := of(m{"apiVersion": group + "/v1", "kind": "Widget", "metadata": m{
		// The garbage collector takes half a minute to learn of a new kind, and a
		// foreground deletion waits for it.
		"name": "w", "namespace": ns, "annotations": m{annotationPropagationPolicy: "background"},
	}, "spec": m{"n": 1}})
	r := e.Create(urn, widget)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, widget).GetChanges())

	waiting := of(m{"apiVersion": group + "/v1", "kind": "Widget", "metadata": m{
		"name": "late", "namespace": ns, "annotations": m{annotationWaitFor: "jsonpath={.status.phase}=Done"},
	}})
	_, reasons, err := e.TryCreate(servertest.URN(fmt.Sprintf("kubernetes:%s/v1:Widget", group), "late"), waiting, 1)
	require.Error(t, err)
	assert.Contains(t, reasons[0], "jsonpath={.status.phase}=Done (is absent)")

	require.NoError(t, e.Delete(r, 30))
	require.NoError(t, e.Delete(crd, 60))
	_, ok, err := e.Read(r)
	require.NoError(t, err)
	assert.False(t, ok, "with its definition a resource is gone")
}

func TestRealClusterReportsAConflict(t *testing.T) {
	e, ns := realCluster(t, nil)
	theirs := of(m{"metadata": m{"name": "settings", "namespace": ns, "annotations": m{annotationFieldManager: "somebody-else"}}, "data": m{"a": "1"}})
	e.Create(servertest.URN("kubernetes:core/v1:ConfigMap", "theirs"), theirs)
	_, _, err := e.TryCreate(urnConfigMap, of(m{"metadata": m{"name": "settings", "namespace": ns}, "data": m{"a": "2"}}), 0)
	require.ErrorContains(t, err, "somebody-else")
	require.ErrorContains(t, err, ".data.a")
	require.ErrorContains(t, err, annotationPatchForce)
}

func TestRealClusterKeepsRefreshedInputsEqual(t *testing.T) {
	e, ns := realCluster(t, nil)
	skip := m{annotationSkipAwait: "true"}
	objects := map[string]m{
		"apps/v1:Deployment": {"metadata": m{"name": "x", "namespace": ns, "annotations": skip}, "spec": m{
			"replicas": 0, "selector": m{"matchLabels": m{"app": "x"}},
			"template": m{"metadata": m{"labels": m{"app": "x"}}, "spec": m{
				"volumes": []any{m{"name": "tmp", "emptyDir": m{}}},
				"containers": []any{m{
					"name": "main", "image": "web:1", "args": []any{}, "env": []any{m{"name": "A", "value": ""}},
					"resources": m{"requests": m{"cpu": "0.5", "memory": "1024Mi"}}, "ports": []any{m{"containerPort": 80}},
				}},
			}},
		}},
		"core/v1:Service":                    {"metadata": m{"name": "x", "namespace": ns, "annotations": skip}, "spec": m{"selector": m{"app": "x"}, "ports": []any{m{"port": 80, "targetPort": "http"}}}},
		"core/v1:Secret":                     {"metadata": m{"name": "x", "namespace": ns}, "stringData": m{"a": "swordfish-123"}},
		"core/v1:ConfigMap":                  {"metadata": m{"name": "x", "namespace": ns}, "data": m{"a": ""}},
		"batch/v1:Job":                       {"metadata": m{"name": "x", "namespace": ns, "annotations": skip}, "spec": m{"suspend": true, "template": m{"spec": m{"restartPolicy": "Never", "containers": []any{m{"name": "c", "image": "x:1"}}}}}},
		"rbac.authorization.k8s.io/v1:Role":  {"metadata": m{"name": "x", "namespace": ns}, "rules": []any{m{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"get"}}}},
		"networking.k8s.io/v1:NetworkPolicy": {"metadata": m{"name": "x", "namespace": ns}, "spec": m{"podSelector": m{}, "policyTypes": []any{"Ingress"}}},
		"core/v1:PersistentVolumeClaim":      {"metadata": m{"name": "x", "namespace": ns, "annotations": skip}, "spec": m{"accessModes": []any{"ReadWriteOnce"}, "resources": m{"requests": m{"storage": "1024Mi"}}}},
	}
	for token, object := range objects {
		t.Run(token, func(t *testing.T) {
			r := e.Create(servertest.URN("kubernetes:"+token, "x"), of(object))
			found, ok, err := e.Read(r)
			require.NoError(t, err)
			require.True(t, ok)
			diff := e.Diff(found, of(object))
			assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, diff.GetChanges(), "%v", diff.GetDetailedDiff())
			assert.NoError(t, e.Delete(r, 30))
		})
	}
}
