package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/doctor"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
	"github.com/neuroscale-platform/neuroscale/internal/status"
	"github.com/neuroscale-platform/neuroscale/internal/verify"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

func (a *app) doctorCommand() *cobra.Command {
	var fix bool
	var format string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why the platform is not well, and repair what can be",
		Long: "Find out why the platform is not well, and repair what can be.\n\n" +
			"It looks for what is known to go wrong, names the cause and not what follows from it, and\n" +
			"says what to do. With --fix it does what is safe, and deletes nothing that somebody made.",
		Example: "  neuroscale doctor\n" +
			"  neuroscale doctor --fix\n" +
			"  neuroscale doctor -s ci -o json",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.doctor(cmd.Context(), fix)
			if err != nil {
				return err
			}
			if format == "json" {
				err = writeJSON(a.out, report)
			} else {
				err = report.Text(a.out)
			}
			if err == nil && !report.Well {
				err = fmt.Errorf("stack %s is not well: see above what was found and what to do", a.stack)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&fix, "fix", false, "repair what can be repaired without losing anything")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) doctor(ctx context.Context, fix bool) (*doctor.Report, error) {
	p, err := a.patient(ctx)
	if err != nil {
		return nil, err
	}
	var report *doctor.Report
	if fix {
		report = doctor.Fix(ctx, p, func(what string) { a.log().Info("repairing", "what", what) })
	} else {
		report = doctor.Look(ctx, p, doctor.Detectors())
	}
	return report, ctx.Err()
}

// patient is the platform with all that a doctor looks at. That its outputs cannot be
// read, or that its cluster is not to be found, is for the doctor to say.
func (a *app) patient(ctx context.Context) (*doctor.Platform, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	stack, err := a.open(ctx, a.program)
	if err != nil {
		return nil, err
	}
	p := &doctor.Platform{
		Stack: a.stack, Config: cfg, State: stack, Proc: "/proc",
		Status: status.Platform{Stack: a.stack, Applications: argocd.Namespace},
	}
	if p.Parts, err = stacks.Parts(cfg); err != nil {
		return nil, err
	}
	if p.Policies, err = policy.Load(gitops.FS); err != nil {
		return nil, err
	}
	chosen, err := a.cluster(ctx, cfg)
	if err == nil {
		p.Chosen, p.Cluster = chosen.Kubeconfig, chosen
	}
	var deployed *kube.Cluster
	p.Outputs, deployed, p.StateError = a.deployed(ctx)
	if p.StateError == nil {
		p.Cluster = deployed
		p.HTTP = predict.NewClient(verify.Whole, p.Outputs.Authority)
		if p.Status, err = a.wanted(cfg, p.Outputs); err != nil {
			return nil, err
		}
	}
	if c := p.Cluster; c != nil {
		p.Reachable, p.Dial, p.Logs, p.Costs = c.Reachable, c.DialContext, c.Logs, showback.Of(c, cfg.Cost)
	}
	return p, nil
}
