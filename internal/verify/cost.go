package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
)

// billed is the time over which costs are asked for.
const billed = 15 * time.Minute

func (p *Platform) cost() []check.Check {
	return []check.Check{
		{
			ID: "E1", Title: "what measures and prices runs",
			Asks:   "Every Deployment and StatefulSet in the namespaces of its layers has all its pods, ready.",
			Remedy: "see `kubectl get pods -n prometheus-system` and `-n opencost`, and the runbook, *No costs*",
			Run:    p.unlessCostsAreOff(p.run("cost")),
		},
		{
			ID: "E2", Title: "every tenant that runs something is billed for it", Follows: []string{"E1"},
			Asks: fmt.Sprintf("Asks OpenCost what the last %s cost. Each tenant with a pod that ran when it was last measured "+
				"is in its answer with more than nothing.", billed),
			Remedy: "see the runbook, *No costs*",
			Run:    p.unlessCostsAreOff(p.tenantsAreBilled),
		},
	}
}

func (p *Platform) unlessCostsAreOff(ask func(context.Context) (string, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if !p.Config.Cost.Enabled {
			return "", check.Off("neuroscale:cost.enabled is false")
		}
		return ask(ctx)
	}
}

func (p *Platform) tenantsAreBilled(ctx context.Context) (string, error) {
	now := time.Now()
	report, err := showback.Ask(ctx, showback.Of(p.Cluster, p.Config.Cost), now.Add(-billed), now,
		showback.Settings{By: showback.ByTenant, Tenants: p.Config.Namespaces()})
	if err != nil {
		return "", err
	}
	costs := map[string]float64{}
	for _, row := range report.Rows {
		costs[row.Name] = row.Cost
	}
	before := now.Add(-4 * time.Duration(p.Config.Cost.Interval))
	n := 0
	err = every(p.Config.Namespaces(), func(tenant string) error {
		list, err := p.Cluster.Dynamic.Resource(kube.Pods).Namespace(tenant).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("list the pods of %s: %w", tenant, err)
		}
		for _, pod := range list.Items {
			started := kube.Moment(kube.Text(pod.Object, "status", "startTime"))
			running := kube.Text(pod.Object, "status", "phase") == string(corev1.PodRunning) && started != nil && started.Before(before)
			if running && !(costs[tenant] > 0) {
				return fmt.Errorf("tenant %s costs nothing, and pod %s has run since %s", tenant, pod.GetName(), started.UTC().Format(time.RFC3339))
			}
		}
		return nil
	})
	for _, cost := range costs {
		if cost > 0 {
			n++
		}
	}
	if n == 0 && err == nil {
		err = errors.New("no tenant costs anything")
	}
	return fmt.Sprintf("%s cost something", count(n, "tenant")), err
}
