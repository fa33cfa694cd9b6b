package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/samples"
)

func (p *Platform) guardrails() []check.Check {
	return []check.Check{
		{
			ID: "D1", Title: "Kyverno runs",
			Asks:   "Every Deployment in the namespaces of Kyverno's layers has all its pods, ready.",
			Remedy: "see `kubectl get pods -n kyverno`; nothing is open meanwhile, the API server refuses by itself",
			Run:    p.run("kyverno"),
		},
		{
			ID: "D2", Title: "every policy is there and ready, as the API server's and as Kyverno's", Follows: []string{"A3", "D1"},
			Asks:   "Of each policy the native form and its binding are as they were rendered, and Kyverno says that its own is ready.",
			Remedy: "see `kubectl get validatingpolicies,validatingadmissionpolicies`; Argo CD puts back what Git says",
			Run:    p.policiesAreReady,
		},
		{
			ID: "D3", Title: "the API server itself refuses what each policy forbids and admits what is good", Follows: []string{"B7", "D2"},
			Asks:   "Offers it, dry, one object for each policy that only that one refuses, and good ones: the refusal names the native policy.",
			Remedy: "see `kubectl get validatingadmissionpolicybindings`: a policy without its binding refuses nothing",
			Run:    p.nativePoliciesRefuse,
		},
		{
			ID: "D4", Title: "Kyverno refuses and admits the same", Follows: []string{"D1", "D2"},
			Asks:   "Sends the same objects straight to the webhook that each policy of Kyverno's is registered at.",
			Remedy: "see `kubectl logs -n kyverno deployment/kyverno-admission-controller`",
			Run:    p.kyvernoRefuses,
		},
	}
}

func (p *Platform) policiesAreReady(ctx context.Context) (string, error) {
	if len(p.Policies) == 0 {
		return "", errors.New("there is no policy")
	}
	err := every(p.Policies, func(each *policy.Policy) error {
		for _, form := range []struct {
			what     string
			resource schema.GroupVersionResource
			wanted   object
		}{
			{"the API server's policy", kube.NativePolicies, each.NativeObjects()[0]},
			{"its binding", kube.NativeBindings, each.NativeObjects()[1]},
			{"Kyverno's policy", kube.KyvernoPolicies, nil},
		} {
			o, err := p.get(ctx, form.resource, "", each.Name)
			if err != nil {
				return err
			}
			if why := kube.NotReady(o); why != "" {
				return fmt.Errorf("policy %s: %s: %s", each.Name, form.what, why)
			}
			if form.wanted != nil && !equality.Semantic.DeepEqual(canonical(o.Object["spec"]), canonical(form.wanted["spec"])) {
				return fmt.Errorf("policy %s: %s is not what was rendered", each.Name, form.what)
			}
		}
		return nil
	})
	return fmt.Sprintf("%s, each in both forms", countOf(len(p.Policies), "policy", "policies")), err
}

