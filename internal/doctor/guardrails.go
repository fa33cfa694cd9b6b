package doctor

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/guardrails"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
)

var kyvernoDown = Detector{
	ID: "kyverno-down", Follows: append([]string{layerPaused.ID}, below...),
	Symptom: "Nothing new is reported of policies. Nothing is open and nobody is blocked: the API server's own policies refuse what Kyverno would.",
	Cause:   "A part of Kyverno has no pod, ends by itself, or hangs.",
	Repair:  restartsWhat,
	ByHand:  "`kubectl get pods -n kyverno`, `kubectl logs -n kyverno deployment/kyverno-admission-controller`; `kubectl rollout restart deployment/kyverno-admission-controller -n kyverno`. See also *Kyverno is down* below.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		found, err := each(p.part("kyverno").Namespaces(), func(namespace string) ([]Finding, error) {
			return p.runs(ctx, namespace, every)
		})
		for i := range found {
			found[i].Reach = []string{found[i].Where, policiesAt}
		}
		return found, err
	},
}

// policiesAt is where findings about policies are.
const policiesAt = "layer:" + guardrails.PoliciesLayer

var webhookUnanswered = Detector{
	ID: "webhook-unanswered", Follows: append([]string{servingDown.ID, kyvernoDown.ID, layerPaused.ID}, below...),
	Symptom: "Nothing of some kind can be made or changed: `failed calling webhook ...: no endpoints available for service`.",
	Cause:   "An admission webhook that may not be left out is served by nobody.",
	ByHand: "Bring its server back: `kubectl get pods,endpointslices -n NAMESPACE`. If that is gone for good, and the webhook is none of the platform's, delete its configuration: " +
		"`kubectl delete validatingwebhookconfiguration NAME`, or `mutatingwebhookconfiguration`. The doctor deletes none: each may be what keeps something out.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		var found []Finding
		for _, r := range []schema.GroupVersionResource{kube.ValidatingWebhooks, kube.MutatingWebhooks} {
			list, err := p.list(ctx, r, "", "")
			if err != nil {
				return found, err
			}
			for i := range list {
				some, err := p.unanswered(ctx, &list[i])
				found = append(found, some...)
				if err != nil {
					return found, err
				}
			}
		}
		return found, nil
	},
}

// unanswered are the webhooks of a configuration that block what they judge because
// nobody serves them: one finding for each Service.
func (p *Platform) unanswered(ctx context.Context, configuration *unstructured.Unstructured) ([]Finding, error) {
	list, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	var found []Finding
	asked := map[string]bool{}
	for _, item := range list {
		m, _ := item.(object)
		namespace, service := kube.Text(m, "clientConfig", "service", "namespace"), kube.Text(m, "clientConfig", "service", "name")
		if kube.Text(m, "failurePolicy") == "Ignore" || service == "" || asked[namespace+"/"+service] {
			continue
		}
		asked[namespace+"/"+service] = true
		slices, err := p.list(ctx, kube.EndpointSlices, namespace, "kubernetes.io/service-name="+service)
		if err != nil {
			return found, err
		}
		if served(slices) {
			continue
		}
		found = append(found, Finding{
			Says: fmt.Sprintf("webhook %s blocks what it judges: nobody serves it", kube.Text(m, "name")), Object: nameOf(configuration),
			Saw: fmt.Sprintf("Service %s/%s has no endpoint that is ready, and failurePolicy is Fail", namespace, service), Where: namespace,
			Reach: []string{""},
		})
	}
	return found, nil
}

// served is whether an endpoint of these slices is ready.
func served(list []unstructured.Unstructured) bool {
	return slices.ContainsFunc(list, func(slice unstructured.Unstructured) bool {
		endpoints, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
		return slices.ContainsFunc(endpoints, func(item any) bool {
			m, _ := item.(object)
			ready, said, _ := unstructured.NestedBool(m, "conditions", "ready")
			return ready || !said
		})
	})
}

var policyNotEnforced = Detector{
	ID: "policy-not-enforced", Follows: append([]string{layerPaused.ID, kyvernoDown.ID, applicationController.ID, webhookUnanswered.ID}, below...),
	Symptom: "Something is admitted that a rule forbids, or `verify` says that a policy is not there.",
	Cause:   "A policy, or the binding that puts one in force, is gone or not ready, and Argo CD has not put it back.",
	Repair:  "Has Argo CD sync the layer it belongs to.",
	ByHand: "`kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings,validatingpolicies`: seven of ours each. " +
		"`kubectl -n argocd patch application admission --type merge -p '{\"operation\":{\"sync\":{}}}'`, or `policies` for Kyverno's.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		return each(p.Policies, func(one *policy.Policy) ([]Finding, error) {
			var found []Finding
			for _, form := range []struct {
				kind, layer string
				resource    schema.GroupVersionResource
			}{
				{"ValidatingAdmissionPolicy", guardrails.AdmissionLayer, kube.NativePolicies},
				{"ValidatingAdmissionPolicyBinding", guardrails.AdmissionLayer, kube.NativeBindings},
				{"ValidatingPolicy", guardrails.PoliciesLayer, kube.KyvernoPolicies},
			} {
				o, err := p.get(ctx, form.resource, "", one.Name)
				if err != nil {
					return found, err
				}
				why := kube.NotReady(o)
				if why == "" {
					continue
				}
				found = append(found, Finding{
					Says: fmt.Sprintf("policy %s is not enforced by all who should", one.Name), Object: named(form.kind, "", one.Name), Saw: sentence(why),
					Where: "layer:" + form.layer, Doing: "sync layer " + form.layer,
					Fix: func(ctx context.Context) error { return p.resync(ctx, form.layer) },
				})
			}
			return found, nil
		})
	},
}

var guardDown = Detector{
	ID: "guard-down", Follows: append([]string{forgeDown.ID, forgeCredentials.ID, layerPaused.ID}, below...),
	Symptom: "Pull requests get no status, and nothing is merged; `the guard does not answer`.",
	Cause:   "The guard or its follower has no pod, ends by itself, or hangs.",
	Repair:  restartsWhat,
	ByHand:  "`kubectl logs -n guard deployment/guard`, `deployment/follower`; `kubectl rollout restart deployment/guard -n guard`. Until it runs, `ops` may push to `main`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		return p.runs(ctx, reviews.Namespace, every)
	},
}
