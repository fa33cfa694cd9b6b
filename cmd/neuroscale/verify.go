package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/internal/verify"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

type verifyFlags struct {
	list bool
	only []string
	wait time.Duration
}

func (a *app) verifyCommand() *cobra.Command {
	var f verifyFlags
	var format string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that the platform works: ask it everything it promises",
		Example: "  neuroscale verify\n" +
			"  neuroscale verify --list\n" +
			"  neuroscale verify --only B,D3 -o json\n" +
			"  neuroscale verify --wait 2m -o junit >verify.xml",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.list {
				return a.listChecks(f, format)
			}
			report, err := a.verify(cmd.Context(), f)
			if err != nil {
				return err
			}
			switch format {
			case "json":
				err = writeJSON(a.out, report)
			case "junit":
				err = report.JUnit(a.out)
			default:
				err = report.Text(a.out)
			}
			if err == nil && !report.Well {
				err = fmt.Errorf("stack %s is not well: %d of %d checks failed, %d were skipped", a.stack, report.Failed, len(report.Checks), report.Skipped)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&f.list, "list", false, "list the checks and ask nothing")
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "IDs of checks, or letters of groups, to run no others")
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "how long to ask again until all is well, such as 2m (default: ask once)")
	outputFlag(cmd, &format, "text", "json", "junit")
	return cmd
}

// listedCheck is a check in the -o json of --list.
type listedCheck struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Asks    string   `json:"asks"`
	Remedy  string   `json:"remedy"`
	Follows []string `json:"follows,omitempty"`
}

func (a *app) listChecks(f verifyFlags, format string) error {
	chosen, err := check.Select((&verify.Platform{}).Checks(), f.only)
	if err != nil {
		return err
	}
	if format == "json" {
		list := []listedCheck{}
		for _, c := range chosen {
			list = append(list, listedCheck{c.ID, c.Title, c.Asks, c.Remedy, c.Follows})
		}
		return writeJSON(a.out, list)
	}
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, c := range chosen {
		fmt.Fprintf(t, "%s\t%s\n", c.ID, c.Title)
	}
	return t.Flush()
}

// verify asks the platform, and with f.wait again until it is well.
func (a *app) verify(ctx context.Context, f verifyFlags) (*check.Report, error) {
	start := time.Now()
	// A wrong ID is said before anything is asked.
	if _, err := check.Select((&verify.Platform{}).Checks(), f.only); err != nil {
		return nil, err
	}
	p, err := a.toVerify(ctx)
	if err != nil {
		return nil, err
	}
	checks, err := check.Select(p.Checks(), f.only)
	if err != nil {
		return nil, err
	}
	put, err := p.Tidy(ctx, time.Now())
	for _, what := range put {
		a.log().Warn("an earlier run was killed: put back or removed", "what", what)
	}
	if err != nil {
		a.log().Warn("what an earlier run may have left cannot be looked for", "error", err)
	}
	for begin := start; ; begin = time.Now() {
		asking, cancel := context.WithDeadline(ctx, begin.Add(verify.Whole-check.Farewell))
		report := check.Run(asking, a.stack, checks)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case report.Well, time.Since(start) >= f.wait:
			report.Seconds = time.Since(start).Seconds()
			return report, nil
		}
		var failed []string
		for _, c := range report.Checks {
			if c.Status != check.Pass && !c.Off {
				failed = append(failed, c.ID)
			}
		}
		a.log().Info("not well yet, asking again", "failed", strings.Join(failed, ","), "after", time.Since(start).Round(time.Second))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// toVerify is what there should be of the stack, and the ways to ask it.
func (a *app) toVerify(ctx context.Context) (*verify.Platform, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	out, cluster, err := a.deployed(ctx)
	if err != nil {
		return nil, err
	}
	p := &verify.Platform{
		Config: cfg, Outputs: out, Cluster: cluster, HTTP: predict.NewClient(verify.Whole, out.Authority), Run: strings.ToLower(rand.Text()[:6]),
		Drift: func(ctx context.Context) ([]string, error) {
			// To look into a cluster in Docker that is stopped would remove it.
			if err := cluster.Reachable(ctx); err != nil {
				return nil, err
			}
			return a.drift(ctx)
		},
	}
	if p.Status, err = a.wanted(cfg, out); err != nil {
		return nil, err
	}
	if p.Parts, err = stacks.Parts(cfg); err != nil {
		return nil, err
	}
	if p.Policies, err = policy.Load(gitops.FS); err != nil {
		return nil, err
	}
	images, err := stacks.Pinned(cfg)
	p.PythonImage = images.Python
	return p, err
}

// drift is what others did to what the program applied, a sentence each.
func (a *app) drift(ctx context.Context) ([]string, error) {
	stack, err := a.open(ctx, a.program)
	if err != nil {
		return nil, err
	}
	drift, err := stack.Drift(ctx)
	var said []string
	for _, d := range drift {
		said = append(said, d.String())
	}
	return said, err
}
