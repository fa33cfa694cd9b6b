package stacks

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Names of the stack's outputs.
const (
	OutputKubeconfig          = "kubeconfig"
	OutputArgoCDURL           = "argocdUrl"
	OutputArgoCDAdminPassword = "argocdAdminPassword"
	OutputGatewayURL          = "gatewayUrl"
	OutputForgeURL            = "forgeUrl"
	OutputForgeUser           = "forgeUser"
	OutputForgePassword       = "forgePassword"
	OutputRepository          = "repository"
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
	GatewayURL    string `json:"gatewayUrl"`
	ForgeURL      string `json:"forgeUrl"`
	ForgeUser     string `json:"forgeUser"`
	ForgePassword string `json:"forgePassword"`
	// Repository is where people clone the first tenant's endpoints from.
	Repository string `json:"repository"`
	// Endpoints of the first content: name to URL, whose host is the one to ask
	// GatewayURL for.
	Endpoints map[string]string `json:"endpoints"`
	// Forwards are the services worth a port-forward.
	Forwards []Forward `json:"forwards"`
	// Layers by name.
	Layers map[string]Layer `json:"layers"`
	// Versions of the upstreams by their name in gitops/upstream.yaml.
	Versions map[string]string `json:"versions"`
}

// Forward is a service and the local port it is usually forwarded to.
type Forward struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Port      int    `json:"port"`
	LocalPort int    `json:"localPort"`
}

// Layer is a delivered layer.
type Layer struct {
	Version string `json:"version"`
	Hash    string `json:"hash"`
}

// Forwards of the platform's services.
func forwards() []Forward {
	return []Forward{
		{"argocd", argocd.Namespace, argocd.Service, argocd.ServicePort, 8081},
		{"gateway", serving.GatewayNamespace, serving.GatewayService, serving.GatewayPort, 8082},
		{"forge", forge.Namespace, forge.Service, forge.Port, 8083},
	}
}

// exports are the components whose outputs are the stack's.
type exports struct {
	cluster   *cluster.Cluster
	argo      *argocd.ArgoCD
	git       *forge.Forge
	models    *serving.Serving
	endpoints *endpoints.Endpoints
	// layers that go through Git.
	layers []*layer.Layer
	// repository is where people clone the first tenant's endpoints from.
	repository string
	upstream   *render.Upstream
}

func (e *exports) export(ctx *pulumi.Context) {
	layers := pulumi.Map{argocd.Layer: layerOutput(e.argo.Version, e.argo.Hash)}
	for _, l := range e.layers {
		layers[l.Name] = layerOutput(l.Version, l.Hash)
	}
	versions := pulumi.StringMap{}
	for alias, module := range e.upstream.Modules {
		versions[alias] = pulumi.String(module.Version)
	}
	forwarded := pulumi.Array{}
	for _, f := range forwards() {
		forwarded = append(forwarded, pulumi.Map{
			"name": pulumi.String(f.Name), "namespace": pulumi.String(f.Namespace),
			"service": pulumi.String(f.Service), "port": pulumi.Int(f.Port), "localPort": pulumi.Int(f.LocalPort),
		})
	}
	ctx.Export(OutputKubeconfig, e.cluster.Kubeconfig)
	ctx.Export(OutputArgoCDURL, pulumi.String(e.argo.URL))
	ctx.Export(OutputArgoCDAdminPassword, e.argo.AdminPassword)
	ctx.Export(OutputGatewayURL, pulumi.String(e.models.GatewayURL))
	ctx.Export(OutputForgeURL, pulumi.String(e.git.URL))
	ctx.Export(OutputForgeUser, pulumi.String(e.git.Admin.Username))
	ctx.Export(OutputForgePassword, e.git.Admin.Password)
	ctx.Export(OutputRepository, pulumi.String(e.repository))
	ctx.Export(OutputEndpoints, pulumi.ToStringMap(e.endpoints.URLs))
	ctx.Export(OutputForwards, forwarded)
	ctx.Export(OutputLayers, layers)
	ctx.Export(OutputVersions, versions)
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
