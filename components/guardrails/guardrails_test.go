package guardrails

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
	"github.com/neuroscale-platform/neuroscale/internal/samples"
)

func policies(t *testing.T) []*policy.Policy {
	t.Helper()
	all, err := policy.Load(gitops.FS)
	require.NoError(t, err)
	return all
}

func layers(t *testing.T) layer.List {
	t.Helper()
	native, err := Layers(policies(t))
	require.NoError(t, err)
	kyvernos, err := KyvernoLayers(policies(t))
	require.NoError(t, err)
	return append(native, kyvernos...)
}

func build(t *testing.T) *recorder.Recording {
	t.Helper()
	return recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		d, err := layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: forge.Repository{
				URL:       "http://forge/platform.git",
				Authority: pulumi.String("the authority").ToStringOutput(),
				Writer:    forge.Account{Username: "writer", Password: pulumi.String("p").ToStringOutput()},
			},
			GitImage: "git:1", ProbeImage: "python:1", Project: "platform", ApplicationNamespace: "argocd",
			Source: layer.Source{Renderer: recorder.Renderer(t), Exempt: []string{"argocd", "kube-system"}},
		}, on)
		if err != nil {
			return err
		}
		// What defines the kinds that policies match.
		if _, err := layer.New(ctx, &layer.Args{Delivery: d, Definition: layer.Definition{
			Name: serving.RuntimesLayer, Namespaces: []string{"kserve"}, Tree: layer.Rendered(serving.RuntimesLayer),
		}}, on); err != nil {
			return err
		}
		native, err := New(ctx, "guardrails", &Args{Layers: layers(t)[:1], Delivery: d}, on)
		if err != nil {
			return err
		}
		_, err = New(ctx, "kyverno", &Args{Layers: layers(t)[1:], Delivery: d, ProbeNamespace: native.ProbeNamespace}, on)
		return err
	})
}

func TestTheAPIServersPoliciesWaitForNothingOfKyverno(t *testing.T) {
	r := build(t)
	r.AssertBelongs(t, "delivery", "guardrails", "kyverno", serving.RuntimesLayer)
	admission, kyverno, kinds := r.Get(t, "Application", "admission"), r.Get(t, "Application", "kyverno"), r.Get(t, "Application", serving.RuntimesLayer)
	assert.False(t, r.Waits(admission, kyverno))
	assert.False(t, r.Waits(r.Get(t, "Job", "probe-admission-*"), kyverno))
	assert.True(t, r.Waits(kyverno, kinds), "what the first prediction needs comes first")
}

func TestKyvernosPoliciesWaitForItAndForTheKindsTheyMatch(t *testing.T) {
	r := build(t)
	application := r.Get(t, "Application", "policies")
	assert.True(t, r.Waits(application, r.Get(t, "Application", "kyverno")))
	assert.True(t, r.Waits(application, r.Get(t, "Application", serving.RuntimesLayer)), "what is defined later is not reported on")
	assert.True(t, r.Waits(r.Get(t, "Job", "probe-policies-*"), application))
}

func TestThePoliciesAreDeliveredTwice(t *testing.T) {
	all := policies(t)
	native, kyvernos, err := trees(all)
	require.NoError(t, err)
	for _, p := range all {
		delivered := map[string]bool{}
		for _, o := range append(native.Objects(), kyvernos.Objects()...) {
			if recorder.At(o, "metadata.name") == p.Name {
				delivered[o["kind"].(string)] = true
			}
		}
		assert.Equal(t, map[string]bool{
			"ValidatingAdmissionPolicy": true, "ValidatingAdmissionPolicyBinding": true, "ValidatingPolicy": true,
		}, delivered, p.Name)
	}
	for _, o := range kyvernos.Objects() {
		assert.EqualValues(t, webhookSeconds, recorder.At(o, "spec.webhookConfiguration.timeoutSeconds"),
			"a Kyverno that hangs would hold everybody up by ten seconds")
	}
	for _, p := range all {
		assert.Nil(t, recorder.At(p.Kyverno, "spec.webhookConfiguration"), "%s itself was changed", p.Name)
	}
	assert.Len(t, native.Objects(), 2*len(all))
	assert.Len(t, kyvernos.Objects(), len(all)+1)
}

