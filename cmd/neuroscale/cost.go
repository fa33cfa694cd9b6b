package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	prices "github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
)

// costWithin is how long it may take to add a month up.
const costWithin = time.Minute

type costFlags struct {
	by, window string
	estimate   bool
}

// costWindows are the times that costs are asked for.
var costWindows = []string{"24h", "7d", "month"}

func (a *app) costCommand() *cobra.Command {
	var f costFlags
	var format string
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Show what everything cost, by who had it running",
		Example: "  neuroscale cost\n" +
			"  neuroscale cost --by endpoint --window 7d\n" +
			"  neuroscale cost --by cost-center --window month -o csv\n" +
			"  neuroscale cost --estimate",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.estimate && cmd.Flags().Changed("by") && f.by != string(showback.ByEndpoint) {
				return fmt.Errorf("--estimate is of endpoints: leave out --by %s", f.by)
			}
			if f.estimate {
				f.by = string(showback.ByEndpoint)
			}
			report, err := a.cost(cmd.Context(), f, time.Now())
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return writeJSON(a.out, report)
			case "csv":
				return report.CSV(a.out)
			}
			return report.Text(a.out)
		},
	}
	cmd.Flags().StringVar(&f.by, "by", string(showback.ByOwner), "what to add up by: "+strings.Join(bys(), ", "))
	cmd.Flags().StringVar(&f.window, "window", costWindows[0], "time to add up: 24h, 7d, another number of hours or days, or month, which is since the first of this one (UTC)")
	cmd.Flags().BoolVar(&f.estimate, "estimate", false, "set what the guard estimated beside what endpoints cost (implies --by endpoint)")
	outputFlag(cmd, &format, "text", "json", "csv")
	return cmd
}

func bys() []string {
	var names []string
	for _, by := range showback.Bys {
		names = append(names, string(by))
	}
	return names
}

func (a *app) cost(ctx context.Context, f costFlags, now time.Time) (*showback.Report, error) {
	if !slices.Contains(bys(), f.by) {
		return nil, fmt.Errorf("--by %s is unknown: use %s", f.by, strings.Join(bys(), ", "))
	}
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	start, err := costWindow(f.window, now, cfg.Cost)
	if err != nil {
		return nil, err
	}
	list, cluster, err := a.measured(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := cluster.Reachable(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, costWithin)
	defer cancel()
	report, err := showback.Ask(ctx, showback.Of(cluster, cfg.Cost), start, now, showback.Settings{
		By: showback.By(f.by), Currency: list.Currency, HoursPerMonth: list.HoursPerMonth, Tenants: cfg.Namespaces(),
	})
	if err != nil || !f.estimate {
		return report, err
	}
	estimates, err := estimated(ctx, cluster, cfg, list)
	if err != nil {
		return nil, err
	}
	report.Compare(estimates)
	return report, nil
}

// estimated is what the guard expects of the InferenceServices that there are.
func estimated(ctx context.Context, cluster *kube.Cluster, cfg *config.Config, list *prices.Prices) (map[string]showback.Estimate, error) {
	platform, err := prices.NewPlatform(gitops.FS, cfg.Serving)
	if err != nil {
		return nil, err
	}
	var documents []prices.Document
	for _, tenant := range cfg.Namespaces() {
		services, err := cluster.Dynamic.Resource(kube.InferenceServices).Namespace(tenant).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list the endpoints of %s: %w", tenant, err)
		}
		for _, s := range services.Items {
			documents = append(documents, prices.Document{Endpoint: tenant + "/" + s.GetName(), Object: s.Object})
		}
	}
	expected, err := prices.Compare(nil, documents, prices.Options{Prices: list, Platform: platform, Tenants: cfg.Tenants})
	if err != nil {
		return nil, fmt.Errorf("estimate what the endpoints cost: %w", err)
	}
	estimates := map[string]showback.Estimate{}
	for _, e := range expected.Endpoints {
		estimates[e.Endpoint] = showback.Estimate{Least: e.After.AtMin.Monthly, Most: e.After.AtMax.Monthly, Unbounded: e.After.Unbounded}
	}
	return estimates, nil
}

// measured is what costs are told by: the prices and the cluster, in which they are
// measured.
func (a *app) measured(ctx context.Context, cfg *config.Config) (*prices.Prices, *kube.Cluster, error) {
	if !cfg.Cost.Enabled {
		return nil, nil, fmt.Errorf("neuroscale:cost.enabled is false in Pulumi.%s.yaml, so nothing is measured: write true and run `neuroscale up`", a.stack)
	}
	list, err := prices.DefaultPrices()
	if err != nil {
		return nil, nil, err
	}
	_, cluster, err := a.deployed(ctx)
	return list, cluster, err
}

// costWindow is when a window began that ends now.
func costWindow(text string, now time.Time, c config.Cost) (time.Time, error) {
	if text == "month" {
		year, month, _ := now.UTC().Date()
		return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC), nil
	}
	window, err := config.ParseDuration(text)
	if least := 5 * time.Minute; err != nil || window < least || window > time.Duration(c.Retention) {
		return time.Time{}, fmt.Errorf("--window %s is unknown: use %s, or a time from 5m to %s, which is how long measurements are kept (neuroscale:cost.retention)",
			text, strings.Join(costWindows, ", "), c.Retention)
	}
	return now.Add(-window), nil
}
