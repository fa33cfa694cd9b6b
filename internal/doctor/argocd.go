package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// Argo CD's parts, after their workloads.
const (
	redis      = "argocd-redis"
	repoName   = "argocd-repo-server"
	controller = "argocd-application-controller"
	appSets    = "argocd-applicationset-controller"
)

// partOfArgoCD looks at one workload of Argo CD; what it lacks, all do.
func partOfArgoCD(name string) func(context.Context, *Platform) ([]Finding, error) {
	return func(ctx context.Context, p *Platform) ([]Finding, error) {
		found, err := p.runs(ctx, argocd.Namespace, func(other string) bool { return other == name }, name)
		return everywhere(found), err
	}
}

var redisDown = Detector{
	ID: "argocd-redis", Follows: below,
	Symptom: "Argo CD is slow or says `dial tcp ...:6379`; Applications are Unknown.",
	Cause:   "Its cache, Redis, has no pod or does not answer. Nothing is lost with it: it is filled again.",
	Repair:  restartsWhat,
	ByHand:  "`kubectl logs -n argocd deployment/argocd-redis`; `kubectl rollout restart deployment/argocd-redis -n argocd`. If the Deployment is gone, `neuroscale up`.",
	Look:    partOfArgoCD(redis),
}

var repoServer = Detector{
	ID: "argocd-repo-server", Follows: append([]string{redisDown.ID}, below...),
	Symptom: "Applications are Unknown or stay at an old commit; `ComparisonError` with `connection refused` or `DeadlineExceeded`.",
	Cause:   "Argo CD's repo-server, which reads Git and renders, has no pod, ends by itself, or hangs.",
	Repair:  restartsWhat,
	ByHand:  "`kubectl logs -n argocd deployment/argocd-repo-server`; `kubectl rollout restart deployment/argocd-repo-server -n argocd`. If the Deployment is gone, `neuroscale up`.",
	Look:    partOfArgoCD(repoName),
}

// comparedWithin is how old the newest comparison of all Applications may be: Argo CD
// compares each one anew every two to three minutes.
const comparedWithin = 10 * time.Minute

var applicationController = Detector{
	ID: "argocd-application-controller", Follows: append([]string{redisDown.ID, repoServer.ID}, below...),
	Symptom: "What is in Git does not come to the cluster, what was deleted does not come back; Applications say nothing new.",
	Cause:   "Argo CD's application controller has no pod, ends by itself, hangs, or does not get to its work.",
	Repair:  restartsWhat + " One that has compared nothing for long is started anew, too.",
	ByHand:  "`kubectl logs -n argocd statefulset/argocd-application-controller`; `kubectl rollout restart statefulset/argocd-application-controller -n argocd`. If it is gone, `neuroscale up`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		found, err := partOfArgoCD(controller)(ctx, p)
		if err != nil || len(found) > 0 {
			return found, err
		}
		apps, err := p.applications(ctx)
		if err != nil || len(apps) == 0 {
			return nil, err
		}
		var newest time.Time
		for i := range apps {
			if at := kube.Moment(kube.Text(apps[i].Object, "status", "reconciledAt")); at != nil && at.After(newest) {
				newest = *at
			}
		}
		pod, err := p.get(ctx, kube.Pods, argocd.Namespace, controller+"-0")
		if err != nil || pod == nil || time.Since(pod.GetCreationTimestamp().Time) < comparedWithin || time.Since(newest) < comparedWithin {
			return nil, err
		}
		return everywhere([]Finding{{
			Says: "Argo CD's application controller has compared nothing for " + time.Since(newest).Round(time.Minute).String(), Object: nameOf(pod),
			Saw: fmt.Sprintf("of %d Applications the one compared last was at %s", len(apps), newest.UTC().Format(time.RFC3339)), Where: argocd.Namespace,
			Doing: "start " + pod.GetName() + " anew",
			Fix:   func(ctx context.Context) error { return p.remove(ctx, kube.Pods, argocd.Namespace, pod.GetName(), 1) },
		}}), nil
	},
}

var applicationSetController = Detector{
	ID: "argocd-applicationset-controller", Follows: append([]string{redisDown.ID, repoServer.ID}, below...),
	Symptom: "A folder that was merged becomes no Application.",
	Cause:   "Argo CD's ApplicationSet controller has no pod, ends by itself, or hangs.",
	Repair:  restartsWhat,
	ByHand:  "`kubectl logs -n argocd deployment/argocd-applicationset-controller`; `kubectl rollout restart deployment/argocd-applicationset-controller -n argocd`. If it is gone, `neuroscale up`.",
	Look:    partOfArgoCD(appSets),
}

var argocdDown = Detector{
	ID: "argocd-server", Follows: append([]string{redisDown.ID, repoServer.ID}, below...),
	Symptom: "Argo CD's address does not answer, or its hook does not: merges are seen some seconds later.",
	Cause:   "Argo CD's server, or another part of it, has no pod or does not answer.",
	Repair:  restartsWhat,
	ByHand:  "`kubectl get pods -n argocd`, then `kubectl logs` of the one that is not well. If a Deployment is gone, `neuroscale up`.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		known := []string{redis, repoName, controller, appSets}
		return p.runs(ctx, argocd.Namespace, func(name string) bool { return !slices.Contains(known, name) }, "argocd-server")
	},
}

// applications are all of Argo CD's, but those that verify has made for a moment.
func (p *Platform) applications(ctx context.Context) ([]unstructured.Unstructured, error) {
	return p.list(ctx, kube.Applications, argocd.Namespace, "!neuroscale.dev/verify")
}