func TestTheProbeNamespaceIsATenants(t *testing.T) {
	r := build(t)
	namespace := r.Get(t, "Namespace", samples.Namespace)
	assert.Equal(t, map[string]any{
		policy.TenantLabel: samples.Namespace, "owner": "platform", "cost-center": "platform",
	}, recorder.At(namespace.Object(), "metadata.labels"))
	for _, probe := range []string{"probe-admission", "probe-policies"} {
		assert.True(t, r.Waits(r.Get(t, "Role", probe), namespace), "%s has no namespace to be in", probe)
	}
}

func TestEachPolicyIsAskedForOneRefusal(t *testing.T) {
	all := policies(t)
	probes, err := nativeProbes(all)
	require.NoError(t, err)
	asked := map[string]layer.Expect{}
	for _, p := range probes {
		if p.By != "" {
			asked[p.By] = p.Expect
			continue
		}
		assert.Equal(t, layer.Admit, p.Expect, "%v", p.Object["kind"])
	}
	want := map[string]layer.Expect{}
	for _, p := range all {
		want[p.Name] = layer.Deny
	}
	assert.Equal(t, want, asked)
	assert.Len(t, probes, len(all)+len(samples.Good()))
}

func TestGuardrailsThatRefuseNothingAreAnError(t *testing.T) {
	_, err := Layers(nil)
	assert.EqualError(t, err, "guardrails: no policy: nothing would be refused")
}

func TestAPolicyWithoutAProbeIsAnError(t *testing.T) {
	_, err := nativeProbes([]*policy.Policy{{Name: "no-such-policy"}})
	assert.EqualError(t, err, "guardrails: there is no probe for policy no-such-policy: add what it refuses to internal/samples")
}

// The API server's policies refuse before any webhook is asked: only what they
// admit can show that Kyverno answers.
func TestKyvernosProbeIsNoneOfTheAPIServers(t *testing.T) {
	engine, err := policy.NewEngine(policies(t))
	require.NoError(t, err)
	denied := 0
	for _, c := range kyvernoProbes() {
		verdicts, err := engine.Evaluate(t.Context(), policy.Request{
			Object: c.Object, Namespace: samples.Namespace,
			NamespaceLabels: map[string]string{policy.TenantLabel: samples.Namespace},
		})
		require.NoError(t, err)
		for _, v := range verdicts {
			assert.True(t, v.Allowed, "%s refuses it, too", v.Policy)
		}
		if c.Expect == layer.Deny {
			denied++
		}
	}
	assert.Equal(t, 1, denied)
}

func TestKyvernosWebhooksNeverSeeTheExemptNamespaces(t *testing.T) {
	tree, err := kyverno(t.Context(), layer.Source{Renderer: recorder.Renderer(t), Exempt: []string{"argocd", "kube-system"}})
	require.NoError(t, err)
	var data map[string]any
	for _, o := range tree.Objects() {
		if o["kind"] == "ConfigMap" && recorder.At(o, "metadata.name") == "kyverno" {
			data = o["data"].(map[string]any)
		}
	}
	require.NotNil(t, data)
	assert.JSONEq(t, `{"namespaceSelector":{"matchExpressions":[
		{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["argocd","kube-system"]}]}}`, data["webhooks"].(string))
	assert.Equal(t, "[*/*,argocd,*] [*/*,kube-system,*]", data["resourceFilters"],
		"a filter more is a kind less that is judged: upstream's leave out ReplicaSets")
}

func TestNoWebhookOfKyvernosOutlivesThePlatform(t *testing.T) {
	r := build(t)
	application := r.Get(t, "Application", "kyverno")
	registered := append(r.Kind("ValidatingWebhookConfiguration"), r.Kind("MutatingWebhookConfiguration")...)
	assert.Len(t, registered, 8)
	for _, webhook := range registered {
		assert.Nil(t, webhook.Object()["webhooks"], "they are Kyverno's to write")
		assert.Contains(t, webhook.IgnoreChanges, "webhooks")
		assert.True(t, r.Waits(application, webhook), "%s would be deleted while Kyverno can still write it", webhook.ObjectName())
	}
}

func TestBadArgs(t *testing.T) {
	good := func() *Args {
		return &Args{Layers: layers(t), Delivery: &layer.Delivery{}}
	}
	for want, change := range map[string]func(*Args){
		"guardrails: Args.Layers is empty":     func(a *Args) { a.Layers = nil },
		"guardrails: Args.Delivery is missing": func(a *Args) { a.Delivery = nil },
	} {
		a := good()
		change(a)
		assert.Equal(t, want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "guardrails", a)
			return err
		}))
	}
	assert.Equal(t, "guardrails: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "guardrails", nil)
		return err
	}))
}
