package stacks

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keypair"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// site is what parts are brought up with, and what earlier ones leave for later
// ones.
type site struct {
	ctx         *pulumi.Context
	cfg         *config.Config
	clusterArgs *cluster.Args
	authority   *keypair.Pair // of the settings, nil without
	upstream    *render.Upstream
	images      pins
	parts       []layer.List // the layers of each part
	layers      layer.List   // of all
	source      layer.Source

	cluster      *cluster.Cluster
	certificates *certificates.Certificates
	forge        *forge.Forge
	argocd       *argocd.ArgoCD
	delivery     *layer.Delivery
	serving      *serving.Serving
	tenancy      *tenancy.Tenancy
	portal       *portal.Portal
	endpoints    *endpoints.Endpoints
}

// newSite finds out what cannot work before anything is registered.
func newSite(ctx *pulumi.Context, cfg *config.Config, renderer *render.Renderer, o Options) (*site, error) {
	if cfg.Cluster.Provider == config.ProviderK3d {
		return nil, fmt.Errorf("stack %s wants a cluster in Docker (neuroscale:cluster.provider is %s), which is not available yet: "+
			"use stack ci with a cluster you have (KUBECONFIG) or a sealed one (`sealed up`), then `pulumi up -s ci`",
			ctx.Stack(), cfg.Cluster.Provider)
	}
	parts, err := layersOfParts(cfg)
	if err != nil {
		return nil, err
	}
	layers := slices.Concat(parts...)
	if err := layers.Validate(); err != nil {
		return nil, err
	}
	images, err := pinned(renderer.Upstream())
	if err != nil {
		return nil, err
	}
	authority, err := givenAuthority(cfg.TLS.Authority)
	if err != nil {
		return nil, err
	}
	s := &site{
		ctx: ctx, cfg: cfg, authority: authority, upstream: renderer.Upstream(), images: images,
		parts: parts, layers: layers, source: Source(renderer, layers),
		clusterArgs: &cluster.Args{
			Kubeconfig: cfg.Cluster.Kubeconfig, Context: cfg.Cluster.Context,
			Address: cfg.Cluster.Address, DeleteUnreachable: cfg.Cluster.DeleteUnreachable,
		},
	}
	if o.Schemas != nil {
		s.source.Schemas = o.Schemas
	}
	if o.Cluster != nil {
		o.Cluster(s.clusterArgs)
	}
	return s, nil
}

// pins are the images the program itself runs.
type pins struct{ argocd, forgeProxy, gitea, storageInitializer string }

// Images that the command line runs, too.
type Images struct {
	// Gitea is the forge's, Python one that has Python.
	Gitea, Python string
}

// Pinned are the images of this version, from where a configuration has them pulled.
func Pinned(cfg *config.Config) (Images, error) {
	renderer, err := Options{}.renderer()
	if err != nil {
		return Images{}, err
	}
	p, err := pinned(renderer.Mirrored(cfg.Cluster.ImageRegistry).Upstream())
	return Images{Gitea: p.gitea, Python: p.storageInitializer}, err
}

func pinned(upstream *render.Upstream) (pins, error) {
	var p pins
	var errs []error
	for _, each := range []struct {
		upstream, image string
		to              *string
	}{
		{"argo-cd", "argocd", &p.argocd},
		{"", "forge-proxy", &p.forgeProxy},
		{"gitea", "gitea", &p.gitea},
		{"kserve", "storage-initializer", &p.storageInitializer},
	} {
		image, err := upstream.Image(each.upstream, each.image)
		errs = append(errs, err)
		*each.to = image
	}
	return p, errors.Join(errs...)
}
