// Package guardrails enforces the policies of gitops/policies twice: as the API
// server's own, which hold whatever else is down, and as Kyverno's, which also
// report on what is there already.
package guardrails

import (
	"errors"
	"fmt"
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Token is the component's type.
const Token = "neuroscale:platform:Guardrails"

// The layers.
const (
	// AdmissionLayer are the API server's policies.
	AdmissionLayer = "admission"
	// KyvernoLayer is Kyverno without policies.
	KyvernoLayer = "kyverno"
	// PoliciesLayer are Kyverno's policies.
	PoliciesLayer = "policies"
)

const (
	kyvernoNamespace = "kyverno"
	// ProbeNamespace is a tenant's in which nothing ever runs: objects are only
	// offered to the API server there, to see whether it takes them.
	ProbeNamespace = "neuroscale-probe"
)

// Args of the guardrails.
type Args struct {
	// Policies to enforce.
	Policies []*policy.Policy
	// Renderer of Kyverno's layer, Delivery to Git.
	Renderer layer.Renderer
	Delivery *layer.Delivery
	// KindsReady is done when all kinds the policies match are defined: Kyverno
	// comes after them, and does not report on one that comes later.
	KindsReady []pulumi.Resource
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("guardrails: no Args")
	}
	var errs []error
	if len(a.Policies) == 0 {
		errs = append(errs, errors.New("guardrails: Args.Policies is empty: nothing would be refused"))
	}
	if a.Renderer == nil {
		errs = append(errs, errors.New("guardrails: Args.Renderer is missing"))
	}
	if a.Delivery == nil {
		errs = append(errs, errors.New("guardrails: Args.Delivery is missing"))
	}
	return errors.Join(errs...)
}

// Guardrails keep out of tenants' namespaces what the policies refuse.
type Guardrails struct {
	pulumi.ResourceState
	// Admission are the API server's policies. They need no Kyverno: what a tenant
	// runs has to wait for this layer only.
	Admission *layer.Layer
	// Layers in their order.
	Layers []*layer.Layer
	// Ready is done when the API server refuses what each policy forbids, and
	// Kyverno does.
	Ready []pulumi.Resource
}

// New delivers the three layers. The policies' objects are made here, not by
// Kyverno: those it generates leave a hole while they come into being.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Guardrails, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	probes, err := nativeProbes(args.Policies)
	if err != nil {
		return nil, err
	}
	native, kyvernos, err := trees(args.Policies)
	if err != nil {
		return nil, err
	}
	kyverno, err := args.Renderer.Layer(ctx.Context(), KyvernoLayer)
	if err != nil {
		return nil, fmt.Errorf("guardrails: render layer %s: %w", KyvernoLayer, err)
	}

	g := &Guardrails{}
	if err := ctx.RegisterComponentResource(Token, name, g, opts...); err != nil {
		return nil, err
	}
	parent := pulumi.Parent(g)
	set := manifest.NewSet(ctx, parent)
	namespace := set.Add(name+"-probe", probeNamespace())
	webhooks := addWebhooks(set, name)
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("guardrails: %w", err)
	}

	g.Admission, err = layer.New(ctx, &layer.Args{
		Name: AdmissionLayer, Tree: native, Delivery: args.Delivery, Namespace: ProbeNamespace,
		DependsOn: []pulumi.Resource{namespace}, Probe: probes,
	}, parent)
	if err != nil {
		return nil, err
	}
	// Nothing but reports waits for Kyverno, so it does not compete with what does.
	controllers, err := layer.New(ctx, &layer.Args{
		Name: KyvernoLayer, Tree: kyverno, Delivery: args.Delivery, Namespace: kyvernoNamespace,
		DependsOn: append(webhooks, args.KindsReady...),
	}, parent)
	if err != nil {
		return nil, err
	}
	policies, err := layer.New(ctx, &layer.Args{
		Name: PoliciesLayer, Tree: kyvernos, Delivery: args.Delivery, Namespace: kyvernoNamespace,
		After:     []*layer.Layer{controllers},
		DependsOn: append([]pulumi.Resource{namespace}, args.KindsReady...), Probe: kyvernoProbes(),
	}, parent)
	if err != nil {
		return nil, err
	}
	g.Layers = []*layer.Layer{g.Admission, controllers, policies}
	g.Ready = append(append(g.Ready, g.Admission.Ready...), policies.Ready...)
	return g, ctx.RegisterResourceOutputs(g, pulumi.Map{"policies": pulumi.Int(len(args.Policies))})
}

// trees are the policies as the API server and as Kyverno enforce them.
func trees(policies []*policy.Policy) (native, kyvernos *render.Tree, err error) {
	version := fmt.Sprintf("%d policies", len(policies))
	natives, theirs := []map[string]any{}, []map[string]any{kyvernoAnswers()}
	for _, p := range policies {
		natives = append(natives, p.NativeObjects()...)
		theirs = append(theirs, impatient(p.Kyverno))
	}
	if native, err = render.FromObjects(AdmissionLayer, version, natives); err != nil {
		return nil, nil, fmt.Errorf("guardrails: %w", err)
	}
	if kyvernos, err = render.FromObjects(PoliciesLayer, version, theirs); err != nil {
		return nil, nil, fmt.Errorf("guardrails: %w", err)
	}
	return native, kyvernos, nil
}

// webhookSeconds is how long the API server waits for Kyverno. Ten, the default,
// are what everybody would wait for one that hangs.
const webhookSeconds = 2

// impatient is a Kyverno policy that is done without after webhookSeconds.
func impatient(p object) object {
	spec := maps.Clone(p["spec"].(object))
	spec["webhookConfiguration"] = object{"timeoutSeconds": webhookSeconds}
	p = maps.Clone(p)
	p["spec"] = spec
	return p
}

func probeNamespace() manifest.Object {
	o := manifest.Namespace(ProbeNamespace)
	o["metadata"].(manifest.Object)["labels"] = manifest.Object{
		policy.TenantLabel: ProbeNamespace, "owner": "platform", "cost-center": "platform",
	}
	return o
}

// addWebhooks registers the configurations that Kyverno writes its webhooks into,
// without any: Kyverno deletes its own only when it is asked to stop while it
// still may, and a destroyed platform would leave calls to nobody behind.
func addWebhooks(set *manifest.Set, name string) []pulumi.Resource {
	var all []pulumi.Resource
	for _, each := range []struct{ kind, subject string }{
		{"MutatingWebhookConfiguration", "kyverno-policy-mutating"},
		{"MutatingWebhookConfiguration", "kyverno-resource-mutating"},
		{"MutatingWebhookConfiguration", "kyverno-verify-mutating"},
		{"ValidatingWebhookConfiguration", "kyverno-cel-exception-validating"},
		{"ValidatingWebhookConfiguration", "kyverno-exception-validating"},
		{"ValidatingWebhookConfiguration", "kyverno-global-context-validating"},
		{"ValidatingWebhookConfiguration", "kyverno-policy-validating"},
		{"ValidatingWebhookConfiguration", "kyverno-resource-validating"},
	} {
		all = append(all, set.Add(name+"-"+each.subject, manifest.Object{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": each.kind,
			"metadata": manifest.Object{
				"name": each.subject + "-webhook-cfg",
				// Those of an earlier Kyverno are taken over.
				"annotations": manifest.Object{"pulumi.com/patchForce": "true"},
			},
		}, pulumi.IgnoreChanges([]string{"metadata", "webhooks"})))
	}
	return all
}