// layerApplications are the Applications of layers, by their names.
func (p *Platform) layerApplications(ctx context.Context) (map[string]*unstructured.Unstructured, error) {
	apps, err := p.applications(ctx)
	all := map[string]*unstructured.Unstructured{}
	for i := range apps {
		if _, is := p.layers().FromGit().Get(apps[i].GetName()); is {
			all[apps[i].GetName()] = &apps[i]
		}
	}
	return all, err
}

var layerPaused = Detector{
	ID:      "layer-paused",
	Symptom: "What somebody deletes or changes of a layer does not come back.",
	Cause:   "The layer's Application does not say `selfHeal` any more: somebody has paused it.",
	Repair:  "Switches automatic sync, pruning and healing on again, as the stack describes it. Argo CD then puts back what is missing.",
	ByHand:  "`neuroscale up` puts it back. Whoever paused a layer on purpose leaves the doctor's `--fix` until that is done.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		apps, err := p.layerApplications(ctx)
		if err != nil {
			return nil, err
		}
		var found []Finding
		for _, d := range p.layers().FromGit() {
			app := apps[d.Name]
			if app == nil {
				continue // layer-not-synced says so
			}
			heals, _, _ := unstructured.NestedBool(app.Object, "spec", "syncPolicy", "automated", "selfHeal")
			if off, said, _ := unstructured.NestedBool(app.Object, "spec", "syncPolicy", "automated", "enabled"); heals && (!said || off) {
				continue
			}
			found = append(found, Finding{
				Says: "layer " + d.Name + " does not heal: somebody has paused it", Object: nameOf(app), Saw: "spec.syncPolicy.automated does not say selfHeal",
				Where: d.Namespace(), Reach: slices.Concat(d.Namespaces, d.Shared, []string{"layer:" + d.Name}),
				Doing: "switch it on again",
				Fix: func(ctx context.Context) error {
					return p.patch(ctx, kube.Applications, argocd.Namespace, d.Name, `{"spec":{"syncPolicy":{"automated":{"prune":true,"selfHeal":true,"enabled":null}}}}`)
				},
			})
		}
		return found, nil
	},
}

// comparisonError is what Argo CD says against an Application; empty if nothing.
func comparisonError(app *unstructured.Unstructured) string {
	for _, c := range kube.Conditions(app) {
		if strings.HasSuffix(c.Type, "Error") && c.Type != "SyncError" {
			return c.Type + ": " + c.Message
		}
	}
	return ""
}

var applicationsUnknown = Detector{
	ID: "applications-unknown", Follows: append([]string{forgeDown.ID, forgeCredentials.ID, redisDown.ID, repoServer.ID, applicationController.ID}, below...),
	Symptom: "Applications are Unknown, or have a ComparisonError, although all of Argo CD runs.",
	Cause:   "Argo CD goes by what it remembers of a time when it could not read Git, or it cannot read what is in Git.",
	Repair:  "Has Argo CD compare them anew, and not from its cache.",
	ByHand:  "`kubectl -n argocd annotate application NAME argocd.argoproj.io/refresh=hard`. If it stays, `kubectl get application NAME -n argocd -o jsonpath='{.status.conditions}'` says why.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		apps, err := p.applications(ctx)
		var found []Finding
		for i := range apps {
			app := &apps[i]
			said := comparisonError(app)
			if kube.Text(app.Object, "status", "sync", "status") != "Unknown" && said == "" {
				continue
			}
			found = append(found, Finding{
				Says: fmt.Sprintf("Argo CD does not know how Application %s is", app.GetName()), Object: nameOf(app), Saw: cmp.Or(sentence(said), "its sync status is Unknown"),
				Where: p.whereIs(app), Doing: "have it compared anew",
				Fix: func(ctx context.Context) error { return p.refresh(ctx, app.GetName()) },
			})
		}
		return found, err
	},
}

// whereIs is what an Application is about: a layer, or a folder of a tenant.
func (p *Platform) whereIs(app *unstructured.Unstructured) string {
	if d, is := p.layers().Get(app.GetName()); is {
		return d.Namespace()
	}
	return kube.Text(app.Object, "spec", "destination", "namespace") + "/" + app.GetName()
}

var repositoryNotFollowed = Detector{
	ID: "repository-not-followed", Follows: append([]string{forgeDown.ID, forgeCredentials.ID, redisDown.ID, repoServer.ID, applicationSetController.ID}, below...),
	Symptom: "Folders that were merged become no Applications, or those of a repository all stay as they are.",
	Cause:   "The ApplicationSet of a repository is gone, was changed, or cannot read the repository.",
	ByHand:  "`kubectl describe applicationset -n argocd`; `neuroscale up` puts back what the configuration says.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		var found []Finding
		for _, s := range endpoints.Sources(p.Config.Tenants, p.layers().Names()) {
			o, err := p.get(ctx, kube.ApplicationSets, argocd.Namespace, s.ApplicationSet)
			if err != nil {
				return found, err
			}
			f := Finding{Says: "repository " + s.Repository + " of tenant " + s.Tenant + " is not followed", Object: named("ApplicationSet", argocd.Namespace, s.ApplicationSet), Where: s.Tenant}
			if o == nil {
				f.Saw = "it is not there"
				found = append(found, f)
				continue
			}
			for _, c := range kube.Conditions(o) {
				if c.Type == "ErrorOccurred" && c.Holds {
					f.Saw = sentence(c.Message)
					found = append(found, f)
				}
			}
		}
		return found, nil
	},
}
