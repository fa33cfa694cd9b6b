package main

import (
	"context"
	"fmt"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// cluster connects to the cluster of the stack's settings: the one the program
// takes, too.
func (a *app) cluster(c *config.Config) (*kube.Cluster, error) {
	if c.Cluster.Provider == config.ProviderK3d {
		return nil, fmt.Errorf("stack %s makes its cluster with Docker, which this version cannot do yet: "+
			"use -s ci with the kubeconfig of a cluster, or `make up STACK=ci` as root on Debian for a sealed node", a.stack)
	}
	return kube.Connect(kube.Source{Path: c.Cluster.Kubeconfig, Context: c.Cluster.Context, Getenv: a.getenv})
}

// reachable are the stack's settings and the cluster they name, which answers.
func (a *app) reachable(ctx context.Context) (*config.Config, *kube.Cluster, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	cluster, err := a.cluster(cfg)
	if err != nil {
		return nil, nil, err
	}
	return cfg, cluster, cluster.Reachable(ctx)
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
