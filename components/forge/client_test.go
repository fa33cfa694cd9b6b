package forge

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

// oauthApplication has its fields in Gitea's order.
type oauthApplication struct {
	ID           int      `json:"id"`
	Name         string   `json:"name"`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	Confidential bool     `json:"confidential_client"`
	SkipConsent  bool     `json:"skip_secondary_authorization"`
	RedirectURIs []string `json:"redirect_uris"`
}

// clients are Gitea's applications and the one Secret of a cluster.
type clients struct {
	applications []oauthApplication
	secrets      int // made up so far
	data         map[string][]byte
	writes       int
}

func (c *clients) gitea(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != Admin || password != "admin-password" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet {
		shown := []oauthApplication{}
		for _, a := range c.applications {
			a.ClientSecret = "" // it tells it once
			shown = append(shown, a)
		}
		_ = json.NewEncoder(w).Encode(shown)
		return
	}
	c.secrets++
	a := oauthApplication{ID: 7 + len(c.applications), ClientID: fmt.Sprintf("id-%d", len(c.applications))}
	status, at := http.StatusCreated, -1
	if r.Method == http.MethodPatch {
		_, _ = fmt.Sscanf(r.URL.Path, "/api/v1/user/applications/oauth2/%d", &at)
		at -= 7
		a, status = c.applications[at], http.StatusOK
	}
	a.RedirectURIs = nil
	_ = json.NewDecoder(r.Body).Decode(&a)
	a.ClientSecret = fmt.Sprintf("gto_secret-%d", c.secrets)
	if at < 0 {
		c.applications = append(c.applications, a)
	} else {
		c.applications[at] = a
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a)
}

func (c *clients) kubernetes(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/v1/namespaces/portal/secrets/forge-client" || r.Header.Get("Authorization") != "Bearer sa-token" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPatch {
		var patch struct{ Data map[string][]byte }
		text, _ := io.ReadAll(r.Body)
		if json.Unmarshal(text, &patch) != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		c.data = patch.Data
		c.writes++
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Secret", "data": c.data})
}

// run runs client.sh against c and returns what it printed.
func (c *clients) run(t *testing.T, redirectURIs string) string {
	t.Helper()
	return c.runAs(t, redirectURIs, "true")
}

func (c *clients) runAs(t *testing.T, redirectURIs, confidential string) string {
	t.Helper()
	gitea := httptest.NewServer(http.HandlerFunc(c.gitea))
	defer gitea.Close()
	cluster := httptest.NewTLSServer(http.HandlerFunc(c.kubernetes))
	defer cluster.Close()
	dir := t.TempDir()
	host, port, _ := strings.Cut(strings.TrimPrefix(cluster.URL, "https://"), ":")
	for name, text := range map[string]string{
		"accounts/ops": "admin-password", "account/token": "sa-token",
		"account/ca.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw})),
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	cmd := exec.Command("bash", "client.sh")
	cmd.Env = append(os.Environ(), "WORK="+dir, "ADMIN="+Admin, "ACCOUNTS="+dir+"/accounts", "ACCOUNT="+dir+"/account",
		"KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port, "FORGE_URL="+gitea.URL,
		"NAME=NeuroScale portal", "REDIRECT_URIS="+redirectURIs, "CONFIDENTIAL="+confidential, "NAMESPACE=portal", "SECRET=forge-client")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.NoDirExists(t, filepath.Join(dir, "client"), "secrets are left behind")
	assert.NotContains(t, string(out), "gto_")
	return string(out)
}

func TestAClientsSecretIsWhatTheForgeKnowsAndOneThatIsKeptStays(t *testing.T) {
	c := &clients{applications: []oauthApplication{{ID: 7, Name: "another", ClientID: "id-another"}}}
	assert.Contains(t, c.run(t, "http://a/cb"), "is known to the forge")
	assert.Equal(t, map[string][]byte{"id": []byte("id-1"), "secret": []byte("gto_secret-1"), "redirectUris": []byte("http://a/cb")}, c.data)
	made := c.applications[1]
	assert.True(t, made.Confidential)
	assert.True(t, made.SkipConsent)
	assert.Equal(t, []string{"http://a/cb"}, made.RedirectURIs)

	assert.Contains(t, c.run(t, "http://a/cb"), "is as described")
	assert.Equal(t, 1, c.writes, "everybody would have to sign in again")

	c.run(t, "http://a/cb http://b/cb")
	assert.Equal(t, []string{"http://a/cb", "http://b/cb"}, c.applications[1].RedirectURIs)
	assert.Equal(t, "gto_secret-2", string(c.data["secret"]), "the forge has made up another one")
	assert.Len(t, c.applications, 2)

	// The cluster is new, the forge was restored.
	c.data = nil
	c.run(t, "http://a/cb http://b/cb")
	assert.Equal(t, "gto_secret-3", string(c.data["secret"]))
	assert.Len(t, c.applications, 2)

	// The forge is new.
	c.applications = nil
	c.run(t, "http://a/cb http://b/cb")
	assert.Equal(t, c.applications[0].ClientID, string(c.data["id"]))
}

func TestAProgramOnSomebodysOwnMachineIsAskedForEachTime(t *testing.T) {
	c := &clients{}
	c.runAs(t, "http://localhost:1/cb", "false")
	assert.False(t, c.applications[0].Confidential, "its secret would be on every machine")
	assert.False(t, c.applications[0].SkipConsent, "any other program could say it is this one")
}

func TestAClientMayWriteItsOwnSecretOnly(t *testing.T) {
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		f, err := New(ctx, "forge", args(), on)
		if err != nil {
			return err
		}
		ns, err := manifest.New(ctx, "portal", manifest.Namespace("portal"), on)
		if err != nil {
			return err
		}
		_, err = NewClient(ctx, "portal", &ClientArgs{
			Forge: f, Title: "Portal", RedirectURIs: []string{"http://a/cb"}, Namespace: "portal", Secret: "forge-client", NamespaceObject: ns,
		}, on)
		return err
	})
	role := r.Get(t, "Role", "gitea-client-portal").Object()
	assert.Equal(t, []any{map[string]any{
		"apiGroups": []any{""}, "resources": []any{"secrets"}, "resourceNames": []any{"forge-client"}, "verbs": []any{"get", "patch"},
	}}, role["rules"])
	assert.Equal(t, "portal", recorder.At(role, "metadata.namespace"))
	secret := r.Get(t, "Secret", "forge-client")
	assert.Len(t, secret.Object()["data"], 1, "Pulumi would put back what the forge made up")
	job := r.Get(t, "Job", "gitea-client-portal-*")
	assert.Equal(t, "gitea-client-portal", recorder.At(job.Object(), "spec.template.spec.serviceAccountName"))
	assert.True(t, r.Waits(job, secret))
	assert.True(t, r.Waits(job, r.Get(t, "Job", "gitea-bootstrap-*")))
}

func TestAClientNeedsItsArgs(t *testing.T) {
	_, err := NewClient(nil, "portal", &ClientArgs{Title: `a"b`})
	require.ErrorContains(t, err, "Args.Forge is missing")
	require.ErrorContains(t, err, "Args.Secret is empty")
	require.ErrorContains(t, err, "Args.RedirectURIs is empty")
	require.ErrorContains(t, err, "cannot be written into JSON")
}
