package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
)

type endpointsFlags struct {
	namespace string
	lines     int
}

func (a *app) endpointsCommand() *cobra.Command {
	var f endpointsFlags
	var format string
	cmd := &cobra.Command{
		Use:   "endpoints [NAME]",
		Short: "List the endpoints, or show everything about one",
		Example: "  neuroscale endpoints\n" +
			"  neuroscale endpoints -n team-b -o json\n" +
			"  neuroscale endpoints demo-iris-2 --logs 50",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("endpoints takes at most one NAME, got %s: see `%s --help`", strings.Join(args, " "), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.lines < 0 {
				return fmt.Errorf("--logs %d is negative: use 0 for none, or a number of lines", f.lines)
			}
			if len(args) == 0 {
				return a.listEndpoints(cmd.Context(), f, format)
			}
			return a.describeEndpoint(cmd.Context(), args[0], f, format)
		},
	}
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "tenant whose endpoints are meant (default: all)")
	cmd.Flags().IntVar(&f.lines, "logs", 20, "how many of the last lines of a failing container's log to show of the one")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) listEndpoints(ctx context.Context, f endpointsFlags, format string) error {
	_, cluster, err := a.deployed(ctx)
	if err != nil {
		return err
	}
	var all []endpoint.Endpoint
	err = answered(ctx, cluster, func(ctx context.Context) (err error) {
		all, err = endpoint.Every(ctx, cluster.Dynamic, f.namespace)
		return err
	})
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(a.out, all)
	}
	return endpoint.Table(a.out, all, time.Now())
}

func (a *app) describeEndpoint(ctx context.Context, name string, f endpointsFlags, format string) error {
	_, cluster, err := a.deployed(ctx)
	if err != nil {
		return err
	}
	var detail *endpoint.Detail
	err = answered(ctx, cluster, func(ctx context.Context) (err error) {
		detail, err = endpoint.Describe(ctx, cluster.Dynamic, cluster.Logs, f.namespace, name, f.lines)
		return err
	})
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(a.out, detail)
	}
	return detail.Text(a.out, time.Now())
}
