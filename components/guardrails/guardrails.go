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
	"github.com/neuroscale-platform/neuroscale/internal/samples"
)

// Token is the component's type.
const Token = "neuroscale:platform:Guardrails"

// Args of the guardrails.
type Args struct {
	// Layers as one of the functions of that name makes them.
	Layers layer.List
	// Delivery takes them to Git.
	Delivery *layer.Delivery
	// ProbeNamespace is that of earlier guardrails; nil has it made.
	ProbeNamespace pulumi.Resource
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("guardrails: no Args")
	}
	var errs []error
	if len(a.Layers) == 0 {
		errs = append(errs, errors.New("guardrails: Args.Layers is empty"))
	}
	if a.Delivery == nil {
		errs = append(errs, errors.New("guardrails: Args.Delivery is missing"))
	}
	return errors.Join(errs...)
}

// Guardrails keep out of tenants' namespaces what the policies refuse.
type Guardrails struct {
	pulumi.ResourceState
	// ProbeNamespace is what the layers' probes are offered to.
	ProbeNamespace pulumi.Resource
}

// New delivers the layers, with the namespace that their probes are offered to and, for
// Kyverno, the configurations that it writes its webhooks into.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Guardrails, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	g := &Guardrails{ProbeNamespace: args.ProbeNamespace}
	if err := ctx.RegisterComponentResource(Token, name, g, opts...); err != nil {
		return nil, err
	}
	parent := pulumi.Parent(g)
	set := manifest.NewSet(ctx, parent)
	if g.ProbeNamespace == nil {
		g.ProbeNamespace = set.Add(name+"-probe", probeNamespace())
	}
	for _, definition := range args.Layers {
		beside := []pulumi.Resource{g.ProbeNamespace}
		if definition.Name == KyvernoLayer {
			beside = addWebhooks(set)
		}
		if _, err := layer.New(ctx, &layer.Args{
			Definition: definition, Delivery: args.Delivery, DependsOn: beside,
		}, parent); err != nil {
			return nil, err
		}
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("guardrails: %w", err)
	}
	return g, ctx.RegisterResourceOutputs(g, pulumi.Map{})
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
	o := manifest.Namespace(samples.Namespace)
	o["metadata"].(manifest.Object)["labels"] = manifest.Object{
		policy.TenantLabel: samples.Namespace, "owner": "platform", "cost-center": "platform",
	}
	return o
}

// addWebhooks registers the configurations that Kyverno writes its webhooks into,
// without any: Kyverno deletes its own only when it is asked to stop while it
// still may, and a destroyed platform would leave calls to nobody behind.
func addWebhooks(set *manifest.Set) []pulumi.Resource {
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
		all = append(all, set.Add("guardrails-"+each.subject, manifest.Object{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": each.kind,
			"metadata": manifest.Object{"name": each.subject + "-webhook-cfg"},
		}, pulumi.IgnoreChanges([]string{"metadata", "webhooks"})))
	}
	return all
}
