package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
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
	// Trees are the layers' contents by layer.
	Trees map[string]treeMove `json:"trees"`
	// Resources are all that are wanted, changed or not.
	Resources []wantedResource `json:"resources"`
	// Base is set if the changes are those since another preview, not since the
	// last up.
	Base    bool    `json:"base,omitempty"`
	Seconds float64 `json:"seconds"`
}

func (a *app) previewCommand() *cobra.Command {
	var format, base string
	cmd := &cobra.Command{
		Use:   "preview",
		Short: "Show what `up` would change, layer by layer; needs neither state nor a cluster",
		Args:  exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var before *previewReport
			if base != "" {
				var err error
				if before, err = readPreview(base); err != nil {
					return err
				}
			}
			report, err := a.preview(cmd.Context())
			if err != nil {
				return err
			}
			if before != nil {
				if err := report.since(before); err != nil {
					return fmt.Errorf("--base %s: %w", base, err)
				}
			}
			switch format {
			case "json":
				return writeJSON(a.out, report)
			case "markdown":
				_, err := io.WriteString(a.out, report.markdown())
				return err
			}
			return report.print(a.out)
		},
	}
	cmd.Flags().StringVar(&base, "base", "", "file with the -o json of another preview: show the changes since that one, not since the last up")
	outputFlag(cmd, &format, "text", "json", "markdown")
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
	plan, wanted := progress.NewPlan(), newInventory()
	result, err := stack.Preview(ctx, func(e apitype.EngineEvent) {
		plan.Observe(e)
		wanted.observe(e)
	})
	if err != nil {
		return nil, err
	}
	return &previewReport{
		Stack: a.stack, Changed: result.Changed, Changes: result.Changes, Layers: plan.Phases(),
		Trees: wanted.trees, Resources: wanted.list(), Seconds: result.Seconds,
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

// operations are the kinds of change, in the order people read them.
var operations = []string{"create", "update", "replace", "delete"}

// counts reads like "3 to create, 1 to update, 40 unchanged".
func counts(c map[string]int) string {
	var parts []string
	for _, op := range operations {
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
