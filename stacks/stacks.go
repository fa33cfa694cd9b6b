// Package stacks is the Pulumi program: configuration, components in their order,
// outputs.
package stacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/guardrails"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Options replace what the program finds by itself.
type Options struct {
	// Config are the raw configuration values ("neuroscale:forge" to JSON); nil
	// means those Pulumi started the program with.
	Config map[string]string
	// Renderer of the layers; nil means the embedded ones, cached in CacheDir.
	Renderer *render.Renderer
	// CacheDir of the default renderer; empty means render below
	// NEUROSCALE_CACHE or the user's cache folder.
	CacheDir string
	// Cluster, if not nil, is given the cluster's Args before they are used.
	Cluster func(*cluster.Args)
}

// Program is what `pulumi up` runs.
func Program(ctx *pulumi.Context) error { return New(Options{})(ctx) }

// New is the program with options.
func New(o Options) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		raw, err := o.rawConfig(ctx)
		if err != nil {
			return err
		}
		cfg, err := config.Load(raw)
		if err != nil {
			return err
		}
		renderer, err := o.renderer()
		if err != nil {
			return err
		}
		outputs, err := platform(ctx, cfg, renderer, o)
		if err != nil {
			return err
		}
		outputs.export(ctx)
		return nil
	}
}

// platform brings the components up in their order. A component waits for
// another only where a line here hands it over.
func platform(ctx *pulumi.Context, cfg *config.Config, renderer *render.Renderer, o Options) (*exports, error) {
	images, err := pinned(renderer)
	if err != nil {
		return nil, err
	}
	if cfg.Cluster.Provider == config.ProviderK3d {
		return nil, fmt.Errorf("stack %s wants a cluster in Docker (neuroscale:cluster.provider is %s), which is not available yet: "+
			"use stack ci with a cluster you have (KUBECONFIG) or a sealed one (`sealed up`), then `pulumi up -s ci`",
			ctx.Stack(), cfg.Cluster.Provider)
	}

	clusterArgs := &cluster.Args{
		Kubeconfig: cfg.Cluster.Kubeconfig, Context: cfg.Cluster.Context,
		Address: cfg.Cluster.Address, DeleteUnreachable: cfg.Cluster.DeleteUnreachable,
	}
	if o.Cluster != nil {
		o.Cluster(clusterArgs)
	}
	cluster, err := cluster.Existing(ctx, "cluster", clusterArgs)
	if err != nil {
		return nil, err
	}
	on := pulumi.Providers(cluster.Provider)

	git, err := forge.New(ctx, "forge", &forge.Args{
		Image: images.gitea, Storage: cfg.Forge.Storage,
		Organization: cfg.Forge.Organization, Repositories: cfg.Repositories(),
		Address: cluster.Address, NodePort: cfg.Forge.NodePort, WebhookURL: argocd.WebhookURL,
	}, on)
	if err != nil {
		return nil, err
	}

	argo, err := argocd.New(ctx, "argocd", &argocd.Args{
		Renderer: renderer,
		Address:  cluster.Address, NodePort: cfg.GitOps.NodePort,
		Platform: git.Platform, WebhookSecret: git.WebhookSecret, TenantNamespaces: cfg.Namespaces(),
	}, on)
	if err != nil {
		return nil, err
	}

	delivery, err := layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
		Repository: git.Platform, RepositoryReady: git.Ready,
		Project: argocd.PlatformProject, ApplicationNamespace: argocd.Namespace, ControllerReady: argo.Ready,
		GitImage: images.argocd, ProbeImage: images.storageInitializer,
	}, on)
	if err != nil {
		return nil, err
	}

	models, err := serving.New(ctx, "serving", &serving.Args{
		Settings: cfg.Serving, Address: cluster.Address, Renderer: renderer, Delivery: delivery,
	}, on)
	if err != nil {
		return nil, err
	}

	policies, err := policy.Load(gitops.FS)
	if err != nil {
		return nil, err
	}
	guards, err := guardrails.New(ctx, "guardrails", &guardrails.Args{
		Policies: policies, Renderer: renderer, Delivery: delivery, KindsReady: models.Ready,
	}, on)
	if err != nil {
		return nil, err
	}

	tenants, err := tenancy.New(ctx, "tenancy", &tenancy.Args{
		Tenants: cfg.Tenants, Repositories: git.Repositories, Delivery: delivery, ProjectsReady: argo.ProjectsReady,
	}, on)
	if err != nil {
		return nil, err
	}

	layers := append(slices.Concat(models.Layers, guards.Layers), tenants.Layer)
	apps, err := fs.Sub(gitops.FS, endpoints.Folder)
	if err != nil {
		return nil, fmt.Errorf("endpoints: first content: %w", err)
	}
	served, err := endpoints.New(ctx, "endpoints", &endpoints.Args{
		Apps: apps, Tenants: tenants.Tenants, Repositories: git.Repositories, Delivery: delivery,
		RequeueSeconds: cfg.Endpoints.RequeueSeconds, Domain: models.Domain,
		ApplicationNamespace: argocd.Namespace, Reserved: names(layers),
		After: slices.Concat(models.Ready, guards.Admission.Ready, tenants.Ready),
	}, on)
	if err != nil {
		return nil, err
	}

	return &exports{
		cluster: cluster, argo: argo, git: git, models: models, endpoints: served, layers: layers,
		repository: git.PublicURLs[cfg.Tenants[0].Repositories[0]], upstream: renderer.Upstream(),
	}, nil
}

// names of layers, which are those of their Applications.
func names(layers []*layer.Layer) []string {
	out := make([]string, 0, len(layers))
	for _, l := range layers {
		out = append(out, l.Name)
	}
	return out
}

// rawConfig are all values Pulumi started the program with. The SDK only answers
// for a key that is known, and it is the unknown ones people need to hear about:
// the environment of a program has them all.
func (o Options) rawConfig(ctx *pulumi.Context) (map[string]string, error) {
	if o.Config != nil {
		return o.Config, nil
	}
	raw := map[string]string{}
	if text := os.Getenv("PULUMI_CONFIG"); text != "" {
		if err := json.Unmarshal([]byte(text), &raw); err != nil {
			return nil, fmt.Errorf("PULUMI_CONFIG: %w", err)
		}
	}
	for _, key := range config.Keys() {
		if value, ok := ctx.GetConfig(key); ok {
			raw[key] = value
		}
	}
	return raw, nil
}

func (o Options) renderer() (*render.Renderer, error) {
	if o.Renderer != nil {
		return o.Renderer, nil
	}
	dir := o.CacheDir
	if dir == "" {
		cache := os.Getenv("NEUROSCALE_CACHE")
		if cache == "" {
			user, err := os.UserCacheDir()
			if err != nil {
				return nil, fmt.Errorf("no folder for the cache (%w): set HOME or NEUROSCALE_CACHE", err)
			}
			cache = filepath.Join(user, "neuroscale")
		}
		dir = filepath.Join(cache, "render")
	}
	return render.New(gitops.FS, dir)
}

// pins are the images the program itself runs.
type pins struct{ argocd, gitea, storageInitializer string }

func pinned(renderer *render.Renderer) (*pins, error) {
	p := &pins{}
	var errs []error
	for _, each := range []struct {
		upstream, image string
		to              *string
	}{
		{"argo-cd", "argocd", &p.argocd},
		{"gitea", "gitea", &p.gitea},
		{"kserve", "storage-initializer", &p.storageInitializer},
	} {
		image, err := renderer.Upstream().Image(each.upstream, each.image)
		errs = append(errs, err)
		*each.to = image
	}
	return p, errors.Join(errs...)
}
