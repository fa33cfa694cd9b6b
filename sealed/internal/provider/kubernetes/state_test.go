package kubernetes

import (
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server/servertest"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	waitLimit = 10 * time.Second
	waitTick  = 5 * time.Millisecond
)

func secretInputs(password string) props {
	return props{
		"metadata":   resource.NewProperty(props{"name": resource.NewProperty("token")}),
		"stringData": resource.NewProperty(props{"password": resource.MakeSecret(resource.NewProperty(password))}),
	}
}

func TestSecretsStaySecretFromInputsToOutputsAndBack(t *testing.T) {
	e, api := start(t, nil)
	r := e.Create(urnSecret, secretInputs("swordfish-123"))
	assert.True(t, r.Inputs.ContainsSecrets())
	assert.True(t, r.Outputs["data"].IsSecret(), "the content of a Secret must be secret even where the server adds it")
	want := base64.StdEncoding.EncodeToString([]byte("swordfish-123"))
	assert.Equal(t, want, api.get("v1/secrets", "default", "token").Object["data"].(m)["password"])

	found, ok, err := e.Read(r)
	require.NoError(t, err)
	require.True(t, ok)
	assert.True(t, found.Outputs["data"].IsSecret())
	assert.True(t, field(t, found.Inputs, "stringData", "password").IsSecret(), "refreshed inputs must stay secret")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(found, secretInputs("swordfish-123")).GetChanges(), "a refresh must not make a difference")

	hidden := configMap("settings", m{"a": "1", "b": "2"})
	hidden["data"].ObjectValue()["b"] = resource.MakeSecret(resource.NewProperty("2"))
	c := e.Create(urnConfigMap, hidden)
	assert.True(t, c.Outputs["data"].ObjectValue()["b"].IsSecret(), "a secret input must be a secret output in any kind")
	assert.False(t, c.Outputs["data"].ObjectValue()["a"].IsSecret())

	imported, ok, err := e.Read(servertest.Resource{URN: urnSecret, ID: "default/token"})
	require.NoError(t, err)
	require.True(t, ok)
	assert.True(t, imported.Inputs["data"].IsSecret())
	assert.True(t, imported.Outputs["data"].IsSecret())
}

func TestValueTakenOutOfASecretLeavesTheCluster(t *testing.T) {
	e, api := start(t, props{"enableSecretMutable": resource.NewProperty(true)})
	two := secretInputs("swordfish-123")
	two["stringData"].ObjectValue()["extra"] = resource.NewProperty("x")
	r := e.Create(urnSecret, two)
	e.Update(r, secretInputs("swordfish-123"))
	assert.NotContains(t, api.get("v1/secrets", "default", "token").Object["data"], "extra")
}

func TestNoSecretInAnError(t *testing.T) {
	e, api := start(t, nil)
	api.mu.Lock()
	api.refuse = func(r *http.Request) *metav1.Status {
		if r.Method != http.MethodPatch {
			return nil
		}
		return &metav1.Status{Status: "Failure", Code: 422, Reason: metav1.StatusReasonInvalid,
			Message: `data.password: Invalid value: "` + base64.StdEncoding.EncodeToString([]byte("swordfish-123")) + `": swordfish-123 and kubeconfig-token`}
	}
	api.mu.Unlock()
	_, _, err := e.TryCreate(urnSecret, secretInputs("swordfish-123"), 0)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "Secret default/token")
	assert.Contains(t, err.Error(), "[secret]")
	for _, form := range []string{"swordfish-123", base64.StdEncoding.EncodeToString([]byte("swordfish-123"))} {
		assert.NotContains(t, err.Error(), form)
	}
	_, err = e.PreviewCreate(urnSecret, secretInputs("swordfish-123"))
	require.Error(t, err, "what the cluster calls invalid must fail the preview")
	assert.NotContains(t, err.Error(), "swordfish-123")
}