// canonical is a value as JSON knows it.
func canonical(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	return plain
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// samplesOf are the good objects and, of each policy, a bad one.
func (p *Platform) samplesOf() ([]samples.Sample, error) {
	all := samples.Good()
	for _, each := range p.Policies {
		bad, ok := samples.Bad(each.Name)
		if !ok {
			return nil, fmt.Errorf("there is no object known that policy %s refuses", each.Name)
		}
		all = append(all, bad)
	}
	return all, nil
}

func (p *Platform) nativePoliciesRefuse(ctx context.Context) (string, error) {
	all, err := p.samplesOf()
	if err != nil {
		return "", err
	}
	err = every(all, func(s samples.Sample) error {
		refusal, err := p.dryRun(ctx, s.Resource, s.Object)
		what := fmt.Sprint(s.Object["kind"], " ", kube.Text(s.Object, "metadata", "name"))
		native := fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s' denied request", s.RefusedBy, s.RefusedBy)
		switch {
		case err != nil:
			return err
		case s.RefusedBy == "" && refusal != "":
			return fmt.Errorf("%s is refused: %s", what, refusal)
		case s.RefusedBy != "" && !strings.Contains(refusal, native):
			return fmt.Errorf("%s is not refused by the API server's policy %s: %s", what, s.RefusedBy, orAdmitted(refusal))
		}
		return nil
	})
	return fmt.Sprintf("%d good objects admitted, %d bad ones refused by name", len(samples.Good()), len(p.Policies)), err
}

// hook is where Kyverno is asked about a policy.
type hook struct{ namespace, service, path string }

// kyvernoHooks are the registered ones by policy.
func (p *Platform) kyvernoHooks(ctx context.Context) (map[string]hook, error) {
	configurations, err := p.list(ctx, kube.ValidatingWebhooks, "", "")
	if err != nil {
		return nil, err
	}
	hooks := map[string]hook{}
	for i := range configurations {
		list, _, _ := unstructured.NestedSlice(configurations[i].Object, "webhooks")
		for _, item := range list {
			m, _ := item.(object)
			at := kube.Text(m, "clientConfig", "service", "path")
			if strings.HasPrefix(kube.Text(m, "name"), "vpol.validate.kyverno.svc") && strings.HasPrefix(at, "/vpol/") {
				hooks[path.Base(at)] = hook{kube.Text(m, "clientConfig", "service", "namespace"), kube.Text(m, "clientConfig", "service", "name"), at}
			}
		}
	}
	return hooks, nil
}

func (p *Platform) kyvernoRefuses(ctx context.Context) (string, error) {
	hooks, err := p.kyvernoHooks(ctx)
	if err != nil {
		return "", err
	}
	start := time.Now()
	err = every(p.Policies, func(each *policy.Policy) error {
		at, registered := hooks[each.Name]
		if !registered {
			return fmt.Errorf("no webhook of Kyverno's is registered for policy %s", each.Name)
		}
		bad, ok := samples.Bad(each.Name)
		if !ok {
			return fmt.Errorf("there is no object known that policy %s refuses", each.Name)
		}
		for _, s := range append(samples.Good(), bad) {
			allowed, message, err := p.askKyverno(ctx, at, s)
			what := fmt.Sprint(s.Object["kind"], " ", kube.Text(s.Object, "metadata", "name"))
			switch {
			case err != nil:
				return fmt.Errorf("Kyverno, asked about policy %s: %w", each.Name, err)
			case s.RefusedBy == "" && !allowed:
				return fmt.Errorf("Kyverno refuses %s by policy %s: %s", what, each.Name, message)
			case s.RefusedBy != "" && (allowed || !strings.Contains(message, each.Name)):
				return fmt.Errorf("Kyverno does not refuse %s by policy %s: %s", what, each.Name, orAdmitted(message))
			}
		}
		return nil
	})
	return fmt.Sprintf("%d webhooks of Kyverno's asked in %.1fs: each refuses the bad object and admits the good ones", len(p.Policies), time.Since(start).Seconds()), err
}

// askKyverno sends a webhook what the API server would send it for the creation of an
// object.
func (p *Platform) askKyverno(ctx context.Context, at hook, s samples.Sample) (allowed bool, message string, err error) {
	o := unstructured.Unstructured{Object: s.Object}
	kind := o.GroupVersionKind()
	gvk := object{"group": kind.Group, "version": kind.Version, "kind": kind.Kind}
	gvr := object{"group": kind.Group, "version": kind.Version, "resource": s.Resource}
	body, err := json.Marshal(object{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": object{
			"uid": "neuroscale-verify", "kind": gvk, "requestKind": gvk, "resource": gvr, "requestResource": gvr,
			"name": o.GetName(), "namespace": o.GetNamespace(), "operation": "CREATE", "dryRun": true,
			"userInfo": object{"username": "neuroscale-verify"}, "object": s.Object,
		},
	})
	if err != nil {
		return false, "", err
	}
	raw, err := p.Cluster.Post(ctx, fmt.Sprintf("/api/v1/namespaces/%s/services/https:%s:443/proxy%s", at.namespace, at.service, at.path), body)
	if err != nil {
		return false, "", err
	}
	var review struct {
		Response *struct {
			Allowed bool `json:"allowed"`
			Status  struct {
				Message string `json:"message"`
			} `json:"status"`
		} `json:"response"`
	}
	if err := json.Unmarshal(raw, &review); err != nil || review.Response == nil {
		return false, "", fmt.Errorf("its answer is no AdmissionReview: %.200s", raw)
	}
	return review.Response.Allowed, review.Response.Status.Message, nil
}
