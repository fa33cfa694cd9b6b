package stacks

import (
	"io/fs"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/cost"
	"github.com/neuroscale-platform/neuroscale/components/dashboards"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/guardrails"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	prices "github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
)

// part of the platform: the layers it is made of, if any, and how it comes up with
// them. One without up is nothing but its layers.
type part struct {
	name   string
	layers func(*config.Config) (layer.List, error)
	up     func(*site, layer.List) error
}

// platform is its parts in their order, and so the only list of layers. What a
// part waits for is what earlier ones hand over here, and what the definitions of
// its layers name. What no prediction needs comes after the endpoints, and of that first
// what takes longest: costs are there when they were measured twice, policies when
// Kyverno is, and the portal's image is the largest.
var platform = []part{
	{"cluster", nil, func(s *site, _ layer.List) (err error) {
		s.cluster, err = s.newCluster("cluster")
		return err
	}},
	{"certificates", nil, func(s *site, _ layer.List) (err error) {
		s.certificates, err = certificates.New(s.ctx, "certificates", s.certificateArgs())
		return err
	}},
	{"forge", nil, func(s *site, _ layer.List) (err error) {
		s.forge, err = forge.New(s.ctx, forgeName, &forge.Args{
			Image: s.images.gitea, ProxyImage: s.images.forgeProxy,
			Certificate: s.certificates.Of(config.ServerForge), Authority: s.certificates.Authority, HTTP: s.cfg.TLS.Plain(config.ServerForge),
			Storage: s.cfg.Forge.Storage, StorageClass: s.cfg.Cluster.StorageClass,
			MaxPush: s.cfg.Forge.MaxPushBytes(), MaxRepository: s.cfg.Forge.MaxRepositoryBytes(),
			Folder: endpoints.Folder, Folders: folders(s.cfg),
			Organization: s.cfg.Forge.Organization, Repositories: s.cfg.InGitea(), Teams: teams(s.cfg),
			Address: s.cluster.Address, NodePort: s.cfg.Forge.NodePort, WebhookURL: argocd.WebhookURL(s.cfg.TLS.Plain(config.ServerArgoCD)),
			GuardURL: reviews.HookURL, FollowerURL: reviews.FollowerURL, PassedURL: reviews.PassedURL, GuardContext: reviewer.Context,
		}, s.onCluster())
		if err != nil {
			return err
		}
		s.people, err = s.newPeople()
		return err
	}},
	{"argocd", argocdLayers, func(s *site, _ layer.List) (err error) {
		s.argocd, err = argocd.New(s.ctx, argocdName, &argocd.Args{
			Settings: s.cfg.GitOps, Address: s.cluster.Address, Source: s.source, Layers: s.layers,
			Certificate: s.certificates.Of(config.ServerArgoCD), HTTP: s.cfg.TLS.Plain(config.ServerArgoCD),
			Forge: s.forge, Readers: readers(s.cfg), Platform: s.forge.Platform, WebhookSecret: s.forge.WebhookSecret,
			Reaches: s.people.reaches(ssh),
		}, s.onCluster())
		return err
	}},
	{"kinds", nil, func(s *site, _ layer.List) (err error) {
		s.kinds, err = layer.NewKinds(s.ctx, "kinds", &layer.KindsArgs{
			Layers: s.layers.FromGit(), Source: s.source,
			Parents: map[string]string{
				serving.KnativeLayer: serving.Token, serving.KServeLayer: serving.Token, guardrails.KyvernoLayer: guardrails.Token,
			},
		}, s.onCluster())
		return err
	}},
	{"delivery", nil, func(s *site, _ layer.List) (err error) {
		s.delivery, err = layer.NewDelivery(s.ctx, "delivery", &layer.DeliveryArgs{
			Repository: s.forge.Platform, RepositoryReady: s.forge.Ready, Source: s.source, Kinds: s.kinds,
			Project: argocd.PlatformProject, ApplicationNamespace: argocd.Namespace, ControllerReady: s.argocd.Ready,
			GitImage: s.images.argocd, ProbeImage: s.images.storageInitializer,
		}, s.onCluster())
		return err
	}},
	{"serving", servingLayers, func(s *site, layers layer.List) (err error) {
		s.serving, err = serving.New(s.ctx, "serving", &serving.Args{
			Settings: s.cfg.Serving, Address: s.cluster.Address, Layers: layers, Delivery: s.delivery, ModelServer: s.images.modelServer,
			Gateway: s.certificates.Of(config.ServerGateway), HTTP: s.cfg.TLS.Plain(config.ServerGateway),
			Webhook: s.certificates.Of(webhookServer), Authority: s.certificates.Authority,
		}, s.onCluster())
		return err
	}},
	{"guardrails", guardrailsLayers, func(s *site, layers layer.List) (err error) {
		s.guardrails, err = guardrails.New(s.ctx, "guardrails", &guardrails.Args{Layers: layers, Delivery: s.delivery}, s.onCluster())
		return err
	}},
	{"tenancy", tenancyLayers, func(s *site, layers layer.List) (err error) {
		s.tenancy, err = tenancy.New(s.ctx, "tenancy", &tenancy.Args{
			Tenants: s.cfg.Tenants, Repositories: s.people.repositories, Layers: layers, Delivery: s.delivery,
			ProjectsReady: s.argocd.ProjectsReady,
			ProbeImage:    s.images.storageInitializer, RequireNetworkPolicy: s.cfg.Cluster.RequireNetworkPolicy,
		}, s.onCluster())
		return err
	}},
	{"endpoints", nil, func(s *site, _ layer.List) error {
		apps, err := fs.Sub(gitops.FS, endpoints.Folder)
		if err != nil {
			return err
		}
		admitted, err := s.delivery.Ready(serving.RuntimesLayer, guardrails.AdmissionLayer)
		if err != nil {
			return err
		}
		s.endpoints, err = endpoints.New(s.ctx, "endpoints", &endpoints.Args{
			Apps: apps, Tenants: s.tenancy.Tenants, Repositories: s.people.repositories, Delivery: s.delivery,
			RequeueSeconds: s.cfg.Endpoints.RequeueSeconds, Domain: s.cfg.Serving.Domain, Scheme: s.cfg.TLS.Scheme(config.ServerGateway),
			ApplicationNamespace: argocd.Namespace, Reserved: s.layers.Names(),
			After: append(admitted, s.tenancy.Ready...),
		}, s.onCluster())
		s.later = admitted
		return err
	}},
	{"cost", costLayers, func(s *site, layers layer.List) error {
		_, err := cost.New(s.ctx, "cost", &cost.Args{
			Settings: s.cfg.Cost, Layers: layers, Delivery: s.delivery, ProbeImage: s.images.storageInitializer,
		}, s.onCluster())
		return err
	}},
	{"kyverno", kyvernoLayers, func(s *site, layers layer.List) error {
		_, err := guardrails.New(s.ctx, "kyverno", &guardrails.Args{
			Layers: layers, Delivery: s.delivery, ProbeNamespace: s.guardrails.ProbeNamespace,
		}, s.onCluster())
		return err
	}},
	{"portal", portalLayers, func(s *site, layers layer.List) (err error) {
		s.portal, err = portal.New(s.ctx, "portal", &portal.Args{
			Settings: s.cfg.Portal, Address: s.cluster.Address, Forge: s.forge, GitHub: s.people.signIn,
			GatewayURL: s.serving.GatewayURL, GatewayInternalURL: s.serving.GatewayInternalURL, PlatformKey: s.serving.PlatformKey, ProjectsReady: s.argocd.ProjectsReady,
			Certificate: s.certificates.Of(config.ServerPortal), Authority: s.certificates.Authority, HTTP: s.cfg.TLS.Plain(config.ServerPortal),
			Image: s.images.portal, Layers: layers, Delivery: s.delivery,
		}, s.onCluster())
		return err
	}},
	{"reviews", reviewsLayers, func(s *site, layers layer.List) error {
		_, err := reviews.New(s.ctx, "reviews", &reviews.Args{
			Layers: layers, Delivery: s.delivery, Account: s.people.guard, Secret: s.forge.GuardSecret,
			Certificate: s.certificates.Of(guardServer), FollowerCertificate: s.certificates.Of(followerServer), Authority: s.certificates.Authority,
			ApplicationSets: endpoints.ApplicationSets(s.cfg.Tenants), GatewayURL: s.serving.GatewayURL,
			Reaches: s.people.reaches(https),
		}, s.onCluster())
		return err
	}},
	{"dashboards", dashboardsLayers, nil},
}

