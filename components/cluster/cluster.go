// Package cluster provides the Kubernetes cluster the platform lives on.
package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// Token is the component's type.
const Token = "neuroscale:platform:Cluster"

// Args of an existing cluster.
type Args struct {
	// Kubeconfig is a path; empty means $KUBECONFIG, then ~/.kube/config.
	Kubeconfig string
	// Context of it; empty means its current one.
	Context string
	// Address at which node ports are reached; empty means the API server's host.
	Address string
	// DeleteUnreachable lets resources of a dead cluster be forgotten.
	DeleteUnreachable bool
	// Reach tells whether the API server answers; nil means to ask it for its
	// version.
	Reach func(ctx context.Context, server string) error
}

// Cluster is a place to put things.
type Cluster struct {
	pulumi.ResourceState
	// Provider applies objects to it.
	Provider *kubernetes.Provider
	// Kubeconfig is self-contained and secret.
	Kubeconfig pulumi.StringOutput
	// Address is the host at which node ports are reached.
	Address string
	// Lifetime is what everything in the cluster is deleted with; nil if the cluster
	// stays.
	Lifetime pulumi.Resource
}

// Existing adopts the cluster a kubeconfig points at. A kubeconfig that is
// missing or whose cluster does not answer is an error of one sentence, except in
// a preview: that warns and goes on with a cluster of which nothing is known yet.
func Existing(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Cluster, error) {
	if args == nil {
		return nil, errors.New("cluster: no Args")
	}
	target, err := kube.Load(kube.Source{Path: args.Kubeconfig, Context: args.Context})
	if err == nil {
		err = reach(ctx.Context(), target, args)
	}
	if err != nil && !ctx.DryRun() {
		return nil, err
	}

	c := &Cluster{Address: args.Address}
	if regErr := ctx.RegisterComponentResource(Token, name, c, opts...); regErr != nil {
		return nil, regErr
	}
	identity := ""
	if target != nil {
		identity = identifier(target)
		if c.Address == "" {
			c.Address = target.Host
		}
	}
	if err != nil {
		if warnErr := ctx.Log.Warn(err.Error()+" (this preview shows what a new cluster would get)", &pulumi.LogArgs{Resource: c}); warnErr != nil {
			return nil, warnErr
		}
		c.Kubeconfig = pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
	} else {
		c.Kubeconfig = pulumi.ToSecret(pulumi.String(target.Text)).(pulumi.StringOutput)
	}
	if c.Address == "" {
		c.Address = "localhost"
	}
	if c.Provider, err = kubernetes.NewProvider(ctx, name, providerArgs(c.Kubeconfig, args.DeleteUnreachable, identity), pulumi.Parent(c)); err != nil {
		return nil, fmt.Errorf("cluster: provider: %w", err)
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{
		"kubeconfig": c.Kubeconfig,
		"address":    pulumi.String(c.Address),
	})
}

// providerArgs of the one provider; identity stays the same for as long as the
// cluster does, and is empty if it is not known.
func providerArgs(kubeconfig pulumi.StringOutput, deleteUnreachable bool, identity string) *kubernetes.ProviderArgs {
	args := &kubernetes.ProviderArgs{
		Kubeconfig:            kubeconfig,
		EnableServerSideApply: pulumi.Bool(true),
		// Objects of fixed name are changed in place; those that must restart
		// something carry their content's hash in their name.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
		// A look at every object is one burst: at the default an up waits for its own client.
		KubeClientSettings: &kubernetes.KubeClientSettingsArgs{Qps: pulumi.Float64(400), Burst: pulumi.Int(800)},
	}
	// A no would be stronger than what `destroy --unreachable` says.
	if deleteUnreachable {
		args.DeleteUnreachable = pulumi.Bool(true)
	}
	if identity != "" {
		args.ClusterIdentifier = pulumi.String(identity)
	}
	return args
}

// identifier stays the same for as long as the cluster does, whoever the user and
// however the token.
func identifier(k *kube.Kubeconfig) string {
	sum := sha256.New()
	sum.Write([]byte(k.Server + "\x00"))
	sum.Write(k.Authority)
	return hex.EncodeToString(sum.Sum(nil))[:32]
}

// reach asks the cluster, by the way args say.
func reach(ctx context.Context, k *kube.Kubeconfig, args *Args) error {
	if args.Reach != nil {
		if err := args.Reach(ctx, k.Server); err != nil {
			return k.Unreachable(err)
		}
		return nil
	}
	c, err := k.Connect()
	if err != nil {
		return err
	}
	return c.Reachable(ctx)
}
