package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/preview"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

func (a *app) previewCommand() *cobra.Command {
	var format, base string
	cmd := &cobra.Command{
		Use:   "preview",
		Short: "Show what `up` would change, layer by layer; needs neither state nor a cluster",
		Example: "  neuroscale preview\n" +
			"  neuroscale preview -o json >before.json\n" +
			"  neuroscale preview --base before.json -o markdown",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.preview(cmd.Context(), base)
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
	cmd.Flags().StringVar(&base, "base", "", "file with the -o json of another preview: show the changes since that one, not since the last up")
	outputFlag(cmd, &format, "text", "json", "markdown")
	return cmd
}

func (a *app) preview(ctx context.Context, base string) (*preview.Report, error) {
	var before *preview.Report
	if base != "" {
		raw, err := os.ReadFile(base)
		if err != nil {
			return nil, fmt.Errorf("read the preview to compare with (--base): %w", err)
		}
		if before, err = preview.Read(raw); err != nil {
			return nil, fmt.Errorf("--base %s: %w", base, err)
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
	result, err := stack.Preview(ctx, recording.Observe)
	if err != nil {
		return nil, err
	}
	report := recording.Report(a.stack, result)
	if before != nil {
		if err := report.Since(before); err != nil {
			return nil, fmt.Errorf("--base %s: %w", base, err)
		}
	}
	return report, nil
}
