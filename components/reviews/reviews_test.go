package reviews

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/follower"
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
		objects[o["kind"].(string)+"/"+recorder.At(o, "metadata.name").(string)] = o
	}
	return objects
}

func TestThePodGoesByTheRulesOfTheConfiguration(t *testing.T) {
	cfg := config.Default()
	cfg.Tenants[0].Members = []string{"anna"}
	objects := rendered(t, cfg)
	archive, err := base64.StdEncoding.DecodeString(recorder.At(objects["ConfigMap/rules"], "binaryData").(map[string]any)["rules.tar.zst"].(string))
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, guard.Unpack(archive, folder))
	rules, err := guard.OpenRules(folder)
	require.NoError(t, err)
	assert.Less(t, len(archive), 64<<10, "the stack's state has it several times and is written hundreds of times")
	assert.Equal(t, cfg.Tenants[0].Quota, rules.Tenants[0].Quota)
	assert.Empty(t, rules.Tenants[0].Members, "a new member has everything checked again")
	assert.Contains(t, rules.Kinds, "serving.kserve.io/InferenceService")
	assert.Contains(t, rules.Excluded["endpoints"], "argocd")
	assert.Equal(t, []any{"serve", "-forge=" + forge.InternalURL(false), "-organization=neuroscale"},
		recorder.At(objects["Deployment/guard"], "spec.template.spec.containers.0.args"))

	annotation := func(objects map[string]map[string]any) any {
		return recorder.At(objects["Deployment/guard"], "spec.template.metadata.annotations").(map[string]any)["neuroscale.dev/rules"]
	}
	other := config.Default()
	other.Tenants[0].Quota.Pods++
	assert.NotEqual(t, annotation(objects), annotation(rendered(t, other)), "the pod goes on by the rules before")
	assert.Equal(t, annotation(objects), annotation(rendered(t, config.Default())))
}

func TestTheFollowerFollowsEveryRepository(t *testing.T) {
	cfg := config.Default()
	cfg.Tenants = append(cfg.Tenants, config.Tenant{Namespace: "team-b", Repositories: []string{"models-b"}})
	objects := rendered(t, cfg)
	var got follower.Settings
	require.NoError(t, json.Unmarshal([]byte(recorder.At(objects["ConfigMap/follower"], "data").(map[string]any)["settings.json"].(string)), &got))
	assert.Equal(t, follower.Settings{Namespace: "argocd", Folder: "apps", Keys: true, Sources: []follower.Source{
		{Repository: "endpoints", Tenant: "default", ApplicationSet: "neuroscale-model-endpoints"},
		{Repository: "models-b", Tenant: "team-b", ApplicationSet: "neuroscale-model-endpoints-team-b", Prefix: "team-b-"},
	}}, got)
	assert.Equal(t, []any{"follow", "-forge=" + forge.InternalURL(false), "-organization=neuroscale"},
		recorder.At(objects["Deployment/follower"], "spec.template.spec.containers.0.args"))
}

func TestOnGitHubBothAskThere(t *testing.T) {
	cfg := config.Default()
	cfg.Forge.Provider, cfg.Forge.Organization = config.ForgeGitHub, "acme"
	objects := rendered(t, cfg)
	for name, does := range map[string]string{"guard": "serve", "follower": "follow"} {
		assert.Equal(t, []any{does, "-provider=github", "-organization=acme"},
			recorder.At(objects["Deployment/"+name], "spec.template.spec.containers.0.args"), "%s asks Gitea, or says its token to whoever sees its arguments", name)
	}
}

// To change an ApplicationSet is to make anything.
func TestTheFollowerHasNoRightsBeforeTheyAreBounded(t *testing.T) {
	r := built(t)
	role := r.Get(t, "Role", accessName).Object()
	assert.Equal(t, "argocd", recorder.At(role, "metadata.namespace"))
	assert.Equal(t, []any{
		map[string]any{"apiGroups": []any{"argoproj.io"}, "resources": []any{"applications"}, "verbs": []any{"get"}},
		map[string]any{"apiGroups": []any{"argoproj.io"}, "resources": []any{"applicationsets"}, "resourceNames": []any{"a", "b"}, "verbs": []any{"get", "patch"}},
	}, role["rules"])
	for _, kind := range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
		assert.True(t, r.Waits(r.Get(t, "RoleBinding", accessName), r.Get(t, kind, boundName)), kind)
	}
	assert.Equal(t, map[string]any{"url": "https://gateway:30080"}, r.Get(t, "ConfigMap", gatewayName).Object()["data"])
	assert.NotContains(t, r.Get(t, "ConfigMap", gatewayName).Object(), "immutable", "another URL would not reach who tells it to people")
}

// refreshed is an ApplicationSet as the follower makes it.
func refreshed(change func(o map[string]any)) map[string]any {
	o := map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
		"metadata": map[string]any{"name": "a", "namespace": "argocd", "labels": map[string]any{"l": "1"}, "annotations": map[string]any{"of": "others"}},
		"spec":     map[string]any{"generators": []any{map[string]any{"git": map[string]any{"repoURL": "r"}}}, "template": map[string]any{"spec": map[string]any{"project": "p"}}},
	}
	change(o)
	return o
}

