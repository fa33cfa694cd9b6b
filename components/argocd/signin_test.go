package argocd

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

// oidc is what Argo CD is told of the forge.
func oidc(t *testing.T, r *recorder.Recording) map[string]any {
	t.Helper()
	data := r.Get(t, "ConfigMap", "argocd-cm").Object()["data"].(map[string]any)
	assert.Equal(t, "b", data["a"], "what the layer says is gone")
	assert.Equal(t, "https://10.0.0.7:30081", data["url"])
	var out map[string]any
	require.NoError(t, yaml.UnmarshalStrict([]byte(data["oidc.config"].(string)), &out))
	return out
}

func TestPeopleSignInWithTheirAccountInTheForge(t *testing.T) {
	r, _ := build(t, args(t))
	assert.Equal(t, map[string]any{
		"name": "the forge", "issuer": "https://10.0.0.7:30082", "rootCA": "the authority",
		"clientID": "$argocd-forge-client:id", "clientSecret": "$argocd-forge-client:secret", "cliClientID": "$argocd-forge-cli-client:id",
		"requestedScopes": []any{"openid", "profile", "email", "groups", "read:user"},
	}, oidc(t, r))
	for name, uri := range map[string]string{
		"argocd-forge-client": "https://10.0.0.7:30081/auth/callback", "argocd-forge-cli-client": "http://localhost:8085/auth/callback",
	} {
		secret := r.Get(t, "Secret", name)
		assert.Equal(t, "argocd", recorder.At(secret.Object(), "metadata.labels").(map[string]any)["app.kubernetes.io/part-of"],
			"Argo CD reads only Secrets that say they are its own")
		found := 0
		for _, job := range r.Kind("Job") {
			text, err := json.Marshal(job.Object())
			require.NoError(t, err)
			if r.Waits(job, secret) {
				assert.Contains(t, string(text), uri)
				found++
			}
		}
		assert.Equal(t, 1, found, name)
	}
}

// Browsers reach the forge at an address that is another machine for every pod.
func TestOnLoopbackPodsAskTheForgeByItsNameInTheCluster(t *testing.T) {
	for address, issuer := range map[string]string{
		"localhost": "https://gitea.forge.svc:3000", "127.0.0.1": "https://gitea.forge.svc:3000", "::1": "https://gitea.forge.svc:3000",
		"neuroscale.localhost": "https://gitea.forge.svc:3000",
		"10.0.0.9":             "https://10.0.0.9:30082", "forge.example.org": "https://forge.example.org:30082", "2001:db8::1": "https://[2001:db8::1]:30082",
	} {
		r, _ := buildAt(t, address, args(t))
		assert.Equal(t, issuer, oidc(t, r)["issuer"], address)
		settings := r.Get(t, "Secret", "gitea-settings")
		assert.Contains(t, decoded(t, settings, "app.ini"), "JWT_CLAIM_ISSUER = "+issuer+"\n", "its tokens would not be believed")
	}
}

func TestATeamSeesItsProjectAndWhoIsNobodysSeesNothing(t *testing.T) {
	a := args(t)
	a.Readers = map[string]string{"tenant-b": "acme:tenant-b", "tenant-a": "acme:tenant-a"}
	r, _ := build(t, a)
	assert.Equal(t, map[string]any{
		"policy.default": "", "scopes": "[groups]", "policy.csv": `g, acme:owners, role:admin
p, role:tenant-a, applications, get, tenant-a/*, allow
p, role:tenant-a, logs, get, tenant-a/*, allow
p, role:tenant-a, projects, get, tenant-a, allow
g, acme:tenant-a, role:tenant-a
p, role:tenant-b, applications, get, tenant-b/*, allow
p, role:tenant-b, logs, get, tenant-b/*, allow
p, role:tenant-b, projects, get, tenant-b, allow
g, acme:tenant-b, role:tenant-b
`,
	}, r.Get(t, "ConfigMap", "argocd-rbac-cm").Object()["data"])
}

func TestWhatCannotBeSetIsAnError(t *testing.T) {
	in := &installation{name: "argocd", settings: map[string]map[string]any{"argocd-cm": {"url": "u"}}}
	require.EqualError(t, in.apply(nil), "no ConfigMap argocd-cm was rendered")
}
