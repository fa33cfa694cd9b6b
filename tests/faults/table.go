package faults

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const (
	argocd = "argocd"
	tenant = "default"
	// member is of the first tenant.
	member = "data-scientist"
)

// All faults. For each check one at least.
var All = []Fault{
	{"an endpoint's model is not there", map[string]string{"B2": "endpoint fault-iris"}, nil, 1, badEndpoint},
	{"a manifest is merged that a policy refuses", map[string]string{"A4": "folder fault-refused"}, nil, 1, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.merge(ctx, "fault-refused", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"fault-refused"},"spec":{"selector":{"matchLabels":{"a":"b"}},
			"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"registry.example/c:latest"}]}}}}`,
			p.awaitApplication("fault-refused", "operationState"))
	}},
	{"a member is let into the platform's repository", map[string]string{"C4": "data-scientist sees repository platform"}, nil, 1, func(ctx context.Context, p *Platform) (Mend, error) {
		at := "/repos/" + config.Default().Forge.Organization + "/platform/collaborators/" + member
		mend := func(ctx context.Context) error { return p.forge(ctx, http.MethodDelete, at, nil) }
		return mend, p.forge(ctx, http.MethodPut, at, object{"permission": "write"})
	}},
	{"a tenant's people are given rights elsewhere", map[string]string{"F6": "may they get pods in argocd: true"}, nil, 1, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.create(ctx, kube.ClusterRoleBindings, object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": "fault-rights"},
			"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
			"subjects": []any{object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "neuroscale:tenant:" + tenant}},
		})
	}},
	{"a tenant's pods are let out", map[string]string{"F7": "a pod of tenant default reaches"}, nil, 1, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.create(ctx, kube.NetworkPolicies, object{
			"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": object{"name": "fault-open", "namespace": tenant},
			"spec": object{"podSelector": object{}, "policyTypes": []any{"Egress"}, "egress": []any{object{}}},
		})
	}},
	{"a Secret's value is pushed", map[string]string{"F8": "fault-leaked"}, nil, 1, leak},

	{"the program's own object is changed", map[string]string{"A8": "AppProject argocd/platform differs in spec.description"}, nil, 2, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.change(ctx, kube.Projects, argocd, "platform", `{"spec":{"description":"changed"}}`)
	}},
	{"a member is let push to main", map[string]string{"C4": "data-scientist may push to main of repository endpoints"}, nil, 2, func(ctx context.Context, p *Platform) (Mend, error) {
		at := "/repos/" + config.Default().Forge.Organization + "/" + config.Default().Tenants[0].Repositories[0] + "/branch_protections/main"
		mend := func(ctx context.Context) error {
			return p.forge(ctx, http.MethodPatch, at, object{"push_whitelist_usernames": []any{p.Outputs.ForgeUser}})
		}
		return mend, p.forge(ctx, http.MethodPatch, at, object{"push_whitelist_usernames": []any{p.Outputs.ForgeUser, member}})
	}},
	{"nobody tells the guard of pull requests", map[string]string{"C8": "repository endpoints does not tell the guard of its events"}, nil, 2, deafGuard},
	{"endpoints' folders no longer heal", map[string]string{"A6": "did not come back", "A8": "ApplicationSet argocd/neuroscale-model-endpoints differs"}, nil, 2, func(ctx context.Context, p *Platform) (Mend, error) {
		mend, err := p.change(ctx, kube.ApplicationSets, argocd, "neuroscale-model-endpoints", `{"spec":{"template":{"spec":{"syncPolicy":{"automated":{"selfHeal":false}}}}}}`)
		if err != nil {
			return mend, err
		}
		return mend, p.await(ctx, applications, argocd, "test-app", func(o object) string {
			if on, _ := at(o, "spec", "syncPolicy", "automated")["selfHeal"].(bool); on {
				return "it still heals"
			}
			return ""
		})
	}},
	{"a layer no longer heals", map[string]string{"A7": "layer doorkeeper would not heal", "A8": "Application argocd/doorkeeper differs"}, nil, 2, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.change(ctx, applications, argocd, "doorkeeper", `{"spec":{"syncPolicy":{"automated":{"selfHeal":false}}}}`)
	}},
	{"a tenant's namespace is no longer known as one", map[string]string{"A8": "default differs", "F4": "is not refused by disallow-root-containers"}, nil, 2, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.change(ctx, namespaces, "", tenant, `{"metadata":{"labels":{"neuroscale.dev/tenant":null}}}`)
	}},
	{"a tenant's project allows everything", map[string]string{"A8": "AppProject argocd/tenant-default differs", "F5": "does not refuse a ClusterRole"}, nil, 2, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.change(ctx, kube.Projects, argocd, "tenant-"+tenant, `{"spec":{"destinations":[{"server":"*","namespace":"*"}],
			"clusterResourceWhitelist":[{"group":"*","kind":"*"}],"namespaceResourceWhitelist":[{"group":"*","kind":"*"}]}}`)
	}},

	{"a tenant's limits are taken away", map[string]string{"A3": "layer tenancy", "A8": "Application argocd/tenancy differs", "F2": "LimitRange default/default-namespace-limits is not there", "F3": "is not refused for that"}, nil, 3, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.paused(ctx, "tenancy", func(ctx context.Context) error {
			return p.delete(ctx, kube.LimitRanges, tenant, tenant+"-namespace-limits")
		})
	}},
	{"the API server's policy is not bound", map[string]string{"A3": "layer admission", "A8": "Application argocd/admission differs", "D2": "policy disallow-latest-image-tag: its binding: it is not there", "D3": "is not refused by the API server's policy disallow-latest-image-tag"}, nil, 3, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.paused(ctx, "admission", func(ctx context.Context) error {
			return p.delete(ctx, kube.NativeBindings, "", "disallow-latest-image-tag")
		})
	}},
	{"Kyverno's policy is deleted", map[string]string{"A3": "layer policies", "A8": "Application argocd/policies differs", "D2": "policy require-cluster-ip-services: Kyverno's policy: it is not there", "D4": "require-cluster-ip-services"}, nil, 3, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.paused(ctx, "policies", func(ctx context.Context) error {
			return p.delete(ctx, kube.KyvernoPolicies, "", "require-cluster-ip-services")
		})
	}},
	{"a form makes what no rule admits", map[string]string{"A3": "layer portal", "A8": "Application argocd/portal differs", "C3": "require-standard-labels-inferenceservice"}, nil, 3, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.paused(ctx, "portal", func(ctx context.Context) error {
			_, err := p.replace(ctx, kube.ConfigMaps, portal.Namespace, portal.Skeleton, func(o object) error {
				const name, label = "inference-service.yaml", "\n    owner:"
				text, _ := at(o, "data")[name].(string)
				if !strings.Contains(text, label) {
					return errors.New("it has no label owner to take away")
				}
				at(o, "data")[name] = strings.Replace(text, label, "\n    keeper:", 1)
				return nil
			})
			return err
		})
	}},
	{"the portal has lost its forms", map[string]string{"C2": "the portal has the forms (none)"}, nil, 3, formless},
	{"the gateway asks for no key", map[string]string{"A3": "layer knative", "A8": "Application argocd/knative differs", "B6": "asked without a key, answers 200"}, nil, 3, openGateway},
	{"a repository cannot be followed", map[string]string{"A8": "ApplicationSet argocd/neuroscale-model-endpoints differs", "F1": "ApplicationSet neuroscale-model-endpoints"}, nil, 3, func(ctx context.Context, p *Platform) (Mend, error) {
		const name = "neuroscale-model-endpoints"
		mend, err := p.replace(ctx, kube.ApplicationSets, argocd, name, func(o object) error {
			generators := at(o, "spec")["generators"].([]any)
			at(generators[0].(object), "git")["repoURL"] = "https://gitea.forge.svc:3000/neuroscale/nothing.git"
			return nil
		})
		if err != nil {
			return mend, err
		}
		return mend, p.await(ctx, kube.ApplicationSets, argocd, name, func(o object) string {
			for _, item := range at(o, "status")["conditions"].([]any) {
				if c := item.(object); c["type"] == "ErrorOccurred" && c["status"] == "True" {
					return ""
				}
			}
			return "it has not noticed"
		})
	}},

	{"a scaled-down endpoint is not woken", map[string]string{"B5": "no answer in time"}, []string{"B1"}, 4, func(ctx context.Context, p *Platform) (Mend, error) {
		if err := p.awaitZero(ctx, "sklearn-iris"); err != nil {
			return nil, err
		}
		return p.stop(ctx, "knative-serving", "activator-")
	}},
	{"the repo-server hangs", map[string]string{"A5": "Application"}, []string{"A2", "A3", "A4"}, 4, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, argocd, "argocd-repo-server-")
	}},
	{"a model server hangs", map[string]string{"B3": "no answer in time", "B4": "no answer in time"}, []string{"B2"}, 4, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, tenant, "demo-iris-2-predictor-")
	}},
	{"a webhook's server hangs", map[string]string{"B7": "layer kserve-runtimes"}, []string{"B1"}, 4, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, "kserve", "kserve-controller-manager-")
	}},
	{"a merged folder is not seen", map[string]string{"C6": "folder fault-unseen"}, []string{"A2"}, 4, func(ctx context.Context, p *Platform) (Mend, error) {
		awake, err := p.stop(ctx, argocd, "argocd-applicationset-controller-")
		if err != nil {
			return awake, err
		}
		unmerge, err := p.merge(ctx, "fault-unseen", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fault-unseen"}}`, nil)
		return both(unmerge, awake), err
	}},

	{"the portal has no pod", map[string]string{"C1": "Deployment portal/portal"}, []string{"A3"}, 5, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.starve(ctx, "portal", "portal-")
	}},
	{"the guard has no pod", map[string]string{"C5": "Deployment guard/guard"}, []string{"A3"}, 5, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.starve(ctx, "guard", "guard-")
	}},
	{"what scales endpoints has no pod", map[string]string{"B1": "Deployment knative-serving/autoscaler"}, nil, 5, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.starve(ctx, "knative-serving", "autoscaler-")
	}},
	{"Kyverno has no pod", map[string]string{"D1": "Deployment kyverno/kyverno-admission-controller", "D4": "Kyverno, asked about policy"}, nil, 5, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.starve(ctx, "kyverno", "kyverno-admission-controller-")
	}},

	{"Prometheus has no pod", map[string]string{"E1": "Deployment prometheus-system/prometheus", "E2": "ask Prometheus", "E3": "ask Prometheus"}, nil, 5, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.starve(ctx, "prometheus-system", "prometheus-")
	}},
	{"OpenCost hangs", map[string]string{"E2": "no answer in time"}, []string{"E1"}, 5, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.stop(ctx, "opencost", "opencost-")
	}},
	{"the dashboards have no pod", map[string]string{"E3": "Deployment dashboards/dashboards"}, nil, 6, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.starve(ctx, "dashboards", "dashboards-")
	}},

	{"the forge is gone", map[string]string{"C7": "it is scaled to zero"}, []string{"A8"}, 6, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.scaleToZero(ctx, "forge", "gitea")
	}},
	{"Argo CD's server is gone", map[string]string{"A2": "Deployment argocd/argocd-server: it is scaled to zero"}, nil, 6, func(ctx context.Context, p *Platform) (Mend, error) {
		return p.scaleToZero(ctx, argocd, "argocd-server")
	}},

	{"no node takes pods", map[string]string{"A1": "no node takes new pods"}, nil, 7, func(ctx context.Context, p *Platform) (Mend, error) {
		list, err := p.list(ctx, kube.Nodes, "")
		if err != nil {
			return nil, err
		}
		mends := []Mend{}
		for _, n := range list {
			mend, err := p.change(ctx, kube.Nodes, "", n.GetName(), `{"spec":{"unschedulable":true}}`)
			mends = append(mends, mend)
			if err != nil {
				return both(mends...), err
			}
		}
		return both(mends...), nil
	}},
}

