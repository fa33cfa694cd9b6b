package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/bench"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/portalapi"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

type benchFlags struct {
	only               []string
	sealed, sealedName string
	noFail, record     bool
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
			"It proposes, merges and removes endpoints bench-walk-1 and so on as a member of the first tenant, and pushes and removes\n" +
			"bench-iris-1 and so on as the administrator. With --sealed it also merges and removes bench-many-1 and so on, for which\n" +
			"the first tenant has a wider quota meanwhile, and the platform and its node are taken down and up again: what was\n" +
			"pushed to its forge is lost.\n\n" +
			"With --record what was measured is written to " + bench.RecordFile + " and to the table in " + bench.PageFile + "; what could not be measured\n" +
			"stays there as it was.",
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
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "measure only these, by name; load stands for all that begin with load-, and so on")
	cmd.Flags().StringVar(&f.sealed, "sealed", "", "path of the sealed program: also measure taking the node down and up")
	cmd.Flags().StringVar(&f.sealedName, "sealed-name", "default", "name of the sealed node")
	cmd.Flags().BoolVar(&f.record, "record", false, "write what was measured to "+bench.RecordFile+" and "+bench.PageFile)
	cmd.Flags().BoolVar(&f.noFail, "no-fail", false, "exit 0 even if a target is missed")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) bench(ctx context.Context, f benchFlags) ([]bench.Result, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	targets, err := bench.Select(f.only, bench.Has{Sealed: f.sealed != "", Portal: cfg.Portal.Enabled && !cfg.Forge.OnGitHub()})
	if err != nil {
		return nil, err
	}
	project, err := a.project()
	if err != nil {
		return nil, err
	}
	platform, err := a.platform(ctx, cfg, project, f)
	if err != nil {
		return nil, err
	}
	origin := bench.Origin{}
	if f.record {
		if origin, err = originOf(ctx, project.Root, f.sealed != ""); err != nil {
			return nil, err
		}
	}
	results, err := bench.Run(ctx, platform, targets)
	if err == nil && f.record {
		err = bench.Keep(project.Root, results, origin)
	}
	return results, err
}

// originOf is what is measured, and where.
func originOf(ctx context.Context, root string, sealed bool) (bench.Origin, error) {
	commit, err := git.Read(ctx, root, nil, "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty")
	if err != nil {
		return bench.Origin{}, fmt.Errorf("--record says which commit was measured: %w", err)
	}
	cluster := "an existing cluster"
	if sealed {
		cluster = "a sealed node"
	}
	return bench.Origin{
		Date: time.Now().UTC().Format(time.DateOnly), Commit: strings.TrimSpace(string(commit)),
		Machine: bench.Machine(cluster), BusyCores: bench.BusyCores(ctx),
	}, nil
}

func (a *app) platform(ctx context.Context, cfg *config.Config, project *automation.Project, f benchFlags) (*bench.Platform, error) {
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
	member, err := merger(cfg.Tenants[0], out)
	if err != nil {
		return nil, err
	}
	p := &bench.Platform{
		Dynamic: cluster.Dynamic, Get: cluster.Get, HTTP: predict.NewClient(time.Minute, out.Authority), Authority: out.Authority, Log: a.err,
		Gateway: out.GatewayURL, Key: out.PlatformKey, Domain: cfg.Serving.Domain, Namespace: cfg.Tenants[0].Namespace,
		Repository: endpointsOf(out), Member: member,
		Self: selfAt(self, a.stack, project.Root),
	}
	if out.PortalURL != "" {
		p.SignIn = func(ctx context.Context) (bench.Form, error) { return form(ctx, out, cfg.Tenants[0].Namespace, member) }
	}
	if f.sealed != "" {
		p.Sealed = func(ctx context.Context, args ...string) ([]byte, error) {
			return execute(ctx, f.sealed, append(args, "--name", f.sealedName)...)
		}
		p.Roomy = func(ctx context.Context, endpoints int) (program, func(context.Context) error, error) {
			return a.roomy(ctx, project, cfg.Tenants[0].Quota, endpoints, p.Self, func(root string) program { return selfAt(self, a.stack, root) })
		}
	}
	return p, nil
}

// program runs one with arguments and returns its output.
type program = func(ctx context.Context, args ...string) ([]byte, error)

// selfAt is this program, for a stack whose settings are in root.
func selfAt(self, stack, root string) program {
	return func(ctx context.Context, args ...string) ([]byte, error) {
		return execute(ctx, self, append(args, "-s", stack, "-C", root)...)
	}
}