func TestRefreshShowsDriftAndOnlyDrift(t *testing.T) {
	e, api := start(t, nil)
	inputs := deployment("web", 1)
	container := inputs["spec"].ObjectValue()["template"].ObjectValue()["spec"].ObjectValue()["containers"].ArrayValue()[0].ObjectValue()
	container["resources"] = of(m{"x": m{"requests": m{"cpu": "0.5"}, "limits": m{"cpu": 1}}})["x"]
	container["args"] = of(m{"x": []any{}})["x"]
	inputs["metadata"].ObjectValue()["annotations"] = of(m{"x": m{annotationSkipAwait: "true"}})["x"]
	r := e.Create(urnDeployment, inputs)

	api.change("apps/v1/deployments", "default", "web", func(o map[string]any) {
		spec := o["spec"].(m)
		spec["progressDeadlineSeconds"] = float64(600)
		pod := spec["template"].(m)["spec"].(m)
		main := pod["containers"].([]any)[0].(m)
		main["imagePullPolicy"] = "IfNotPresent"
		main["resources"] = m{"requests": m{"cpu": "500m"}, "limits": m{"cpu": "1"}}
		delete(main, "args")
		pod["containers"] = []any{m{"name": "sidecar", "image": "proxy:1"}, main}
	})
	found, ok, err := e.Read(r)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(found, inputs).GetChanges(),
		"defaults, other units and what others own is no drift: %v", e.Diff(found, inputs).GetDetailedDiff())

	api.change("apps/v1/deployments", "default", "web", func(o map[string]any) { o["spec"].(m)["replicas"] = float64(5) })
	found, _, err = e.Read(r)
	require.NoError(t, err)
	assert.Contains(t, e.Diff(found, inputs).GetDetailedDiff(), "spec.replicas", "a change by hand must show")

	api.drop("apps/v1/deployments", "default", "web")
	_, ok, err = e.Read(r)
	require.NoError(t, err)
	assert.False(t, ok, "a resource that is gone must leave the state")
}

func TestStatusInAManifestIsNoDrift(t *testing.T) {
	e, api := start(t, nil)
	program := configMap("settings", m{"a": "1"})
	program["status"] = of(m{"s": m{"conditions": []any{}, "storedVersions": []any{}}})["s"]
	r := e.Create(urnConfigMap, program)
	api.change("v1/configmaps", "default", "settings", func(o map[string]any) { o["status"] = m{"conditions": []any{"x"}, "storedVersions": []any{"v1"}} })
	found, _, err := e.Read(r)
	require.NoError(t, err)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(found, program).GetChanges())
}

func TestImportFindsAnObjectByNamespaceAndName(t *testing.T) {
	e, api := start(t, nil)
	api.put("v1/configmaps", "default", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","labels":{"a":"b"},"creationTimestamp":"2026-01-01T00:00:00Z"},"data":{"a":"1"}}`)
	found, ok, err := e.Read(servertest.Resource{URN: urnConfigMap, ID: "default/settings"})
	require.NoError(t, err)
	require.True(t, ok)
	program := of(m{"metadata": m{"name": "settings", "namespace": "default", "labels": m{"a": "b"}}, "data": m{"a": "1"}})
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(found, program).GetChanges(), "the imported inputs must be those of a program")

	found, ok, err = e.Read(servertest.Resource{URN: servertest.URN("kubernetes:core/v1:Namespace", "n"), ID: "default"})
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, "default", found.ID)

	_, ok, err = e.Read(servertest.Resource{URN: urnConfigMap, ID: "default/nobody"})
	require.NoError(t, err)
	assert.False(t, ok)
}

func TestResourceWhoseKindIsGoneIsGone(t *testing.T) {
	e, _ := start(t, nil)
	r := servertest.Resource{URN: servertest.URN("kubernetes:gone.io/v1:Widget", "w"), ID: "default/w", Inputs: of(m{"apiVersion": "gone.io/v1", "kind": "Widget"})}
	_, ok, err := e.Read(r)
	require.NoError(t, err)
	assert.False(t, ok)
	require.NoError(t, e.Delete(r, 0))
}

// nobody is an address where no API answers.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

