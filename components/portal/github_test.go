package portal

import (
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

var update = flag.Bool("update", false, "write golden files anew")

func onGitHub() *config.Config {
	c := config.Default()
	c.Forge.Provider, c.Forge.Organization, c.Forge.GitHub.ClientID = config.ForgeGitHub, "acme", "Ov23liABC"
	c.Tenants[0].Members = []string{"anna", "bob"}
	return c
}

func signInByGitHub(secret string) *GitHub {
	return &GitHub{
		ClientID: "Ov23liABC", ClientSecret: pulumi.ToSecret(pulumi.String(secret)).(pulumi.StringOutput),
		Reaches: []config.Egress{{CIDR: "140.82.112.0/20", Ports: []int{443}}},
	}
}

func TestOnGitHubTheFormAndTheSignInKnowNothingElse(t *testing.T) {
	got := files(t, onGitHub(), nothing)["app-config.yaml"]
	golden := filepath.Join("testdata", "github.app-config.yaml")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "run `go test ./components/portal -update`")
	assert.Nil(t, at(t, got, "auth.providers.gitea"))
	assert.Nil(t, at(t, got, "auth.providers.guest"), "nobody gets in without an account")
	assert.Nil(t, at(t, files(t, config.Default(), nothing)["app-config.yaml"], "auth.providers.github"))
}

func TestOnGitHubGuestsGetInOnlyIfTheyMay(t *testing.T) {
	c := onGitHub()
	c.Portal.Guests = true
	text := files(t, c, nothing)["app-config.yaml"]
	assert.Equal(t, "user:default/guest", at(t, text, "auth.providers.guest.userEntityRef"))
	assert.NotNil(t, at(t, text, "auth.providers.github.production"))
}

func TestOnGitHubTheForgesJobMakesNothingAndTheSecretIsInOnePlace(t *testing.T) {
	r, _ := buildWith(t, onGitHub(), signInByGitHub("the-apps-secret"))
	for _, job := range r.Kind("Job") {
		assert.NotContains(t, job.ObjectName(), "gitea-client")
	}
	client := r.Get(t, "Secret", ClientSecret)
	client.AssertSecret(t, "data")
	for key, want := range map[string]string{"id": "Ov23liABC", "secret": "the-apps-secret"} {
		assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(want)), recorder.At(client.Object(), "data."+key))
	}
	r.AssertNoSecretOutside(t, "the-apps-secret")
	application := r.Get(t, "Application", Layer)
	assert.True(t, r.Waits(application, client), "its pod could not start without the secret")
	for key, want := range map[string]string{"FORGE_URL": "https://github.com", "FORGE_INTERNAL_URL": "https://api.github.com"} {
		assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(want)), recorder.At(r.Get(t, "Secret", SiteSecret).Object(), "data."+key))
	}
	other, _ := buildWith(t, onGitHub(), signInByGitHub("another"))
	patch := func(r *recorder.Recording) any {
		return recorder.At(r.Get(t, "Application", Layer).Object(), "spec.source.kustomize.patches.0.patch")
	}
	assert.NotEqual(t, patch(r), patch(other), "it goes on with the old secret")
}

func TestOnGitHubThePortalConnectsToTheClusterAndToGitHubOnly(t *testing.T) {
	c := onGitHub()
	c.Portal.Database.Host, c.Portal.Database.PasswordSecret = "db.example.org", "databases/portal"
	r, _ := buildWith(t, c, signInByGitHub("s"))
	for _, name := range []string{"neuroscale-portal-reaches", "neuroscale-portal-reaches-github"} {
		policy := r.Get(t, "NetworkPolicy", name)
		assert.Equal(t, map[string]any{"app": "portal"}, recorder.At(policy.Object(), "spec.podSelector.matchLabels"))
		assert.Equal(t, []any{"Egress"}, recorder.At(policy.Object(), "spec.policyTypes"))
		assert.True(t, r.Waits(r.Get(t, "Application", Layer), policy), "it connects to anything for a moment")
	}
	assert.Equal(t, []any{map[string]any{
		"to":    []any{map[string]any{"ipBlock": map[string]any{"cidr": "140.82.112.0/20"}}},
		"ports": []any{map[string]any{"protocol": "TCP", "port": 443.0}},
	}}, recorder.At(r.Get(t, "NetworkPolicy", "neuroscale-portal-reaches-github").Object(), "spec.egress"))
	rules := recorder.At(r.Get(t, "NetworkPolicy", "neuroscale-portal-reaches").Object(), "spec.egress").([]any)
	require.Len(t, rules, 3)
	assert.Equal(t, map[string]any{"to": []any{map[string]any{"namespaceSelector": map[string]any{}}}}, rules[0])
	for _, each := range recorder.At(rules[1], "to").([]any) {
		assert.NotContains(t, []any{"0.0.0.0/0", "169.254.0.0/16"}, recorder.At(each, "ipBlock.cidr"))
	}
	assert.Equal(t, map[string]any{"ports": []any{map[string]any{"protocol": "TCP", "port": 5432.0}}}, rules[2])
	inGitea, _ := build(t, config.Default())
	for _, policy := range inGitea.Kind("NetworkPolicy") {
		assert.NotContains(t, policy.ObjectName(), "portal")
	}
}
