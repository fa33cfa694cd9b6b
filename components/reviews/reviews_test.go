package reviews

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func source(t *testing.T) layer.Source {
	t.Helper()
	return layer.Source{Renderer: recorder.Renderer(t), Reserved: []string{"argocd"}, Schemas: func(context.Context) (map[string][]byte, error) {
		return map[string][]byte{"index.json": []byte("[]")}, nil
	}}
}

func rendered(t *testing.T, cfg *config.Config) map[string]map[string]any {
	t.Helper()
	tree, err := Layers(cfg)[0].Tree(t.Context(), source(t))
	require.NoError(t, err)
	objects := map[string]map[string]any{}
	for _, o := range tree.Objects() {
		objects[o["kind"].(string)] = o
	}
	return objects
}

func TestThePodGoesByTheRulesOfTheConfiguration(t *testing.T) {
	cfg := config.Default()
	cfg.Tenants[0].Members = []string{"anna"}
	objects := rendered(t, cfg)
	archive, err := base64.StdEncoding.DecodeString(recorder.At(objects["ConfigMap"], "binaryData").(map[string]any)["rules.zip"].(string))
	require.NoError(t, err)
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	require.NoError(t, err)
	f, err := z.Open("rules.json")
	require.NoError(t, err)
	var rules guard.Rules
	require.NoError(t, json.NewDecoder(f).Decode(&rules))
	assert.Equal(t, cfg.Tenants[0].Quota, rules.Tenants[0].Quota)
	assert.Empty(t, rules.Tenants[0].Members, "a new member has everything checked again")
	assert.Contains(t, rules.Kinds, "serving.kserve.io/InferenceService")
	assert.Contains(t, rules.Excluded["endpoints"], "argocd")
	assert.Equal(t, []any{"serve", "-forge=" + forge.InternalURL(false), "-organization=neuroscale"},
		recorder.At(objects["Deployment"], "spec.template.spec.containers.0.args"))

	annotation := func(objects map[string]map[string]any) any {
		return recorder.At(objects["Deployment"], "spec.template.metadata.annotations").(map[string]any)["neuroscale.dev/rules"]
	}
	other := config.Default()
	other.Tenants[0].Quota.Pods++
	assert.NotEqual(t, annotation(objects), annotation(rendered(t, other)), "the pod goes on by the rules before")
	assert.Equal(t, annotation(objects), annotation(rendered(t, config.Default())))
}

func TestThePodHasItsSecretsBeforeItStarts(t *testing.T) {
	secret := func(text string) pulumi.StringOutput { return pulumi.String(text).ToStringOutput() }
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		delivery, err := layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: forge.Repository{URL: "http://forge/platform.git", Writer: forge.Account{Username: "w", Password: secret("p")}, Authority: secret("ca")},
			GitImage:   "git:1", ProbeImage: "python:1", Project: "platform", ApplicationNamespace: "argocd", Source: source(t),
		}, on)
		if err != nil {
			return err
		}
		_, err = New(ctx, "reviews", &Args{
			Layers: Layers(config.Default()), Delivery: delivery, Account: forge.Account{Username: "guard", Password: secret("hunter2")}, Secret: secret("hook-secret"),
			Certificate: certificates.Certificate{Chain: secret("chain"), Key: secret("tls-key")}, Authority: pulumi.String("ca").ToStringOutput(),
		}, on)
		return err
	})
	held := r.Get(t, "Secret", secretName)
	held.AssertSecret(t, "data")
	assert.Equal(t, map[string]any{"password": "aHVudGVyMg==", "hook": "aG9vay1zZWNyZXQ="}, recorder.At(held.Object(), "data"))
	app := r.Get(t, "Application", Layer)
	assert.True(t, r.Waits(app, held))
	assert.True(t, r.Waits(app, r.Get(t, "Secret", certificateName)))
	assert.True(t, r.Waits(app, r.Get(t, "ConfigMap", authorityName)))
	r.AssertNoSecretOutside(t, "hunter2", "hook-secret", "tls-key")
}

func TestBadArgs(t *testing.T) {
	assert.Equal(t, "reviews: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "reviews", nil)
		return err
	}))
	said := recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "reviews", &Args{})
		return err
	})
	for _, field := range []string{"Layers is empty", "Delivery is missing", "Account is missing", "Secret is missing", "Certificate or Args.Authority is missing"} {
		assert.Contains(t, said, "reviews: Args."+field)
	}
}