func badEndpoint(ctx context.Context, p *Platform) (Mend, error) {
	return p.create(ctx, kube.InferenceServices, object{
		"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
		"metadata": object{"name": "fault-iris", "namespace": tenant, "labels": object{"owner": "faults", "cost-center": "faults"}},
		"spec": object{"predictor": object{"minReplicas": int64(1), "model": object{
			"modelFormat": object{"name": "sklearn"}, "storageUri": "gs://kfserving-examples/no/such/model",
			"securityContext": object{"allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": int64(1000)},
			"resources": object{
				"requests": object{"cpu": "10m", "memory": "64Mi"}, "limits": object{"cpu": "100m", "memory": "256Mi"},
			},
		}}},
	})
}

// formless takes the templates out of the portal's catalog, and where they are written
// with them: else it would find them again. It does when it is started again.
func formless(ctx context.Context, p *Platform) (Mend, error) {
	for _, kind := range []string{"location", "template"} {
		said, err := p.askCatalog(ctx, http.MethodGet, "?filter=kind="+kind)
		if err != nil {
			return nil, err
		}
		var list []struct{ Metadata struct{ UID string } }
		if err := json.Unmarshal(said, &list); err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("the portal's catalog has no %s", kind)
		}
		for _, each := range list {
			if _, err := p.askCatalog(ctx, http.MethodDelete, "/by-uid/"+each.Metadata.UID); err != nil {
				return nil, err
			}
		}
	}
	return func(ctx context.Context) error {
		pods, err := p.podsOf(ctx, portal.Namespace, portal.Layer+"-")
		for _, pod := range pods {
			err = errors.Join(err, p.delete(ctx, kube.Pods, portal.Namespace, pod.GetName()))
		}
		return err
	}, nil
}