func TestPreviewWorksWithoutACluster(t *testing.T) {
	unknown := props{"kubeconfig": resource.MakeComputed(resource.NewProperty(""))}
	for name, cfg := range map[string]func(t *testing.T) props{
		"unreachable":        func(t *testing.T) props { return kubeconfigFor(nobody(t)) },
		"unknown kubeconfig": func(*testing.T) props { return unknown },
		"broken kubeconfig": func(*testing.T) props {
			return props{"kubeconfig": resource.MakeSecret(resource.NewProperty("no-such-file-hush"))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := servertest.Start(t, build)
			resp, err := e.Client.CheckConfig(t.Context(), &pulumirpc.CheckRequest{News: servertest.Marshal(t, cfg(t))})
			require.NoError(t, err)
			assert.Empty(t, resp.GetFailures())
			e.Configure(cfg(t))
			for _, urn := range []resource.URN{urnConfigMap, urnSecret, servertest.URN("kubernetes:argoproj.io/v1alpha1:Application", "app")} {
				outputs, err := e.PreviewCreate(urn, of(m{"metadata": m{"name": "x"}}))
				require.NoError(t, err)
				assert.Equal(t, "x", field(t, outputs, "metadata", "name").StringValue())
			}
			warnings := e.Messages(pulumirpc.LogSeverity_WARNING)
			require.Len(t, warnings, 1, "one warning for the whole preview")
			assert.Contains(t, warnings[0], "without the cluster")
			assert.NotContains(t, warnings[0], "hush", "a kubeconfig is secret")
		})
	}
}

func TestPreviewWithoutAClusterKeepsTheScopeOfKnownResources(t *testing.T) {
	e := servertest.Start(t, build)
	e.Configure(kubeconfigFor(nobody(t)))
	urn := servertest.URN("kubernetes:argoproj.io/v1alpha1:Application", "app")
	program := of(m{"metadata": m{"name": "app"}})
	old := servertest.Resource{URN: urn, ID: "default/app", Inputs: of(m{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": m{"name": "app", "namespace": "default"},
	})}
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(old, program).GetChanges())
}

func TestUnreachableClusterIsOneSentence(t *testing.T) {
	address := nobody(t)
	e := servertest.Start(t, build)
	e.Configure(kubeconfigFor(address))
	r := servertest.Resource{URN: urnConfigMap, ID: "default/settings", Inputs: configMap("settings", nil)}

	_, _, err := e.TryCreate(urnConfigMap, configMap("settings", nil), 0)
	require.ErrorContains(t, err, "creating ConfigMap default/settings: the cluster at "+address+" cannot be reached")
	assert.NotContains(t, err.Error(), "\n")
	_, _, err = e.TryUpdate(r, configMap("settings", nil), 0)
	require.ErrorContains(t, err, "updating ConfigMap default/settings")
	for _, err := range []error{e.Delete(r, 0), func() error { _, _, err := e.Read(r); return err }()} {
		require.ErrorContains(t, err, "PULUMI_K8S_DELETE_UNREACHABLE")
		require.ErrorContains(t, err, "deleteUnreachable")
		assert.NotContains(t, strings.TrimSpace(err.Error()), "\n")
	}
}

func TestResourcesOfALostClusterCanBeDropped(t *testing.T) {
	for name, setup := range map[string]func(t *testing.T) props{
		"provider option": func(t *testing.T) props { return props{"deleteUnreachable": resource.NewProperty("true")} },
		"environment": func(t *testing.T) props {
			t.Setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
			return props{}
		},
		"environment over the state": func(t *testing.T) props {
			t.Setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
			return props{"deleteUnreachable": resource.NewProperty("false")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := servertest.Start(t, build)
			cfg := kubeconfigFor(nobody(t))
			for key, v := range setup(t) {
				cfg[key] = v
			}
			e.Configure(cfg)
			r := servertest.Resource{URN: urnConfigMap, ID: "default/settings", Inputs: configMap("settings", nil)}
			require.NoError(t, e.Delete(r, 0))
			_, ok, err := e.Read(r)
			require.NoError(t, err)
			assert.False(t, ok)
			assert.NotEmpty(t, e.Messages(pulumirpc.LogSeverity_WARNING), "dropping must be said")
		})
	}
}

func TestManyObjectsAreAppliedAtOnce(t *testing.T) {
	const objects = 150
	e, api := start(t, nil)
	started := time.Now()
	t.Run("parallel", func(t *testing.T) {
		for i := range objects {
			name := "settings-" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e.Create(servertest.URN("kubernetes:core/v1:ConfigMap", name), configMap(name, m{"a": "1"}))
			})
		}
	})
	assert.Equal(t, objects, api.asked("PATCH"))
	assert.Equal(t, 1, api.asked("GET /api/v1?"), "discovery must be asked once")
	t.Logf("%d objects in %s", objects, time.Since(started))
}
