package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/progress"
)

// previewReport is the -o json of preview.
type previewReport struct {
	Stack   string                 `json:"stack"`
	Changed bool                   `json:"changed"`
	Changes automation.Changes     `json:"changes"`
	Layers  []progress.PhaseChange `json:"layers"`
	Seconds float64                `json:"seconds"`
}

func (a *app) previewCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "preview",
		Short: "Show what `up` would change, layer by layer; needs neither state nor a cluster",
		Args:  exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.preview(cmd.Context())
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.out, report)
			}
			return report.print(a.out)
		},
	}
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) preview(ctx context.Context) (*previewReport, error) {
	if _, err := a.config(); err != nil {
		return nil, err
	}
	stack, err := a.open(ctx, a.program)
	if err != nil {
		return nil, err
	}
	plan := progress.NewPlan()
	result, err := stack.Preview(ctx, plan.Observe)
	if err != nil {
		return nil, err
	}
	return &previewReport{
		Stack: a.stack, Changed: result.Changes.Any(), Changes: result.Changes, Layers: plan.Phases(), Seconds: result.Seconds,
	}, nil
}

func (r *previewReport) print(w io.Writer) error {
	if !r.Changed {
		fmt.Fprintf(w, "nothing to change: the %d resources of stack %s are as wanted (%.1fs)\n", r.Changes["same"], r.Stack, r.Seconds)
		return nil
	}
	for _, l := range r.Layers {
		if len(l.Resources) == 0 {
			continue
		}
		fmt.Fprintf(w, "%s: %s\n", l.Name, counts(l.Changes))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, res := range l.Resources {
			diffs := ""
			if len(res.Diffs) > 0 {
				diffs = "\t" + strings.Join(res.Diffs, ", ")
			}
			fmt.Fprintf(t, "  %s\t%s\t%s%s\n", res.Op, res.Kind, res.Name, diffs)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nstack %s: %s (%.1fs)\n", r.Stack, counts(r.Changes), r.Seconds)
	return nil
}

// counts reads like "3 to create, 1 to update, 40 unchanged".
func counts(c map[string]int) string {
	var parts []string
	for _, op := range []string{"create", "update", "replace", "delete"} {
		if n := c[op]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, op))
		}
	}
	if n := c["same"]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d unchanged", n))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
