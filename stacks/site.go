package stacks

import (
	"errors"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/guardrails"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keypair"
	"github.com/neuroscale-platform/neuroscale/internal/ownimages"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// site is what parts are brought up with, and what earlier ones leave for later
// ones.
type site struct {
	ctx       *pulumi.Context
	cfg       *config.Config
	options   Options
	authority *keypair.Pair // of the settings, nil without
	upstream  *render.Upstream
	images    pins
	parts     []layer.List // the layers of each part
	layers    layer.List   // of all
	builds    []ownimages.Build
	source    layer.Source

	later  []pulumi.Resource // what is registered from now on begins after these
	within pulumi.Resource   // all objects of the cluster go with it, nil without

	cluster      *cluster.Cluster
	kinds        *layer.Kinds
	certificates *certificates.Certificates
	forge        *forge.Forge
	github       asked
	people       people
	argocd       *argocd.ArgoCD
	delivery     *layer.Delivery
	serving      *serving.Serving
	guardrails   *guardrails.Guardrails
	tenancy      *tenancy.Tenancy
	portal       *portal.Portal
	endpoints    *endpoints.Endpoints
}

// newSite finds out what cannot work before anything is registered.
func newSite(ctx *pulumi.Context, cfg *config.Config, renderer *render.Renderer, o Options) (*site, error) {
	parts, err := layersOfParts(cfg)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		parts[i] = parts[i].Once()
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
		options: o,
	}
	if o.Schemas != nil {
		s.source.Schemas = o.Schemas
	}
	return s, nil
}

// newCluster is the one the settings name.
func (s *site) newCluster(name string) (*cluster.Cluster, error) {
	c := s.cfg.Cluster
	if c.Provider == config.ProviderDocker {
		return s.newClusterInDocker(name)
	}
	args := &cluster.Args{
		Kubeconfig: c.Kubeconfig, Context: c.Context, Address: c.Address, DeleteUnreachable: c.DeleteUnreachable,
	}
	if s.options.Cluster != nil {
		s.options.Cluster(args)
	}
	return cluster.Existing(s.ctx, name, args)
}

// ClusterName is that of the cluster in Docker of a stack, and of its first container.
func ClusterName(stack string) string { return config.Namespace + "-" + stack }

// newClusterInDocker publishes what the platform serves on nodes. Whatever is in the
// cluster goes with it, so that a destroy asks nothing of it.
func (s *site) newClusterInDocker(name string) (*cluster.Cluster, error) {
	image, err := s.upstream.Image("", s.cfg.Cluster.Distribution)
	if err != nil {
		return nil, err
	}
	args := &cluster.DockerArgs{
		Name: ClusterName(s.ctx.Stack()), Settings: s.cfg.Cluster, Image: image, Ports: s.cfg.NodePorts(),
		Host: cluster.CurrentHost(s.ctx.Context()), Pulled: s.pulledImages(), Builds: s.builds,
	}
	if len(s.builds) > 0 {
		if args.RegistryImage, err = s.upstream.Image("", "registry"); err != nil {
			return nil, err
		}
		if args.Bases, err = ownimages.Bases(s.builds); err != nil {
			return nil, err
		}
	}
	if s.options.Docker != nil {
		s.options.Docker(args)
	}
	made, err := cluster.Docker(s.ctx, name, args)
	if err != nil {
		return nil, err
	}
	s.within = made.Lifetime
	return made, nil
}

// arrange adds to every resource what its part does not know: that it goes with the
// cluster, and that it begins when an endpoint can. The engine writes its whole state
// before and after each step, one step at a time: those that nobody waits for would hold
// up the others. It is one transformation because the SDK gives each of several what
// resources were registered with, and takes the last one's answer.
func (s *site) arrange() error {
	return s.ctx.RegisterStackTransformation(func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		opts := r.Opts
		if s.within != nil && strings.HasPrefix(r.Type, "kubernetes:") {
			opts = append(opts, pulumi.DeletedWith(s.within))
		}
		if len(s.later) > 0 {
			opts = append(opts, pulumi.DependsOn(s.later))
		}
		return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: opts}
	})
}

// pins are the images the program itself runs.
type pins struct{ argocd, forgeProxy, gitea, modelServer, portal, storageInitializer string }

// Images that the command line runs, too, or a program of somebody else's.
type Images struct {
	// Gitea is the forge's, Git one that has bash, git and tar, Python one that has
	// Python, ModelServer that of the first endpoints.
	Gitea, Git, Python, ModelServer string
}

// Pinned are the images of this version, from where a configuration has them pulled.
func Pinned(cfg *config.Config) (Images, error) {
	renderer, err := Options{}.renderer()
	if err != nil {
		return Images{}, err
	}
	p, err := pinned(renderer.Mirrored(cfg.Cluster.ImageRegistry).Upstream())
	return Images{Gitea: p.gitea, Git: p.argocd, Python: p.storageInitializer, ModelServer: p.modelServer}, err
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
		{"", "portal", &p.portal},
		{"kserve", "sklearnserver", &p.modelServer},
		{"kserve", "storage-initializer", &p.storageInitializer},
	} {
		image, err := upstream.Image(each.upstream, each.image)
		errs = append(errs, err)
		*each.to = image
	}
	return p, errors.Join(errs...)
}
