package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

const (
	// endpointLabel is KServe's label of a pod with the name of its InferenceService.
	endpointLabel = "serving.kserve.io/inferenceservice"

	kserveController = "kserve-controller-manager"
	kserveConfig     = "inferenceservice-config"
)

// kserveNamespace has KServe.
func (p *Platform) kserveNamespace() string {
	d, _ := p.layers().Get(serving.KServeLayer)
	return d.Namespace()
}

// inServing has findings explain what is wrong with serving, and with endpoints.
func (p *Platform) inServing(found []Finding) []Finding {
	for i := range found {
		found[i].Reach = slices.Concat(p.part("serving").Namespaces(), p.Config.Namespaces())
	}
	return found
}

var servingDown = Detector{
	ID: "serving-down", Follows: append([]string{layerPaused.ID}, below...),
	Symptom: "Endpoints answer 502, 503, 404 or, without a body, 403; new ones do not get ready. The gateway's alert is `GatewayMissing`.",
	Cause:   "The gateway, Knative, KServe's controller or what judges keys has no pod, ends by itself, or hangs.",
	Repair:  restartsWhat,
	ByHand: "`kubectl get pods -n kourier-system`, `-n knative-serving`, `-n kserve` and `-n doorkeeper`, then `kubectl describe` and `kubectl logs` of the one that is not well. " +
		"`kubectl rollout restart deployment/NAME -n NAMESPACE` starts one anew. What is gone of a layer Argo CD puts back by itself.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		found, err := each(p.part("serving").Namespaces(), func(namespace string) ([]Finding, error) {
			return p.runs(ctx, namespace, every)
		})
		return p.inServing(found), err
	},
}

// ingressOf is what KServe's configuration says of how endpoints are reached.
type ingressOf struct {
	DisableIstioVirtualHost bool   `json:"disableIstioVirtualHost"`
	ClassName               string `json:"ingressClassName"`
	Domain                  string `json:"ingressDomain"`
}

// kserveIngress reads it; nil if the ConfigMap is not there.
func (p *Platform) kserveIngress(ctx context.Context) (*ingressOf, *unstructured.Unstructured, error) {
	o, err := p.get(ctx, kube.ConfigMaps, p.kserveNamespace(), kserveConfig)
	if err != nil || o == nil {
		return nil, o, err
	}
	var i ingressOf
	if err := json.Unmarshal([]byte(kube.Text(o.Object, "data", "ingress")), &i); err != nil {
		return nil, o, nil // it is not what KServe can read, either
	}
	return &i, o, nil
}

var kserveIstio = Detector{
	ID: "kserve-istio", Follows: append([]string{layerPaused.ID, applicationController.ID}, below...),
	Symptom: "InferenceServices stay without a URL; their condition `IngressReady` names a VirtualService.",
	Cause:   "KServe's configuration says Istio, which is its default, and the cluster has Kourier: its ConfigMap was changed or is gone.",
	Repair:  "Has Argo CD sync the layer, and starts KServe's controller anew, which reads that only when it starts.",
	ByHand: "`kubectl get configmap inferenceservice-config -n kserve -o jsonpath='{.data.ingress}'` has to say `disableIstioVirtualHost: true` and the class of Kourier. " +
		"`kubectl -n argocd patch application kserve --type merge -p '{\"operation\":{\"sync\":{}}}'`, then `kubectl rollout restart deployment/kserve-controller-manager -n kserve`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		i, o, err := p.kserveIngress(ctx)
		if err != nil {
			return nil, err
		}
		saw := ""
		switch {
		case o == nil:
			saw = "it is not there"
		case i == nil:
			saw = "its data.ingress is no JSON"
		case !i.DisableIstioVirtualHost:
			saw = "its data.ingress does not say disableIstioVirtualHost"
		case !strings.Contains(i.ClassName, "kourier"):
			saw = fmt.Sprintf("its data.ingress has the class %q", i.ClassName)
		default:
			return nil, nil
		}
		return p.inServing([]Finding{{
			Says: "KServe is configured for Istio, and the gateway is Kourier", Object: named("ConfigMap", p.kserveNamespace(), kserveConfig), Saw: saw, Where: p.kserveNamespace(),
			Doing: "sync layer " + serving.KServeLayer + " and start KServe's controller anew",
			Fix: func(ctx context.Context) error {
				if err := p.resync(ctx, serving.KServeLayer); err != nil {
					return err
				}
				if err := p.until(ctx, func(ctx context.Context) (bool, error) {
					i, _, err := p.kserveIngress(ctx)
					return i != nil && i.DisableIstioVirtualHost && strings.Contains(i.ClassName, "kourier"), err
				}); err != nil {
					return fmt.Errorf("Argo CD does not put the configuration back: %w", err)
				}
				return p.restart(ctx, p.kserveNamespace(), kserveController)
			},
		}}), nil
	},
}

// restart deletes the pods of a Deployment, which makes new ones.
func (p *Platform) restart(ctx context.Context, namespace, name string) error {
	o, err := p.get(ctx, kube.Deployments, namespace, name)
	if err != nil || o == nil {
		return err
	}
	pods, err := p.list(ctx, kube.Pods, namespace, "")
	if err != nil {
		return err
	}
	for _, pod := range podsOf(o, pods) {
		if err := p.remove(ctx, kube.Pods, namespace, pod.GetName(), -1); err != nil {
			return err
		}
	}
	return nil
}

