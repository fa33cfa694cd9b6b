// A Pulumi program of somebody else's: model serving and the policies, by NeuroScale's
// components, on a cluster that has an Argo CD and a Git repository already.
package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/guardrails"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// Names of the servers that show a certificate.
const gateway, webhook = "gateway", "kserve-webhook"

// site is what the cluster has already.
type site struct {
	// address is the host name or IP address of a node.
	address string
	// repository is where Argo CD takes the layers from, in a project of this name.
	repository forge.Repository
	project    string
	// tenants are the namespaces that endpoints run in.
	tenants []string
	// cache keeps what is rendered.
	cache string
}

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		user, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		c := pulumiconfig.New(ctx, "")
		return bringUp(ctx, site{
			address: c.Require("address"), project: c.Require("project"), tenants: []string{"team-a"},
			repository: forge.Repository{
				URL:       c.Require("repository"),
				Writer:    forge.Account{Username: c.Require("user"), Password: c.RequireSecret("password")},
				Authority: pulumi.String("").ToStringOutput(), // its certificate is everybody's to know
			},
			cache: filepath.Join(user, "serving"),
		})
	})
}

func bringUp(ctx *pulumi.Context, s site) error {
	settings := stacks.Settings()
	settings.Serving.Domain = "models.example.org"
	models := serving.Layers(settings.Serving, false, s.tenants...)
	policies, err := stacks.GuardrailLayers()
	if err != nil {
		return err
	}
	source, err := stacks.SourceIn(s.cache, append(models, policies...))
	if err != nil {
		return err
	}
	images, err := stacks.Pinned(settings)
	if err != nil {
		return err
	}

	shown, err := certificates.New(ctx, "certificates", &certificates.Args{
		Validity: 365 * 24 * time.Hour, RenewBefore: 30 * 24 * time.Hour,
		Servers: []certificates.Server{
			{Name: gateway, Hosts: serving.Hosts([]string{s.address}, settings.Serving.Domain, s.tenants...)},
			{Name: webhook, Hosts: []string{serving.WebhookHost}},
		},
	})
	if err != nil {
		return err
	}
	kinds, err := layer.NewKinds(ctx, "kinds", &layer.KindsArgs{Layers: models, Source: source})
	if err != nil {
		return err
	}
	delivery, err := layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
		Repository: s.repository, Source: source, Kinds: kinds, Project: s.project, ApplicationNamespace: "argocd",
		GitImage: images.Git, ProbeImage: images.Python,
	})
	if err != nil {
		return err
	}
	if _, err := guardrails.New(ctx, "guardrails", &guardrails.Args{Layers: policies, Delivery: delivery}); err != nil {
		return err
	}
	served, err := serving.New(ctx, "serving", &serving.Args{
		Settings: settings.Serving, Address: s.address, Layers: models, ModelServer: images.ModelServer, Delivery: delivery,
		Gateway: shown.Of(gateway), Webhook: shown.Of(webhook), Authority: shown.Authority,
	})
	if err != nil {
		return err
	}
	ctx.Export("gatewayUrl", pulumi.String(served.GatewayURL))
	return nil
}
