// Package dashboards serves pages with plots of what the platform measures.
package dashboards

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/cost"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	prices "github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Layer is the name of the only one, and of its objects.
const Layer = "dashboards"

const namespace = "dashboards"

// Pages is its service.
var Pages = layer.Forward{Name: Layer, Namespace: namespace, Service: Layer, Port: 8080, LocalPort: 8087}

// Layers of dashboards as a configuration and prices make them; none if nothing is
// measured. Nothing waits for them, nor they for Prometheus.
func Layers(c *config.Config, p *prices.Prices) layer.List {
	if !c.Cost.Enabled {
		return nil
	}
	args := []any{
		fmt.Sprintf("-prometheus=http://%s.%s.svc:%d", cost.Prometheus.Service, cost.Prometheus.Namespace, cost.Prometheus.Port),
		"-currency=" + p.Currency,
		fmt.Sprintf("-hosts=%[1]s,%[1]s.%[2]s.svc", Pages.Service, Pages.Namespace),
		"-certificates=" + strings.Join(servers(c), ","),
	}
	return layer.List{{
		Name: Layer, Namespaces: []string{namespace}, ClusterKinds: []schema.GroupKind{{Kind: "Namespace"}},
		Tree: layer.Rendered(Layer, render.Patch{Kind: "Deployment", Namespace: namespace, Name: Layer, Merge: map[string]any{
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": Layer, "args": args}},
			}}},
		}}),
		After:    []string{serving.RuntimesLayer},
		Forwards: []layer.Forward{Pages},
	}}
}

// servers are those that people ask and that show a certificate. The guard's, which
// only the forge reaches, are as old as these.
func servers(c *config.Config) []string {
	var all []string
	add := func(server, host string, port int) {
		if !c.TLS.Plain(server) {
			all = append(all, server+"="+net.JoinHostPort(host, strconv.Itoa(port)))
		}
	}
	add(config.ServerArgoCD, argocd.Host, 443)
	add(config.ServerForge, forge.Host, forge.Port)
	add(config.ServerGateway, serving.GatewayHost, 443)
	if c.Portal.Enabled {
		add(config.ServerPortal, portal.Host, portal.Port)
	}
	return all
}
