package stacks

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/layer"
)

// Names of the stack's outputs.
const (
	OutputKubeconfig          = "kubeconfig"
	OutputArgoCDURL           = "argocdUrl"
	OutputArgoCDAdminPassword = "argocdAdminPassword"
	OutputGatewayURL          = "gatewayUrl"
	OutputPlatformKey         = "platformKey"
	OutputForgeURL            = "forgeUrl"
	OutputAuthority           = "certificateAuthority"
	OutputCertificates        = "certificates"
	OutputForgeUser           = "forgeUser"
	OutputForgePassword       = "forgePassword"
	OutputMembers             = "members"
	OutputRepository          = "repository"
	OutputPortalURL           = "portalUrl"
	OutputEndpoints           = "endpoints"
	OutputForwards            = "forwards"
	OutputLayers              = "layers"
	OutputVersions            = "versions"
)

// Outputs of the stack.
type Outputs struct {
	// Kubeconfig of the cluster, self-contained.
	Kubeconfig          string `json:"kubeconfig"`
	ArgoCDURL           string `json:"argocdUrl"`
	ArgoCDAdminPassword string `json:"argocdAdminPassword"`
	// GatewayURL answers for all endpoints, told apart by their host name.
	GatewayURL string `json:"gatewayUrl"`
	// PlatformKey opens every endpoint; empty if the gateway asks for none.
	PlatformKey string `json:"platformKey"`
	ForgeURL    string `json:"forgeUrl"`
	// ForgeUser is the account of the platform's administrators, who push nothing
	// with it.
	ForgeUser     string `json:"forgeUser"`
	ForgePassword string `json:"forgePassword"`
	// Authority is the certificate of whoever signed those of all servers, in PEM
	// form.
	Authority string `json:"certificateAuthority"`
	// Certificates are when those of the servers end, by the server's name.
	Certificates map[string]time.Time `json:"certificates"`
	// Members of tenants by the name of their account: their passwords in the forge.
	Members map[string]string `json:"members"`
	// Repository is where people clone the first tenant's endpoints from.
	Repository string `json:"repository"`
	// PortalURL is where people ask for endpoints; empty if there is no portal.
	PortalURL string `json:"portalUrl"`
	// Endpoints of the first content: name to URL, whose host is the one to ask
	// GatewayURL for.
	Endpoints map[string]string `json:"endpoints"`
	// Forwards are the services worth a port-forward.
	Forwards []layer.Forward `json:"forwards"`
	// Layers by name.
	Layers map[string]Layer `json:"layers"`
	// Versions of the upstreams by their name in gitops/upstream.yaml.
	Versions map[string]string `json:"versions"`
}

// Layer is a delivered layer.
type Layer struct {
	Version string `json:"version"`
	Hash    string `json:"hash"`
}

func (s *site) export() {
	layers := pulumi.Map{argocd.Layer: layerOutput(s.argocd.Version, s.argocd.Hash)}
	for _, l := range s.delivery.Layers() {
		layers[l.Name] = layerOutput(l.Version, l.Hash)
	}
	versions := pulumi.StringMap{}
	for alias, module := range s.upstream.Modules {
		versions[alias] = pulumi.String(module.Version)
	}
	forwarded := pulumi.Array{}
	for _, f := range forwards(s.layers, s.cfg.TLS) {
		forwarded = append(forwarded, pulumi.Map{
			"name": pulumi.String(f.Name), "namespace": pulumi.String(f.Namespace),
			"service": pulumi.String(f.Service), "port": pulumi.Int(f.Port), "localPort": pulumi.Int(f.LocalPort), "tls": pulumi.Bool(f.TLS),
		})
	}
	s.ctx.Export(OutputKubeconfig, s.cluster.Kubeconfig)
	s.ctx.Export(OutputArgoCDURL, pulumi.String(s.argocd.URL))
	s.ctx.Export(OutputArgoCDAdminPassword, s.argocd.AdminPassword)
	s.ctx.Export(OutputGatewayURL, pulumi.String(s.serving.GatewayURL))
	s.ctx.Export(OutputPlatformKey, s.serving.PlatformKey)
	s.ctx.Export(OutputForgeURL, pulumi.String(s.forge.URL))
	s.ctx.Export(OutputForgeUser, pulumi.String(s.forge.Admin.Username))
	s.ctx.Export(OutputForgePassword, s.forge.Admin.Password)
	s.ctx.Export(OutputAuthority, s.certificates.Authority)
	s.ctx.Export(OutputCertificates, s.certificates.Expiry())
	members := pulumi.StringMap{}
	for _, account := range s.forge.Members {
		members[account.Username] = account.Password
	}
	s.ctx.Export(OutputMembers, pulumi.ToSecret(members))
	s.ctx.Export(OutputRepository, pulumi.String(s.people.urls[s.cfg.Tenants[0].Repositories[0]]))
	s.ctx.Export(OutputPortalURL, pulumi.String(s.portal.URL))
	s.ctx.Export(OutputEndpoints, pulumi.ToStringMap(s.endpoints.URLs))
	s.ctx.Export(OutputForwards, forwarded)
	s.ctx.Export(OutputLayers, layers)
	s.ctx.Export(OutputVersions, versions)
}

func layerOutput(version, hash string) pulumi.Map {
	return pulumi.Map{"version": pulumi.String(version), "hash": pulumi.String(hash)}
}

// DecodeOutputs reads the outputs of a deployed stack. A missing one is an error
// naming it: the stack was then not brought up to its end.
func DecodeOutputs(m auto.OutputMap) (*Outputs, error) {
	values := map[string]any{}
	for name, output := range m {
		values[name] = output.Value
	}
	for i := range reflect.TypeFor[Outputs]().NumField() {
		name := reflect.TypeFor[Outputs]().Field(i).Tag.Get("json")
		if values[name] == nil {
			return nil, fmt.Errorf("the stack has no output %s: bring it up first (`pulumi up`)", name)
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("outputs of the stack: %w", err)
	}
	o := &Outputs{}
	if err := json.Unmarshal(text, o); err != nil {
		return nil, fmt.Errorf("outputs of the stack: %w", err)
	}
	return o, nil
}
