package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/status"
)

func (p *Platform) gitops() []check.Check {
	return []check.Check{
		{
			ID: "A1", Title: "the cluster answers and its nodes can take pods", First: true,
			Asks:   "Asks the API server whether it is ready, and every node for its conditions.",
			Remedy: "see `neuroscale status`, and on a sealed machine `sealed status`",
			Run:    p.clusterAnswers,
		},
		{
			ID: "A2", Title: "Argo CD runs",
			Asks:   "Every Deployment and StatefulSet in the namespaces of its layer has all its pods, ready.",
			Remedy: "see `kubectl get pods -n argocd`; `neuroscale up` puts back what is missing",
			Run:    p.run("argocd"),
		},
		{
			ID: "A3", Title: "every layer is synced and healthy at the revision of the outputs", Follows: []string{"A2", "B1", "C5", "D1", "E1", "E3"},
			Asks:   "Each layer's Application compared and synced the very commit of the hash that the stack's outputs name, and is healthy.",
			Remedy: "see `neuroscale status`, then `kubectl describe application LAYER -n argocd`; `neuroscale up` asks for the right revision",
			Run:    p.layersAreSynced,
		},
		{
			ID: "A4", Title: "every folder that people merged is synced and healthy", Follows: []string{"A2"},
			Asks:   "Each Application of a tenant is synced and healthy, unless all it waits for is an endpoint that B2 is about.",
			Remedy: "see `kubectl describe application NAME -n argocd`: a refused manifest says which rule refused it",
			Run:    p.foldersAreSynced,
		},
		{
			ID: "A5", Title: "Argo CD compares Git with the cluster", Follows: []string{"A2", "C7"}, Limit: 12 * time.Second,
			Asks:   "One Application of each project, and each that is Unknown, is compared anew within seconds when asked to, and not Unknown then.",
			Remedy: "see `kubectl logs -n argocd deployment/argocd-repo-server` and `statefulset/argocd-application-controller`",
			Run:    p.argoCompares,
		},
		{
			ID: "A6", Title: "a deleted Deployment of an endpoint's folder comes back", Follows: []string{"A2", "A4", "A5", "C7"}, Alone: true, Limit: 12 * time.Second,
			Asks: "Deletes a Deployment that a tenant merged, but not its pods, which go on, and waits until it is there and " +
				"available again. What was deleted is kept meanwhile, so that the next run puts it back if this one is killed.",
			Remedy: "see `kubectl describe application NAME -n argocd`: its syncPolicy has to say selfHeal",
			Run:    p.folderHeals,
		},
		{
			ID: "A7", Title: "a deleted object of a layer comes back, and every layer would heal", Follows: []string{"A2", "A3", "A5", "B1", "C5", "D1", "E1", "E3"}, Alone: true, Limit: 15 * time.Second,
			Asks: "Deletes a Deployment of a layer, but not its pods, or else a Role, and waits as above. " +
				"The Application of every layer says selfHeal.",
			Remedy: "see `kubectl describe application LAYER -n argocd`: its syncPolicy has to say selfHeal; `neuroscale up` puts that back",
			Run:    p.layersHeal,
		},
		{
			ID: "A8", Title: "nobody changed what the program applied", Limit: 24 * time.Second, Apart: true,
			Asks:   "Has Pulumi compare every object it applied itself with the cluster.",
			Remedy: "find out who it was (on a sealed node `sealed logs audit`), then `neuroscale up` puts it back",
			Run:    p.nothingDrifted,
		},
	}
}

func (p *Platform) clusterAnswers(ctx context.Context) (string, error) {
	if err := p.Cluster.Reachable(ctx); err != nil {
		return "", err
	}
	found, err := p.list(ctx, kube.Nodes, "", "")
	if err != nil {
		return "", err
	}
	var errs []error
	open := 0
	for i := range found {
		ready := false
		for _, c := range kube.Conditions(&found[i]) {
			switch {
			case c.Type == "Ready":
				ready = c.Holds
			case c.Holds:
				errs = append(errs, fmt.Errorf("node %s has %s: %s", found[i].GetName(), c.Type, c.Message))
			}
		}
		if !ready {
			errs = append(errs, fmt.Errorf("node %s is not ready", found[i].GetName()))
		}
		if closed, _, _ := unstructured.NestedBool(found[i].Object, "spec", "unschedulable"); !closed {
			open++
		}
	}
	if open == 0 {
		errs = append(errs, errors.New("no node takes new pods"))
	}
	return fmt.Sprintf("%s, %d of them ready without pressure", count(len(found), "node"), len(found)), errors.Join(errs...)
}

// run is a check that the workloads of a part's layers run, and those in more
// namespaces.
func (p *Platform) run(part string, more ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		var all []string
		var errs []error
		for _, namespace := range slices.Concat(p.part(part).Namespaces(), more) {
			names, wrong := p.workloads(ctx, namespace)
			if len(names)+len(wrong) == 0 {
				wrong = []error{fmt.Errorf("nothing runs in namespace %s", namespace)}
			}
			all, errs = append(all, names...), append(errs, wrong...)
		}
		if len(all)+len(errs) == 0 {
			errs = append(errs, fmt.Errorf("part %s has no namespace", part))
		}
		return strings.Join(all, ", ") + " run", errors.Join(errs...)
	}
}

