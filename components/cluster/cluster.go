// Package cluster provides the Kubernetes cluster the platform lives on.
package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
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
	// Reach tells whether the API server answers; nil means a TCP connection
	// within two seconds.
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
}

// Existing adopts the cluster a kubeconfig points at. A kubeconfig that is
// missing or whose cluster does not answer is an error of one sentence, except in
// a preview: that warns and goes on with a cluster of which nothing is known yet.
func Existing(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Cluster, error) {
	if args == nil {
		return nil, errors.New("cluster: no Args")
	}
	target, err := load(args)
	if err == nil {
		err = target.reachable(ctx.Context(), args.Reach)
	}
	if err != nil && !ctx.DryRun() {
		return nil, err
	}

	c := &Cluster{Address: args.Address}
	if regErr := ctx.RegisterComponentResource(Token, name, c, opts...); regErr != nil {
		return nil, regErr
	}
	providerArgs := &kubernetes.ProviderArgs{
		EnableServerSideApply: pulumi.Bool(true),
		// Objects of fixed name are changed in place; those that must restart
		// something carry their content's hash in their name.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
		DeleteUnreachable:      pulumi.Bool(args.DeleteUnreachable),
	}
	if target != nil {
		providerArgs.ClusterIdentifier = pulumi.String(target.identifier)
		if c.Address == "" {
			c.Address = target.host
		}
	}
	if err != nil {
		if warnErr := ctx.Log.Warn(err.Error()+" (this preview shows what a new cluster would get)", &pulumi.LogArgs{Resource: c}); warnErr != nil {
			return nil, warnErr
		}
		c.Kubeconfig = pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
	} else {
		c.Kubeconfig = pulumi.ToSecret(pulumi.String(target.kubeconfig)).(pulumi.StringOutput)
	}
	if c.Address == "" {
		c.Address = "localhost"
	}
	providerArgs.Kubeconfig = c.Kubeconfig

	if c.Provider, err = kubernetes.NewProvider(ctx, name, providerArgs, pulumi.Parent(c)); err != nil {
		return nil, fmt.Errorf("cluster: provider: %w", err)
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{
		"kubeconfig": c.Kubeconfig,
		"address":    pulumi.String(c.Address),
	})
}

// target is one context of a kubeconfig.
type target struct {
	source     string // where it was read, for messages
	server     string
	host       string
	proxied    bool
	kubeconfig string // self-contained, only this context
	// identifier stays the same for as long as the cluster does, whoever the
	// user and however the token.
	identifier string
}

func load(args *Args) (*target, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = args.Kubeconfig
	rules.WarnIfAllMissing = false
	source := args.Kubeconfig
	if source == "" {
		source = strings.Join(rules.Precedence, ", ")
	}
	config, err := rules.Load()
	if errors.Is(err, os.ErrNotExist) || err == nil && len(config.Clusters) == 0 {
		return nil, fmt.Errorf("no kubeconfig at %s: start a cluster (`sealed up` makes one) and point KUBECONFIG or neuroscale:cluster.kubeconfig at its file", source)
	}
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s cannot be read (%w): point KUBECONFIG or neuroscale:cluster.kubeconfig at a good one", source, err)
	}
	if args.Context != "" {
		config.CurrentContext = args.Context
	}
	current, ok := config.Contexts[config.CurrentContext]
	if !ok {
		return nil, fmt.Errorf("the kubeconfig %s has no context %q: set neuroscale:cluster.context to one of %s", source, config.CurrentContext, contexts(config))
	}
	if err := clientcmdapi.MinifyConfig(config); err != nil {
		return nil, fmt.Errorf("the kubeconfig %s is incomplete (%w): write it anew", source, err)
	}
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		return nil, fmt.Errorf("the kubeconfig %s names a file that cannot be read (%w): write it anew", source, err)
	}
	cluster := config.Clusters[current.Cluster]
	server, err := url.Parse(cluster.Server)
	if err != nil || server.Hostname() == "" {
		return nil, fmt.Errorf("the kubeconfig %s has the server %q: write a URL such as https://host:6443", source, cluster.Server)
	}
	content, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s cannot be written again: %w", source, err)
	}
	sum := sha256.New()
	sum.Write([]byte(cluster.Server + "\x00"))
	sum.Write(cluster.CertificateAuthorityData)
	return &target{
		source: source, server: cluster.Server, host: server.Hostname(), proxied: cluster.ProxyURL != "",
		kubeconfig: string(content), identifier: hex.EncodeToString(sum.Sum(nil))[:32],
	}, nil
}

func contexts(config *clientcmdapi.Config) string {
	names := slices.Sorted(maps.Keys(config.Contexts))
	if len(names) == 0 {
		return "none, it has no context at all"
	}
	return strings.Join(names, ", ")
}

func (t *target) reachable(ctx context.Context, reach func(context.Context, string) error) error {
	if t.proxied {
		return nil
	}
	if reach == nil {
		reach = dial
	}
	if err := reach(ctx, t.server); err != nil {
		return fmt.Errorf("the cluster %s of %s does not answer (%w): start it, or point KUBECONFIG or neuroscale:cluster.kubeconfig at one that runs", t.server, t.source, err)
	}
	return nil
}

func dial(ctx context.Context, server string) error {
	u, err := url.Parse(server)
	if err != nil {
		return err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	return connection.Close()
}