func argocdLayers(c *config.Config) (layer.List, error) {
	return argocd.Layers(c.GitOps, c.TLS.Plain(config.ServerArgoCD)), nil
}
func servingLayers(c *config.Config) (layer.List, error) {
	return serving.Layers(c.Serving, c.TLS.Plain(config.ServerGateway), c.Namespaces()...), nil
}
func reviewsLayers(c *config.Config) (layer.List, error) { return reviews.Layers(c), nil }
func tenancyLayers(c *config.Config) (layer.List, error) {
	return tenancy.Layers(c.Tenants, c.Serving, c.Portal)
}
func portalLayers(c *config.Config) (layer.List, error) {
	return portal.Layers(c, endpoints.Excluded), nil
}

func costLayers(c *config.Config) (layer.List, error) {
	prices, err := prices.DefaultPrices()
	if err != nil {
		return nil, err
	}
	return cost.Layers(c.Cost, c.Cluster.StorageClass, prices, c.Serving.Auth == config.AuthKeys), nil
}

func dashboardsLayers(c *config.Config) (layer.List, error) {
	prices, err := prices.DefaultPrices()
	if err != nil {
		return nil, err
	}
	return dashboards.Layers(c, prices), nil
}

func guardrailsLayers(*config.Config) (layer.List, error) { return ofPolicies(guardrails.Layers) }
func kyvernoLayers(*config.Config) (layer.List, error)    { return ofPolicies(guardrails.KyvernoLayers) }

func ofPolicies(layers func([]*policy.Policy) (layer.List, error)) (layer.List, error) {
	policies, err := policy.Load(gitops.FS)
	if err != nil {
		return nil, err
	}
	return layers(policies)
}

func (p part) bringUp(s *site, layers layer.List) error {
	if p.up != nil {
		return p.up(s, layers)
	}
	_, err := layer.NewGroup(s.ctx, p.name, &layer.GroupArgs{Layers: layers, Delivery: s.delivery}, s.onCluster())
	return err
}

// onCluster makes a component's objects the cluster's.
func (s *site) onCluster() pulumi.ResourceOption { return pulumi.Providers(s.cluster.Provider) }