func (p *Platform) layersAreSynced(ctx context.Context) (string, error) {
	report, err := status.Read(ctx, p.Cluster.Dynamic, p.Status, time.Now())
	if err != nil {
		return "", err
	}
	var errs []error
	var seen []string
	for _, l := range report.Layers {
		switch {
		case l.ByProgram:
		case l.Why != "":
			errs = append(errs, fmt.Errorf("layer %s: %s", l.Name, l.Why))
		default:
			seen = append(seen, l.Name+" at "+l.Running)
		}
	}
	if len(seen)+len(errs) == 0 {
		errs = append(errs, errors.New("there is no layer"))
	}
	return strings.Join(seen, ", "), errors.Join(errs...)
}

func (p *Platform) foldersAreSynced(ctx context.Context) (string, error) {
	report, err := status.Read(ctx, p.Cluster.Dynamic, p.Status, time.Now())
	if err != nil {
		return "", err
	}
	var errs []error
	for _, f := range report.Folders {
		errs = append(errs, fmt.Errorf("folder %s of tenant %s: %s", f.Application, f.Tenant, f.Why))
	}
	apps, err := p.folders(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for i := range apps {
		names = append(names, apps[i].GetName())
	}
	if len(names) == 0 {
		errs = append(errs, errors.New("there is no Application of a tenant"))
	}
	return strings.Join(names, ", "), errors.Join(errs...)
}

// applications are all of Argo CD's, but those of a run of this.
func (p *Platform) applications(ctx context.Context) ([]unstructured.Unstructured, error) {
	return p.list(ctx, kube.Applications, argocd.Namespace, "!"+label)
}

// folders are the Applications of tenants.
func (p *Platform) folders(ctx context.Context) ([]unstructured.Unstructured, error) {
	apps, err := p.applications(ctx)
	return slices.DeleteFunc(apps, func(app unstructured.Unstructured) bool {
		return kube.Text(app.Object, "spec", "project") == argocd.PlatformProject
	}), err
}

func (p *Platform) argoCompares(ctx context.Context) (string, error) {
	apps, err := p.applications(ctx)
	if err != nil {
		return "", err
	}
	var asked []*unstructured.Unstructured
	projects := map[string]bool{}
	for i := range apps {
		app := &apps[i]
		project := kube.Text(app.Object, "spec", "project")
		if unknown(app) || !projects[project] {
			asked = append(asked, app)
		}
		projects[project] = true
	}
	if len(asked) == 0 {
		return "", errors.New("there is no Application")
	}
	start := time.Now()
	err = every(asked, func(app *unstructured.Unstructured) error { return p.compareAnew(ctx, app) })
	return fmt.Sprintf("%s of %s, none of them Unknown; %d compared anew within %.1fs",
		count(len(apps), "Application"), count(len(projects), "project"), len(asked), time.Since(start).Seconds()), err
}

// unknown is whether Argo CD does not know how an Application is.
func unknown(app *unstructured.Unstructured) bool {
	return slices.ContainsFunc([]string{"sync", "health"}, func(part string) bool {
		said := kube.Text(app.Object, "status", part, "status")
		return said == "" || said == "Unknown"
	})
}

// compareAnew asks Argo CD for a comparison that is not taken from its cache, and
// waits for it.
func (p *Platform) compareAnew(ctx context.Context, app *unstructured.Unstructured) error {
	api := p.Cluster.Dynamic.Resource(kube.Applications).Namespace(app.GetNamespace())
	begin := time.Now().Truncate(time.Second)
	if _, err := api.Patch(ctx, app.GetName(), types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"hard"}}}`), metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("ask for a comparison of Application %s: %w", app.GetName(), err)
	}
	return p.await(ctx, "Application "+app.GetName(), func(ctx context.Context) (string, error) {
		now, err := p.get(ctx, kube.Applications, app.GetNamespace(), app.GetName())
		if err != nil || now == nil {
			return "it is gone", err
		}
		if at := kube.Moment(kube.Text(now.Object, "status", "reconciledAt")); at == nil || at.Before(begin) || now.GetAnnotations()["argocd.argoproj.io/refresh"] != "" {
			return "it was not compared anew", nil
		}
		if unknown(now) {
			return "its comparison ended Unknown: " + comparisonError(now), nil
		}
		return "", nil
	})
}

// comparisonError is what Argo CD says against an Application.
func comparisonError(app *unstructured.Unstructured) string {
	for _, c := range kube.Conditions(app) {
		if strings.HasSuffix(c.Type, "Error") {
			return c.Type + ": " + c.Message
		}
	}
	return "it does not say why"
}

// await looks until nothing is missing any more; the error is what was missing last.
func (p *Platform) await(ctx context.Context, what string, missing func(context.Context) (string, error)) error {
	last := "nothing was seen of it"
	err := wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		why, err := missing(ctx)
		switch {
		case err == nil && why == "":
			return true, nil
		case err == nil:
			last = why
		case ctx.Err() == nil:
			last = err.Error()
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %s (%w)", what, last, err)
	}
	return nil
}

func (p *Platform) nothingDrifted(ctx context.Context) (string, error) {
	drift, err := p.Drift(ctx)
	if err != nil {
		return "", err
	}
	var errs []error
	for _, each := range drift {
		errs = append(errs, errors.New(each))
	}
	return "every object is as it was applied", errors.Join(errs...)
}
