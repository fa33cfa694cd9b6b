package portal

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/scaffold"
)

// configFolder is where the portal finds its files.
const configFolder = "/etc/portal/config/"

// certificateFolder is where the container finds its certificate.
const certificateFolder = "/etc/portal/certificate/"

// appConfig is what the portal knows of the platform's configuration. Its own program
// reads the same in portal/packages/backend/src/platform.
type appConfig struct {
	site     site
	guests   bool
	plain    bool
	skeleton map[string]string
	database config.PortalDatabase
}

// site is the key neuroscale of the portal's configuration.
type site struct {
	Guests bool `json:"guests"`
	Forge  struct {
		Provider     string `json:"provider"`
		Organization string `json:"organization"`
	} `json:"forge"`
	Rules   scaffold.Rules           `json:"rules"`
	Sizes   map[string]scaffold.Size `json:"sizes"`
	Prices  prices                   `json:"prices"`
	Tenants []tenant                 `json:"tenants"`
	order   []string                 // of Sizes
}

// prices are what one replica of each size costs in a month.
type prices struct {
	Currency string             `json:"currency"`
	Monthly  map[string]float64 `json:"monthly"`
}

type tenant struct {
	Namespace  string   `json:"namespace"`
	Owner      string   `json:"owner"`
	CostCenter string   `json:"costCenter"`
	Repository string   `json:"repository"`
	Members    []string `json:"members"`
	scaffold.Bounds
}

func newAppConfig(c *config.Config, excluded Excluded, reserved []string) (*appConfig, error) {
	s, err := scaffold.Load(gitops.FS)
	if err != nil {
		return nil, err
	}
	a := &appConfig{database: c.Portal.Database, guests: c.Portal.Guests, plain: c.TLS.Plain(config.ServerPortal), skeleton: s.Templates()}
	a.site = site{Guests: c.Portal.Guests, Rules: s.Rules(), Sizes: s.Sizes, order: s.SizeNames()}
	a.site.Forge.Provider, a.site.Forge.Organization = c.Forge.Provider, c.Forge.Organization
	if a.site.Prices, err = pricesOf(s, c); err != nil {
		return nil, err
	}
	for _, t := range c.Tenants {
		where := scaffold.Site{Tenant: t, Stores: c.Serving.ModelStores, Excluded: excluded(c.Tenants, t.Namespace, reserved)}
		members := t.Members
		if members == nil {
			members = []string{}
		}
		a.site.Tenants = append(a.site.Tenants, tenant{
			Namespace: t.Namespace, Owner: t.Owner, CostCenter: t.CostCenter, Repository: t.Repositories[0],
			Members: members, Bounds: s.Bounds(where),
		})
	}
	return a, nil
}

// pricesOf asks for each size what an endpoint of one replica costs.
func pricesOf(s *scaffold.Scaffold, c *config.Config) (prices, error) {
	p := prices{Monthly: map[string]float64{}}
	platform, err := cost.NewPlatform(gitops.FS, c.Serving)
	if err != nil {
		return p, err
	}
	for _, size := range s.SizeNames() {
		e := scaffold.Endpoint{Name: "any", Size: size, MinReplicas: 1, MaxReplicas: 1, ModelFormat: s.Formats[0], StorageURI: "gs://any/model"}
		d, err := s.Estimate(platform, c.Tenants, c.Tenants[0].Namespace, e)
		if err != nil {
			return p, fmt.Errorf("what size %s costs: %w", size, err)
		}
		p.Currency, p.Monthly[size] = d.Currency, d.Total.After.AtMax.Monthly
	}
	return p, nil
}

// signIns are what each kind of forge is asked by who somebody is.
var signIns = map[string]map[string]any{
	config.ForgeGitea: {
		"clientId": "${FORGE_CLIENT_ID}", "clientSecret": "${FORGE_CLIENT_SECRET}", "url": "${FORGE_URL}", "internalUrl": "${FORGE_INTERNAL_URL}",
	},
	config.ForgeGitHub: {
		"clientId": "${FORGE_CLIENT_ID}", "clientSecret": "${FORGE_CLIENT_SECRET}",
		// Of OAuth Apps the only one with which somebody reads a private repository, and so
		// with which a branch or a pull request is made there.
		"additionalScopes": []any{"repo"},
	},
}

// encode are the files of the portal's ConfigMap.
func (a *appConfig) encode() (map[string]string, error) {
	backend := map[string]any{"auth": map[string]any{"externalAccess": []any{map[string]any{
		"type": "static", "options": map[string]any{"token": "${" + VerifyToken + "}", "subject": "neuroscale-verify"},
		"accessRestrictions": []any{map[string]any{"plugin": "catalog"}},
	}}}}
	document := map[string]any{
		"neuroscale": a.site, "backend": backend,
		"catalog": map[string]any{"locations": []any{map[string]any{
			"type": "file", "target": configFolder + "templates.yaml", "rules": []any{map[string]any{"allow": []any{"Template"}}},
		}}},
	}
	if a.database.Postgres() {
		backend["database"] = postgres(a.database)
	}
	if !a.plain {
		backend["https"] = map[string]any{"certificate": map[string]any{
			"cert": map[string]any{"$file": certificateFolder + "tls.crt"}, "key": map[string]any{"$file": certificateFolder + "tls.key"},
		}}
	}
	providers := map[string]any{a.site.Forge.Provider: map[string]any{"production": signIns[a.site.Forge.Provider]}}
	if a.guests {
		providers["guest"] = map[string]any{"dangerouslyAllowOutsideDevelopment": true, "userEntityRef": "user:default/guest"}
	}
	document["auth"] = map[string]any{"providers": providers}
	text, err := yaml.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	files := map[string]string{"app-config.yaml": string(text)}
	for _, template := range templates(a.site) {
		text, err := yaml.Marshal(template)
		if err != nil {
			return nil, fmt.Errorf("write the templates: %w", err)
		}
		files["templates.yaml"] += "---\n" + string(text)
	}
	return files, nil
}