// roomy brings the stack up with a copy of its settings in which the first tenant has
// room for so many endpoints more. The first result is this program with those
// settings, the second brings the former ones back.
func (a *app) roomy(ctx context.Context, project *automation.Project, quota config.Quota, endpoints int, former program, at func(root string) program) (program, func(context.Context) error, error) {
	dir, err := os.MkdirTemp("", "neuroscale-bench-")
	if err != nil {
		return nil, nil, fmt.Errorf("create a folder for the settings: %w", err)
	}
	back := func(ctx context.Context) error {
		_, err := former(ctx, "up", "-o", "json")
		return errors.Join(err, os.RemoveAll(dir))
	}
	for _, name := range []string{"Pulumi.yaml", "Pulumi." + a.stack + ".yaml"} {
		raw, err := os.ReadFile(filepath.Join(project.Root, name))
		if err == nil && name != "Pulumi.yaml" {
			raw, err = withQuota(raw, roomFor(quota, endpoints))
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o600)
		}
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("copy %s: %w", name, err), os.RemoveAll(dir))
		}
	}
	self := at(dir)
	if _, err := self(ctx, "up", "-o", "json"); err != nil {
		return nil, nil, errors.Join(err, back(context.WithoutCancel(ctx)))
	}
	return self, back, nil
}

// roomFor is a quota with room for so many endpoints more, whose pods may all start at
// once.
func roomFor(q config.Quota, endpoints int) config.Quota {
	all := config.Shares{CPU: "1000", Memory: "10Ti", EphemeralStorage: "100Ti"}
	q.Requests, q.Limits = all, all
	q.Pods += 2 * endpoints
	q.Deployments += endpoints
	q.InferenceServices += endpoints
	q.Services += config.ServicesOfInferenceService * endpoints
	q.ConfigMaps += endpoints
	q.Applications += endpoints
	return q
}

// withQuota is a stack file in which the first tenant has another quota.
func withQuota(raw []byte, quota config.Quota) ([]byte, error) {
	const key = "neuroscale:tenants"
	var file map[string]any
	if err := yaml.Unmarshal(raw, &file); err != nil {
		return nil, err
	}
	values, _ := file["config"].(map[string]any)
	if values == nil {
		values = map[string]any{}
		if file == nil {
			file = map[string]any{}
		}
		file["config"] = values
	}
	tenants, _ := values[key].([]any)
	if len(tenants) == 0 {
		tenants = []any{map[string]any{}} // the default one
		values[key] = tenants
	}
	first, ok := tenants[0].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s[0] is no tenant", key)
	}
	first["quota"] = quota
	return yaml.Marshal(file)
}

// merger is a member of a tenant who proposes endpoints and merges them; nobody if
// it has none.
func merger(tenant config.Tenant, out *stacks.Outputs) (bench.Account, error) {
	mergers := tenant.MayMerge()
	if len(mergers) == 0 {
		return bench.Account{}, nil
	}
	password, there := out.Members[mergers[0]]
	if !there {
		return bench.Account{}, fmt.Errorf("the stack's outputs have no password of %s: run `neuroscale up`", mergers[0])
	}
	return bench.Account{Name: mergers[0], Password: password}, nil
}

// form signs a member in to the portal and returns the form that asks for an endpoint.
func form(ctx context.Context, out *stacks.Outputs, tenant string, member bench.Account) (bench.Form, error) {
	session, err := portalapi.SignIn(ctx, out.PortalURL, out.ForgeURL, out.Authority, member.Name, member.Password)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, name string) (string, error) {
		return session.Submit(ctx, portalapi.AskTemplate, map[string]any{
			"tenant": tenant, "name": name, "modelFormat": "sklearn", "size": "small", "minReplicas": 1, "maxReplicas": 2,
			"storageUri": bench.ExampleModel,
		})
	}, nil
}

// endpointsOf are the first tenant's endpoints, written by the administrator: members
// propose, and what that takes is not what is measured.
func endpointsOf(out *stacks.Outputs) git.Remote {
	return git.Remote{URL: out.Repository, Username: out.ForgeUser, Password: out.ForgePassword, Authority: out.Authority}
}

// execute runs a program to its end; its error is the last line it wrote, and comes with
// what it printed.
func execute(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Minute
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return out.Bytes(), fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, lines[len(lines)-1])
	}
	return out.Bytes(), nil
}
