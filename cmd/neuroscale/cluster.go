package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// cluster connects to the cluster of the stack's settings: the one the program
// takes, too. One in Docker is only known by the stack that made it.
func (a *app) cluster(ctx context.Context, c *config.Config) (*kube.Cluster, error) {
	if c.Cluster.Provider == config.ProviderDocker {
		_, cluster, err := a.deployed(ctx)
		return cluster, err
	}
	return kube.Connect(kube.Source{Path: c.Cluster.Kubeconfig, Context: c.Cluster.Context, Getenv: a.getenv})
}

// reachable are the stack's settings and the cluster they name, which answers.
func (a *app) reachable(ctx context.Context) (*config.Config, *kube.Cluster, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	cluster, err := a.cluster(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	return cfg, cluster, cluster.Reachable(ctx)
}

// adopted are the stack's settings and the cluster it is brought up on, which answers;
// nil if bringing it up makes the cluster.
func (a *app) adopted(ctx context.Context) (*config.Config, *kube.Cluster, error) {
	cfg, err := a.config()
	if err != nil || cfg.Cluster.Provider == config.ProviderDocker {
		return cfg, nil, err
	}
	return a.reachable(ctx)
}

// volumes fails if a cluster makes no volumes as the settings want them.
func volumes(ctx context.Context, c *config.Config, cluster *kube.Cluster) error {
	err := kube.VolumesFrom(ctx, cluster.Dynamic, c.Cluster.StorageClass)
	if err == nil {
		err = kube.ClaimOf(ctx, cluster.Dynamic, forge.Namespace, forge.Volume, c.Cluster.StorageClass)
	}
	if err != nil {
		return fmt.Errorf("%s:cluster.storageClass is %q: %w", config.Namespace, c.Cluster.StorageClass, err)
	}
	return nil
}

// madeAnswers is an error if the stack has made a cluster and that does not answer: what
// is in it cannot be looked at. One that was never up, or not to the end, has none yet.
func (a *app) madeAnswers(ctx context.Context) error {
	_, made, err := a.deployed(ctx)
	if err != nil {
		return nil
	}
	if err := made.Reachable(ctx); err != nil {
		return fmt.Errorf("the cluster in Docker of stack %s does not answer (%w): run `docker start %s`; if it is gone for good, run `neuroscale destroy -s %s --unreachable` and this again",
			a.stack, errors.Unwrap(err), stacks.ClusterName(a.stack), a.stack)
	}
	return nil
}

// outputs are those of the stack, which was brought up.
func (a *app) outputs(ctx context.Context) (*stacks.Outputs, error) {
	stack, err := a.open(ctx, a.program)
	if err != nil {
		return nil, err
	}
	raw, err := stack.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	return stacks.DecodeOutputs(raw)
}

// deployed are the outputs of the stack and the cluster in them: the one it was
// brought up on, whatever the settings say now.
func (a *app) deployed(ctx context.Context) (*stacks.Outputs, *kube.Cluster, error) {
	out, err := a.outputs(ctx)
	if err != nil {
		return nil, nil, err
	}
	cluster, err := kube.Connect(kube.Source{Text: out.Kubeconfig, Owner: "in the outputs of stack " + a.stack})
	if err != nil {
		return nil, nil, err
	}
	return out, cluster, nil
}