func TestTheFollowerOnlyHasApplicationSetsLookedAt(t *testing.T) {
	annotate := func(o map[string]any, key, value string) {
		recorder.At(o, "metadata.annotations").(map[string]any)[key] = value
	}
	bare := func(o map[string]any) { delete(o["metadata"].(map[string]any), "annotations") }
	for name, test := range map[string]struct {
		before, change func(o map[string]any)
		allowed        bool
	}{
		"has it looked at":       {nil, func(o map[string]any) { annotate(o, follower.Refresh, "now") }, true},
		"has it looked at again": {func(o map[string]any) { annotate(o, follower.Refresh, "before") }, func(o map[string]any) { annotate(o, follower.Refresh, "now") }, true},
		"the first annotation there is": {bare, func(o map[string]any) {
			o["metadata"].(map[string]any)["annotations"] = map[string]any{follower.Refresh: "now"}
		}, true},
		"changes what it makes": {nil, func(o map[string]any) {
			recorder.At(o, "spec.template.spec").(map[string]any)["project"] = "platform"
		}, false},
		"changes what it is made from": {nil, func(o map[string]any) {
			recorder.At(o, "spec.generators.0.git").(map[string]any)["repoURL"] = "evil"
		}, false},
		"changes another annotation": {nil, func(o map[string]any) { annotate(o, "of", "mine") }, false},
		"adds another annotation":    {nil, func(o map[string]any) { annotate(o, "more", "mine") }, false},
		"takes annotations away":     {nil, bare, false},
		"takes one annotation away": {nil, func(o map[string]any) {
			o["metadata"].(map[string]any)["annotations"] = map[string]any{follower.Refresh: "now"}
		}, false},
		"changes labels":   {nil, func(o map[string]any) { o["metadata"].(map[string]any)["labels"] = map[string]any{} }, false},
		"adds a finalizer": {nil, func(o map[string]any) { o["metadata"].(map[string]any)["finalizers"] = []any{"f"} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := test.before
			if before == nil {
				before = func(map[string]any) {}
			}
			old := refreshed(before)
			now := refreshed(func(o map[string]any) { before(o); test.change(o) })
			assert.Equal(t, test.allowed, admitted(t, old, now))
		})
	}
}

// admitted evaluates the policy's expressions as the API server does.
func admitted(t *testing.T, old, now map[string]any) bool {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType), cel.Variable("request", cel.DynType))
	require.NoError(t, err)
	for _, v := range recorder.At(bound()[0], "spec.validations").([]any) {
		ast, issues := env.Compile(v.(map[string]any)["expression"].(string))
		require.NoError(t, issues.Err())
		program, err := env.Program(ast)
		require.NoError(t, err)
		out, _, err := program.Eval(map[string]any{
			"object": now, "oldObject": old, "request": map[string]any{"operation": "UPDATE"},
		})
		require.NoError(t, err)
		if out.Value() != true {
			return false
		}
	}
	return true
}

func built(t *testing.T) *recorder.Recording {
	t.Helper()
	secret := func(text string) pulumi.StringOutput { return pulumi.String(text).ToStringOutput() }
	return recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		delivery, err := layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: forge.Repository{URL: "http://forge/platform.git", Writer: forge.Account{Username: "w", Password: secret("p")}, Authority: secret("ca")},
			GitImage:   "git:1", ProbeImage: "python:1", Project: "platform", ApplicationNamespace: "argocd", Source: source(t),
		}, on)
		if err != nil {
			return err
		}
		_, err = New(ctx, "reviews", &Args{
			Layers: Layers(config.Default()), Delivery: delivery, Account: forge.Account{Username: "guard", Password: secret("hunter2")}, Secret: secret("hook-secret"),
			Certificate:         certificates.Certificate{Chain: secret("chain"), Key: secret("tls-key")},
			FollowerCertificate: certificates.Certificate{Chain: secret("chain"), Key: secret("follower-key")},
			ApplicationSets:     []string{"a", "b"}, GatewayURL: "https://gateway:30080", Authority: pulumi.String("ca").ToStringOutput(),
		}, on)
		return err
	})
}

func TestThePodHasItsSecretsBeforeItStarts(t *testing.T) {
	r := built(t)
	held := r.Get(t, "Secret", SecretName)
	held.AssertSecret(t, "data")
	assert.Equal(t, map[string]any{"password": "aHVudGVyMg==", "hook": "aG9vay1zZWNyZXQ="}, recorder.At(held.Object(), "data"))
	app := r.Get(t, "Application", Layer)
	assert.True(t, r.Waits(app, held))
	assert.True(t, r.Waits(app, r.Get(t, "Secret", certificateName)))
	assert.True(t, r.Waits(app, r.Get(t, "ConfigMap", authorityName)))
	r.AssertNoSecretOutside(t, "hunter2", "hook-secret", "tls-key", "follower-key")
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
	for _, field := range []string{"Layers is empty", "Delivery is missing", "Account is missing", "Secret is missing", "Certificate or Args.Authority is missing", "ApplicationSets is empty", "GatewayURL is empty"} {
		assert.Contains(t, said, "reviews: Args."+field)
	}
}
