package guardrails

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/render"
	"github.com/neuroscale-platform/neuroscale/internal/samples"
)

// Names of the layers.
const (
	// AdmissionLayer are the API server's policies. They need no Kyverno: what a
	// tenant runs has to wait for this layer only.
	AdmissionLayer = "admission"
	// KyvernoLayer is Kyverno without policies.
	KyvernoLayer = "kyverno"
	// PoliciesLayer are Kyverno's policies.
	PoliciesLayer = "policies"
)

const kyvernoNamespace = "kyverno"

// Layers have the policies as the API server's own. These are made here, not by
// Kyverno: those it generates leave a hole while they come into being.
func Layers(policies []*policy.Policy) (layer.List, error) {
	probes, err := nativeProbes(policies)
	if err != nil {
		return nil, err
	}
	native, _, err := trees(policies)
	if err != nil {
		return nil, err
	}
	return layer.List{{
		Name: AdmissionLayer, Shared: []string{samples.Namespace},
		ClusterKinds: []schema.GroupKind{
			{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"},
			{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"},
		},
		Tree: layer.Made(native), Probe: probes,
	}}, nil
}

// KyvernoLayers have Kyverno and the policies as its own. It comes after all kinds the
// policies match, because it does not report on one that is defined later.
func KyvernoLayers(policies []*policy.Policy) (layer.List, error) {
	_, kyvernos, err := trees(policies)
	if err != nil {
		return nil, err
	}
	return layer.List{
		{
			Name: KyvernoLayer, Namespaces: []string{kyvernoNamespace},
			ClusterKinds: []schema.GroupKind{
				{Kind: "Namespace"},
				{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
				{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
				{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
			},
			Tree: kyverno, After: []string{serving.RuntimesLayer},
			Availability: layer.Availability{Deployments: []string{"kyverno-admission-controller"}},
		},
		{
			Name: PoliciesLayer, Namespaces: []string{kyvernoNamespace}, Shared: []string{samples.Namespace},
			ClusterKinds: []schema.GroupKind{{Group: "policies.kyverno.io", Kind: "ValidatingPolicy"}},
			Tree:         layer.Made(kyvernos), After: []string{serving.RuntimesLayer, KyvernoLayer}, Probe: kyvernoProbes(),
		},
	}, nil
}

// kyverno renders Kyverno blind to the exempt namespaces: it neither judges what
// is in them nor can it, when it is broken, stop anything there.
func kyverno(ctx context.Context, s layer.Source) (*render.Tree, error) {
	webhooks, err := json.MarshalIndent(map[string]any{"namespaceSelector": map[string]any{
		"matchExpressions": []any{map[string]any{
			"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": s.Exempt,
		}},
	}}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("namespaces without Kyverno: %w", err)
	}
	var filters []string
	for _, namespace := range s.Exempt {
		filters = append(filters, "[*/*,"+namespace+",*]")
	}
	return s.Renderer.Layer(ctx, KyvernoLayer, render.Patch{
		Kind: "ConfigMap", Namespace: kyvernoNamespace, Name: "kyverno",
		Merge: map[string]any{"data": map[string]any{
			"webhooks": string(webhooks), "resourceFilters": strings.Join(filters, " "),
		}},
	})
}

// trees are the policies as the API server and as Kyverno enforce them.
func trees(policies []*policy.Policy) (native, kyvernos *render.Tree, err error) {
	if len(policies) == 0 {
		return nil, nil, errors.New("guardrails: no policy: nothing would be refused")
	}
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
