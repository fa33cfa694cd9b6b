package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/preview"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

func (a *app) previewCommand() *cobra.Command {
	var format string
	var f previewFlags
	cmd := &cobra.Command{
		Use:   "preview",
		Short: "Show what `up` would change, layer by layer; needs neither state nor a cluster",
		Example: "  neuroscale preview\n" +
			"  neuroscale preview -o json >before.json\n" +
			"  neuroscale preview --base before.json -o markdown",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.insist = cmd.Flags().Changed("refresh")
			report, err := a.preview(cmd.Context(), f)
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return writeJSON(a.out, report)
			case "markdown":
				return report.Markdown(a.out)
			}
			return report.Text(a.out)
		},
	}
	cmd.Flags().StringVar(&f.base, "base", "", "file with the -o json of another preview: show the changes since that one, not since the last up")
	cmd.Flags().BoolVar(&f.refresh, "refresh", true, "look also for what others deleted or changed in the cluster, if it answers")
	outputFlag(cmd, &format, "text", "json", "markdown")
	return cmd
}

type previewFlags struct {
	base string
	// refresh looks at the cluster, insist makes it an error if that cannot be.
	refresh, insist bool
}

func (a *app) preview(ctx context.Context, f previewFlags) (*preview.Report, error) {
	var before *preview.Report
	if f.base != "" {
		raw, err := os.ReadFile(f.base)
		if err != nil {
			return nil, fmt.Errorf("read the preview to compare with (--base): %w", err)
		}
		if before, err = preview.Read(raw); err != nil {
			return nil, fmt.Errorf("--base %s: %w", f.base, err)
		}
	}
	if _, err := a.config(); err != nil {
		return nil, err
	}
	stack, err := a.open(ctx, a.program)
	if err != nil {
		return nil, err
	}
	recording := preview.Record(stacks.OutputLayers)
	refresh := f.refresh && f.base == "" && stack.Exists()
	if refresh {
		if _, _, err := a.reachable(ctx); err != nil {
			if f.insist {
				return nil, err
			}
			a.log().Warn("changes that others made in the cluster are not looked for: it does not answer", "error", err)
			refresh = false
		}
	}
	result, err := stack.Preview(ctx, automation.PreviewOptions{Refresh: refresh}, recording.Observe)
	if err != nil {
		return nil, err
	}
	report := recording.Report(a.stack, result)
	if before != nil {
		if err := report.Since(before); err != nil {
			return nil, fmt.Errorf("--base %s: %w", f.base, err)
		}
	}
	return report, nil
}