var kserveStale = Detector{
	ID: "kserve-stale", Follows: append([]string{servingDown.ID, kserveIstio.ID, applicationController.ID}, below...),
	Symptom: "KServe's configuration is right, and endpoints are still made as it was before: without a URL, or at an old domain.",
	Cause:   "KServe's controller reads how endpoints are reached only when it starts, and its configuration was changed since.",
	Repair:  "Starts KServe's controller anew.",
	ByHand:  "`kubectl rollout restart deployment/kserve-controller-manager -n kserve`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		i, configuration, err := p.kserveIngress(ctx)
		if err != nil || i == nil {
			return nil, err
		}
		pods, err := p.list(ctx, kube.Pods, p.kserveNamespace(), "")
		if err != nil {
			return nil, err
		}
		changed := changedAt(configuration)
		var old *unstructured.Unstructured
		for n := range pods {
			at := kube.Moment(kube.Text(pods[n].Object, "status", "startTime"))
			if strings.HasPrefix(pods[n].GetName(), kserveController) && at != nil && at.Before(changed) {
				old = &pods[n]
			}
		}
		if old == nil {
			return nil, nil
		}
		list, err := p.list(ctx, kube.InferenceServices, "", "")
		for n := range list {
			why := astray(&list[n], i.Domain)
			if why == "" {
				continue
			}
			return p.inServing([]Finding{{
				Says: "KServe's controller goes by a configuration of before", Object: nameOf(old),
				Saw:   fmt.Sprintf("it started before %s was changed at %s, and %s", nameOf(configuration), changed.UTC().Format(time.RFC3339), why),
				Where: p.kserveNamespace(), Doing: "start KServe's controller anew",
				Fix: func(ctx context.Context) error { return p.restart(ctx, p.kserveNamespace(), kserveController) },
			}}), nil
		}
		return nil, err
	},
}

// changedAt is when somebody last wrote an object.
func changedAt(o *unstructured.Unstructured) time.Time {
	at := o.GetCreationTimestamp().Time
	for _, m := range o.GetManagedFields() {
		if m.Time != nil && m.Time.After(at) {
			at = m.Time.Time
		}
	}
	return at
}

// astray is what an endpoint has of another way to be reached than that of a domain;
// empty if nothing.
func astray(o *unstructured.Unstructured, domain string) string {
	for _, c := range kube.Conditions(o) {
		if c.Type == "IngressReady" && !c.Holds && strings.Contains(strings.ToLower(c.Reason+c.Message), "virtual") {
			return fmt.Sprintf("%s says: %s", nameOf(o), sentence(c.Message))
		}
	}
	at, err := url.Parse(kube.Text(o.Object, "status", "url"))
	if err == nil && at.Hostname() != "" && domain != "" && !strings.HasSuffix(at.Hostname(), "."+domain) {
		return fmt.Sprintf("%s is at %s, which is not in the domain %s", nameOf(o), at.Hostname(), domain)
	}
	return ""
}

// behind is how long a controller may take to say something about what was changed.
const behind = time.Minute

var knativeStuck = Detector{
	ID: "knative-stuck", Follows: append([]string{servingDown.ID, kserveIstio.ID}, below...),
	Symptom: "Pods of an endpoint run, and it does not get ready: its Knative Service or Ingress says nothing new.",
	Cause:   "A controller of Knative's or the gateway's runs and does not get on, or goes by a configuration of before.",
	Repair:  "Starts the controllers of Knative and of the gateway anew. The gateway's own pods and the endpoints' go on.",
	ByHand:  "`kubectl logs -n knative-serving deployment/controller` and `deployment/net-kourier-controller`; `kubectl rollout restart deployment/controller deployment/net-kourier-controller -n knative-serving`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		for _, r := range []schema.GroupVersionResource{kube.KnativeServices, kube.KnativeIngresses} {
			list, err := p.list(ctx, r, "", "")
			if err != nil {
				return nil, err
			}
			for i := range list {
				o := &list[i]
				observed, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
				if observed == o.GetGeneration() || o.GetDeletionTimestamp() != nil || time.Since(changedAt(o)) < behind {
					continue
				}
				return p.inServing([]Finding{{
					Says: "Knative's controllers do not get on", Object: nameOf(o),
					Saw:   fmt.Sprintf("it was changed %s ago and is at generation %d, and its status is about %d", time.Since(changedAt(o)).Round(time.Second), o.GetGeneration(), observed),
					Where: serving.KnativeNamespace, Doing: "start the controllers of Knative and of the gateway anew",
					Fix: func(ctx context.Context) error {
						for _, name := range []string{"controller", "net-kourier-controller"} {
							if err := p.restart(ctx, serving.KnativeNamespace, name); err != nil {
								return err
							}
						}
						return nil
					},
				}}), nil
			}
		}
		return nil, nil
	},
}

var modelSecretMissing = Detector{
	ID: "model-secret-missing", Follows: []string{platformGone.ID, namespaceStuck.ID},
	Symptom: "Endpoints of a tenant get no pod: KServe finds no Secret.",
	Cause:   "The Secret by which the tenant's models are fetched, which `tenants[].modelAccess.secrets` names, is not in its namespace.",
	ByHand:  "Make it as [docs/cloud.md](cloud.md) says, or take its name out of the settings. A pod that was refused is tried again at longer and longer intervals: `kubectl rollout restart deployment -n TENANT` does so at once.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		var found []Finding
		for _, t := range p.Config.Tenants {
			for _, name := range t.ModelAccess.Secrets {
				o, err := p.get(ctx, kube.Secrets, t.Namespace, name)
				if err != nil {
					return found, err
				}
				if o == nil {
					found = append(found, Finding{
						Says: fmt.Sprintf("tenant %s gets no models: its Secret %s is not there", t.Namespace, name), Object: named("Secret", t.Namespace, name),
						Saw: "tenants[].modelAccess.secrets names it", Where: t.Namespace,
					})
				}
			}
		}
		return found, nil
	},
}
