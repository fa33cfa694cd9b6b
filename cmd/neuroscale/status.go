package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keypair"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/status"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// answerWithin is how long the cluster may take for a look at it.
const answerWithin = 5 * time.Second

func (a *app) statusCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show how the platform is, and what to do about what is wrong",
		Example: "  neuroscale status\n  neuroscale status -o json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.status(cmd.Context())
			if err != nil {
				return err
			}
			if format == "json" {
				err = writeJSON(a.out, report)
			} else {
				err = report.Text(a.out)
			}
			if err == nil && !report.Well {
				err = fmt.Errorf("stack %s is not well: see above what to do next", a.stack)
			}
			return err
		},
	}
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) status(ctx context.Context) (*status.Report, error) {
	start := time.Now()
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	out, cluster, err := a.deployed(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := a.wanted(cfg, out)
	if err != nil {
		return nil, err
	}
	var report *status.Report
	err = answered(ctx, cluster, func(ctx context.Context) (err error) {
		report, err = status.Read(ctx, cluster.Dynamic, wanted, time.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	report.Seconds = time.Since(start).Seconds()
	return report, nil
}

// wanted is the platform as the settings and what was delivered say.
func (a *app) wanted(cfg *config.Config, out *stacks.Outputs) (status.Platform, error) {
	p := status.Platform{Stack: a.stack, Applications: argocd.Namespace}
	layers, err := stacks.Layers(cfg)
	if err != nil {
		return p, err
	}
	for _, d := range layers {
		w := status.Wanted{Name: d.Name, Version: out.Layers[d.Name].Version, Hash: out.Layers[d.Name].Hash}
		if d.ByProgram {
			w.Namespace = d.Namespace()
		}
		p.Layers = append(p.Layers, w)
	}
	p.Certificates, err = certificatesOf(out, cfg.TLS, a.stack)
	if err != nil {
		return p, err
	}
	for _, t := range cfg.Tenants {
		p.Tenants = append(p.Tenants, status.Share{Tenant: t.Namespace, Quota: tenancy.QuotaName(t.Namespace)})
	}
	return p, nil
}

// certificatesOf are those that servers show, and the authority's if it is not the
// program's, which renews its own.
func certificatesOf(out *stacks.Outputs, t config.TLS, stack string) ([]status.Certificate, error) {
	var all []status.Certificate
	up := fmt.Sprintf("`neuroscale up -s %s` makes a new one", stack)
	for name, ends := range out.Certificates {
		all = append(all, status.Certificate{Name: name, Ends: ends, Renew: ends.Add(-time.Duration(t.RenewBefore)), How: up})
	}
	ends, err := keypair.Ends(out.Authority)
	if err != nil {
		return nil, fmt.Errorf("the stack's output %s: %w", stacks.OutputAuthority, err)
	}
	how := up + ", which everybody then has to trust"
	if t.Authority != (config.KeyPair{}) {
		how = fmt.Sprintf("write another one to neuroscale:tls.authority in Pulumi.%s.yaml", stack)
	}
	return append(all, status.Certificate{
		Name: "the authority", Ends: ends, Renew: ends.Add(-max(time.Duration(t.Validity), time.Duration(t.RenewBefore))), How: how,
	}), nil
}

// answered looks at the cluster. One that does not answer meanwhile is the error,
// whatever the look found first.
func answered(ctx context.Context, cluster *kube.Cluster, look func(context.Context) error) error {
	reached := make(chan error, 1)
	go func() { reached <- cluster.Reachable(ctx) }()
	looking, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err := look(looking)
	if err == nil {
		return nil
	}
	if unreachable := <-reached; unreachable != nil {
		return unreachable
	}
	return err
}
