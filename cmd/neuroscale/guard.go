package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
)

type guardFlags struct {
	base, namespace, cpu, memory, prices string
	cluster                              bool
}

func (a *app) guardCommand() *cobra.Command {
	var f guardFlags
	var format string
	cmd := &cobra.Command{
		Use:   "guard PATH...",
		Short: "Check endpoints before they are merged",
		Long: "Check the manifests of endpoints before they are merged, as CI does: that Argo CD can read them, that they fit\n" +
			"the schemas of their kinds, and that no policy refuses them, by Kyverno's own command line and by the API\n" +
			"server's library, which have to agree. With --base also say what the change does to resources, cost and quotas.\n\n" +
			"A PATH is a file or a folder with all that is in it. What was not checked makes the command fail.",
		Example: "  neuroscale guard apps\n" +
			"  neuroscale guard apps/my-iris --namespace default\n" +
			"  neuroscale guard apps --base origin/main -o markdown",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("guard needs at least one PATH: name the folder of the endpoints, such as apps")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			// A run allocates a lot and ends soon: leave the cores to the engines.
			defer debug.SetGCPercent(debug.SetGCPercent(400))
			report, err := a.guard(cmd.Context(), args, f)
			if err != nil {
				return err
			}
			switch format {
			case guard.FormatJSON:
				err = writeJSON(a.out, report)
			case guard.FormatMarkdown:
				err = report.Markdown(a.out)
			case guard.FormatSARIF:
				err = report.SARIF(a.out)
			default:
				err = report.Text(a.out)
			}
			if err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
			return report.Err()
		},
	}
	cmd.Flags().StringVar(&f.base, "base", "", "Git reference to compare with, such as origin/main")
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "the tenant whose endpoints these are, by its namespace (default: objects may be in any tenant's, by default the first one's)")
	cmd.Flags().BoolVar(&f.cluster, "cluster", false, "also ask the stack's cluster, by a dry-run that stores nothing")
	cmd.Flags().StringVar(&f.cpu, "cpu-threshold", guard.DefaultCPUThreshold, "with --base: a change of so much CPU is flagged")
	cmd.Flags().StringVar(&f.memory, "memory-threshold", guard.DefaultMemoryThreshold, "with --base: a change of so much memory is flagged")
	cmd.Flags().StringVar(&f.prices, "prices", "", "with --base: file with prices (default: the platform's)")
	outputFlag(cmd, &format, guard.FormatText, guard.FormatJSON, guard.FormatMarkdown, guard.FormatSARIF)
	return cmd
}

func (a *app) guard(ctx context.Context, paths []string, f guardFlags) (*guard.Report, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	renderCache, err := a.renderCache()
	if err != nil {
		return nil, err
	}
	o := guard.Options{
		Paths: paths, Base: f.base, Tenants: cfg.Tenants, Namespace: f.namespace,
		GitOps: gitops.FS, RenderCache: renderCache, SchemaCache: filepath.Join(filepath.Dir(renderCache), "schemas"),
		Kyverno: a.getenv("NEUROSCALE_KYVERNO"),
	}
	layers, err := a.layers()
	if err != nil {
		return nil, err
	}
	o.Excluded = endpoints.Excluded(cfg.Tenants, cmp.Or(f.namespace, cfg.Tenants[0].Namespace), layers.Names())
	o.Kinds = reviews.Rules(cfg, layers.Names()).Kinds
	if o.Cost.Thresholds, err = cost.ParseThresholds(f.cpu, f.memory); err != nil {
		return nil, err
	}
	if o.Cost.Platform, err = cost.NewPlatform(gitops.FS, cfg.Serving); err != nil {
		return nil, err
	}
	if f.prices != "" {
		data, err := os.ReadFile(f.prices)
		if err != nil {
			return nil, fmt.Errorf("read the prices (--prices): %w", err)
		}
		if o.Cost.Prices, err = cost.LoadPrices(data); err != nil {
			return nil, fmt.Errorf("--prices %s: %w", f.prices, err)
		}
	}
	if f.cluster {
		if o.Cluster, err = a.cluster(ctx, cfg); err != nil {
			return nil, err
		}
	}
	return guard.Run(ctx, o)
}
