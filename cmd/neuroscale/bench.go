package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/bench"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

type benchFlags struct {
	only               []string
	sealed, sealedName string
	noFail             bool
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	var format string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what the platform promises, on the running platform",
		Example: "  neuroscale bench --only drift,latency-p50\n" +
			"  neuroscale bench --sealed bin/sealed -o json",
		Long: "Measure what the platform promises, on the running platform, and say which promises were kept.\n\n" +
			"With --sealed the platform and its node are taken down and up again: what was pushed to its forge is lost.",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			results, err := a.bench(cmd.Context(), f)
			if err != nil {
				return err
			}
			if format == "json" {
				err = writeJSON(a.out, results)
			} else {
				err = bench.Table(a.out, results)
			}
			if err != nil || f.noFail {
				return err
			}
			return bench.Missed(results)
		},
	}
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "measure only these, by name")
	cmd.Flags().StringVar(&f.sealed, "sealed", "", "path of the sealed program: also measure taking the node down and up")
	cmd.Flags().StringVar(&f.sealedName, "sealed-name", "default", "name of the sealed node")
	cmd.Flags().BoolVar(&f.noFail, "no-fail", false, "exit 0 even if a target is missed")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) bench(ctx context.Context, f benchFlags) ([]bench.Result, error) {
	targets, err := bench.Select(f.only, f.sealed != "")
	if err != nil {
		return nil, err
	}
	platform, err := a.platform(ctx, f)
	if err != nil {
		return nil, err
	}
	return bench.Run(ctx, platform, targets)
}

func (a *app) platform(ctx context.Context, f benchFlags) (*bench.Platform, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	project, err := a.project()
	if err != nil {
		return nil, err
	}
	out, cluster, err := a.deployed(ctx)
	if err != nil {
		return nil, err
	}
	if err := cluster.Reachable(ctx); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p := &bench.Platform{
		Dynamic: cluster.Dynamic, Get: cluster.Get, HTTP: predict.NewClient(time.Minute, out.Authority), Log: a.err,
		Gateway: out.GatewayURL, Key: out.PlatformKey, Domain: cfg.Serving.Domain, Namespace: cfg.Tenants[0].Namespace,
		Repository: endpointsOf(out),
		Self: func(ctx context.Context, args ...string) ([]byte, error) {
			return execute(ctx, self, append(args, "-s", a.stack, "-C", project.Root)...)
		},
	}
	if f.sealed != "" {
		p.Sealed = func(ctx context.Context, args ...string) ([]byte, error) {
			return execute(ctx, f.sealed, append(args, "--name", f.sealedName)...)
		}
	}
	return p, nil
}

// endpointsOf are the first tenant's endpoints, written by the administrator: members
// propose, and what that takes is not what is measured.
func endpointsOf(out *stacks.Outputs) git.Remote {
	return git.Remote{URL: out.Repository, Username: out.ForgeUser, Password: out.ForgePassword, Authority: out.Authority}
}

// execute runs a program to its end; its error is the last line it wrote.
func execute(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Minute
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, lines[len(lines)-1])
	}
	return out.Bytes(), nil
}
