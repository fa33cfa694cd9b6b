package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/dashboards"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	pages "github.com/neuroscale-platform/neuroscale/internal/dashboards"
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
		{
			ID: "E3", Title: "the dashboards have something to show", Follows: []string{"E1"},
			Asks: "Asks for the page of every dashboard, and for what is on it: no plot is without an answer, " +
				"and none is empty that has data on every platform.",
			Remedy: "see `kubectl logs -n dashboards deployment/dashboards`, and the runbook, *No costs*",
			Run:    p.unlessCostsAreOff(p.dashboardsHaveData),
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
	var pods []unstructured.Unstructured
	for _, tenant := range p.Config.Namespaces() {
		list, err := p.Cluster.Dynamic.Resource(kube.Pods).Namespace(tenant).List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", fmt.Errorf("list the pods of %s: %w", tenant, err)
		}
		pods = append(pods, list.Items...)
	}
	return billedFor(report, pods, now, time.Duration(p.Config.Cost.Interval))
}

// billedFor is how many tenants a report has with a cost. Each with a pod that has run
// for long enough to be in it has to be among them.
func billedFor(report *showback.Report, pods []unstructured.Unstructured, now time.Time, interval time.Duration) (string, error) {
	costs := map[string]float64{}
	n := 0
	for _, row := range report.Rows {
		costs[row.Name] = row.Cost
		if row.Cost > 0 {
			n++
		}
	}
	known := 4 * interval
	var errs []error
	for _, pod := range pods {
		started := kube.Moment(kube.Text(pod.Object, "status", "startTime"))
		running := kube.Text(pod.Object, "status", "phase") == string(corev1.PodRunning) && started != nil && started.Before(now.Add(-known))
		if running && !(costs[pod.GetNamespace()] > 0) {
			costs[pod.GetNamespace()] = math.Inf(1) // said once
			errs = append(errs, fmt.Errorf("tenant %s costs nothing, and pod %s has run since %s", pod.GetNamespace(), pod.GetName(), started.UTC().Format(time.RFC3339)))
		}
	}
	if n == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("no tenant costs anything"))
	}
	// A pod may have run for longer than anybody has measured.
	if age := now.Sub(report.Start); len(errs) > 0 && age < known && report.Start.After(report.Asked) {
		return "", &showback.Young{For: age.Truncate(time.Second), Needs: known}
	}
	return fmt.Sprintf("%s cost something", count(n, "tenant")), errors.Join(errs...)
}

// dashboardsHaveData asks for each page and its plots, as a browser does.
func (p *Platform) dashboardsHaveData(ctx context.Context) (string, error) {
	if _, err := p.run("dashboards")(ctx); err != nil {
		return "", err
	}
	f := dashboards.Pages
	client := p.Cluster.HTTP(f.Namespace, f.Service, f.Port)
	ask := func(path string, to any) error {
		if err := fetch(ctx, client, "http://"+f.Service+path, to); err != nil {
			return fmt.Errorf("dashboards%s: %w", path, err)
		}
		return nil
	}
	var names []string
	if err := ask("/api/boards", &names); err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", errors.New("there is no dashboard")
	}
	plots, drawn := 0, 0
	var errs []error
	for _, name := range names {
		var view pages.View
		if err := errors.Join(ask("/"+name, nil), ask("/api/boards/"+name, &view)); err != nil {
			errs = append(errs, err)
			continue
		}
		for _, panel := range view.Panels {
			plots++
			switch {
			case panel.Error != "":
				errs = append(errs, fmt.Errorf("dashboard %s, %s: %s", name, panel.Title, panel.Error))
			case len(panel.Lines) > 0:
				drawn++
			case panel.Empty == "":
				errs = append(errs, fmt.Errorf("dashboard %s, %s: it has no data", name, panel.Title))
			}
		}
	}
	return fmt.Sprintf("%s, %d of %s have data", count(len(names), "page"), drawn, count(plots, "plot")), errors.Join(errs...)
}

// fetch asks for an address, and decodes the answer's JSON if it is to go anywhere.
func fetch(ctx context.Context, client *http.Client, address string, to any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 32<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	if to == nil {
		return nil
	}
	return json.Unmarshal(body, to)
}
