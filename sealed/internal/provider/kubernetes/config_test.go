package kubernetes

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server/servertest"
)

const twoContexts = `
apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: one, cluster: {server: "https://one.test:6443"}}
- {name: two, cluster: {server: "https://two.test:6443"}}
contexts:
- {name: one, context: {cluster: one, user: u}}
- {name: two, context: {cluster: two, user: u, namespace: team}}
users:
- {name: u, user: {token: t}}
`

func TestClusterIsFoundInEveryFormOfKubeconfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(twoContexts), 0o600))
	t.Setenv("KUBECONFIG", path)
	for name, tt := range map[string]struct {
		inputs          m
		host, namespace string
	}{
		"contents":          {m{"kubeconfig": twoContexts}, "https://one.test:6443", "default"},
		"path":              {m{"kubeconfig": path}, "https://one.test:6443", "default"},
		"environment":       {m{}, "https://one.test:6443", "default"},
		"context":           {m{"kubeconfig": twoContexts, "context": "two"}, "https://two.test:6443", "team"},
		"context of a path": {m{"kubeconfig": path, "context": "two"}, "https://two.test:6443", "team"},
		"namespace":         {m{"kubeconfig": twoContexts, "context": "two", "namespace": "mine"}, "https://two.test:6443", "mine"},
		"cluster":           {m{"kubeconfig": twoContexts, "cluster": "two"}, "https://two.test:6443", "default"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := parseConfig(of(tt.inputs))
			require.NoError(t, err)
			rest, namespace, err := cfg.restConfig()
			require.NoError(t, err)
			assert.Equal(t, tt.host, rest.Host)
			assert.Equal(t, tt.namespace, namespace)
			assert.InDelta(t, defaultQPS, rest.QPS, 0)
		})
	}
	cfg, err := parseConfig(of(m{"kubeconfig": twoContexts, "kubeClientSettings": `{"qps": 5, "burst": 7}`}))
	require.NoError(t, err)
	rest, _, err := cfg.restConfig()
	require.NoError(t, err)
	assert.InDelta(t, 5, rest.QPS, 0)
	assert.Equal(t, 7, rest.Burst)
}

func TestMistakesInTheProvidersInputsAreNamed(t *testing.T) {
	e := servertest.Start(t, build)
	for key, bad := range map[string]any{
		"deleteUnreachable": "perhaps", "kubeconfig": 1, "renderYamlToDirectory": "out", "kubeClientSettings": "fast",
	} {
		resp, err := e.Client.CheckConfig(t.Context(), &pulumirpc.CheckRequest{News: servertest.Marshal(t, of(m{key: bad}))})
		require.NoError(t, err)
		require.Len(t, resp.GetFailures(), 1, key)
		assert.Contains(t, resp.GetFailures()[0].GetReason(), key)
	}
}

func TestWhatTheStandInCannotDoIsSaid(t *testing.T) {
	e, _ := start(t, nil)
	_, failures := e.Check(servertest.URN("kubernetes:helm.sh/v3:Release", "r"), nil, props{})
	require.Len(t, failures, 1)
	assert.Contains(t, failures[0].GetReason(), "Helm releases")
	_, err := e.Client.Construct(t.Context(), &pulumirpc.ConstructRequest{Type: "kubernetes:yaml/v2:ConfigGroup"})
	require.ErrorContains(t, err, "kubernetes:yaml/v2:ConfigGroup")
	_, err = e.Client.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "kubernetes:helm:template"})
	require.ErrorContains(t, err, "kubernetes:helm:template")
}

func TestYAMLIsDecodedObjectByObject(t *testing.T) {
	e, _ := start(t, nil)
	resp, err := e.Client.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "kubernetes:yaml:decode", Args: servertest.Marshal(t, of(m{
		"text":             "---\nkind: A\nmetadata: {name: a}\n---\n# nothing\n---\nkind: BList\nitems: [{kind: B, metadata: {namespace: own}}, {kind: C}]\n",
		"defaultNamespace": "team",
	}))})
	require.NoError(t, err)
	result := servertest.Unmarshal(t, resp.GetReturn())["result"].ArrayValue()
	require.Len(t, result, 3)
	assert.Equal(t, "team", field(t, result[0].ObjectValue(), "metadata", "namespace").StringValue())
	assert.Equal(t, "own", field(t, result[1].ObjectValue(), "metadata", "namespace").StringValue())
	assert.Equal(t, resource.NewProperty("C"), result[2].ObjectValue()["kind"])

	resp, err = e.Client.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "kubernetes:yaml:decode", Args: servertest.Marshal(t, of(m{"text": "a: b: c"}))})
	require.NoError(t, err)
	assert.Len(t, resp.GetFailures(), 1)
}