// deafGuard switches off what tells the guard of events.
func deafGuard(ctx context.Context, p *Platform) (Mend, error) {
	at := "/repos/" + config.Default().Forge.Organization + "/" + config.Default().Tenants[0].Repositories[0] + "/hooks"
	said, err := p.askForge(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	type hook struct {
		ID     int
		Config struct{ URL string }
	}
	var hooks []hook
	if err := json.Unmarshal(said, &hooks); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(hooks, func(h hook) bool { return h.Config.URL == reviews.HookURL })
	if i < 0 {
		return nil, errors.New("there is no hook to the guard")
	}
	set := func(active bool) Mend {
		return func(ctx context.Context) error {
			return p.forge(ctx, http.MethodPatch, fmt.Sprintf("%s/%d", at, hooks[i].ID), object{"active": active})
		}
	}
	return set(true), set(false)(ctx)
}

// leak pushes what a Secret has.
func leak(ctx context.Context, p *Platform) (Mend, error) {
	value := rand.Text() + strings.ToLower(rand.Text())
	forget, err := p.create(ctx, kube.Secrets, object{
		"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": "fault-leaked", "namespace": "neuroscale-system"},
		"data": object{"password": base64.StdEncoding.EncodeToString([]byte(value))},
	})
	if err != nil {
		return forget, err
	}
	unmerge, err := p.merge(ctx, "fault-leak", fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fault-leak"},"data":{"settings":"password: %s"}}`, value), nil)
	return both(unmerge, forget), err
}

// openGateway takes from net-kourier what tells it to ask for keys.
func openGateway(ctx context.Context, p *Platform) (Mend, error) {
	const controller = "net-kourier-controller"
	mend, err := p.paused(ctx, "knative", func(ctx context.Context) error {
		_, err := p.replace(ctx, kube.Deployments, "knative-serving", controller, func(o object) error {
			container := at(o, "spec", "template", "spec")["containers"].([]any)[0].(object)
			var left []any
			for _, item := range container["env"].([]any) {
				if name, _ := item.(object)["name"].(string); !strings.HasPrefix(name, "KOURIER_EXTAUTHZ") {
					left = append(left, item)
				}
			}
			if len(left) == len(container["env"].([]any)) {
				return errors.New("it has no KOURIER_EXTAUTHZ_... to take away")
			}
			container["env"] = left
			return nil
		})
		return err
	})
	if err != nil {
		return mend, err
	}
	return mend, rig.Poll(ctx, time.Minute, 200*time.Millisecond, func(ctx context.Context) (string, error) {
		d, err := p.get(ctx, kube.Deployments, "knative-serving", controller)
		if err != nil || d == nil {
			return "it is gone", err
		}
		if rig.Number(d, "status", "updatedReplicas") < 1 || rig.Number(d, "status", "replicas") > 1 || rig.Number(d, "status", "availableReplicas") < 1 ||
			rig.Number(d, "status", "observedGeneration") != d.GetGeneration() {
			return "its new pod is not there", nil
		}
		a, err := rig.Ask(ctx, rig.Direct(p.Outputs.Authority), p.Outputs.GatewayURL+"/v1/models/demo-iris-2:predict", "demo-iris-2-predictor."+tenant+"."+config.Default().Serving.Domain, "", `{"instances":[[1,2,3,4]]}`)
		if a.Code != http.StatusOK {
			return fmt.Sprintf("the gateway answers %d", a.Code), err
		}
		return "", err
	})
}
