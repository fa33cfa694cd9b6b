package tenancy

import (
	"slices"

	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Network is the name of a tenant's NetworkPolicy.
const Network = "neuroscale-tenant"

// Ports of what Knative puts beside a model server, and of cluster DNS.
var (
	requestPorts = []int{8012, 8112}
	metricsPorts = []int{9090, 9091}
	dnsPorts     = []int{53}
	// internalPorts are the gateway's for requests from inside the cluster.
	internalPorts = []int{8081, 8444}
)

// GatewayPorts are those of the gateway that a tenant's pods may connect to.
func GatewayPorts() []int { return slices.Clone(internalPorts) }

// networkPolicy is what a tenant's pods may be reached by and what they may reach;
// everything else is refused, both ways.
//
// They reach the gateway, because that is how a transformer reaches its predictor.
// There their own endpoints are open to them; for others they need a key like
// everybody outside.
func networkPolicy(t config.Tenant, stores []config.Egress) map[string]any {
	own := peer(map[string]any{"podSelector": map[string]any{}})
	egress := []any{
		map[string]any{"to": own},
		dnsEgress(),
		map[string]any{"to": namespace(serving.GatewayNamespace), "ports": ports("TCP", internalPorts)},
	}
	for _, e := range slices.Concat(stores, t.Egress) {
		egress = append(egress, map[string]any{"to": block(e), "ports": ports("TCP", e.Ports)})
	}
	return map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": map[string]any{"name": Network, "namespace": t.Namespace},
		"spec": map[string]any{
			"podSelector": map[string]any{},
			"policyTypes": []any{"Ingress", "Egress"},
			"ingress": []any{
				map[string]any{"from": own},
				map[string]any{"from": namespace(serving.GatewayNamespace), "ports": ports("TCP", requestPorts)},
				map[string]any{"from": namespace(serving.KnativeNamespace), "ports": ports("TCP", slices.Concat(requestPorts, metricsPorts))},
			},
			"egress": egress,
		},
	}
}

// dnsEgress is the way to cluster DNS.
func dnsEgress() map[string]any {
	return map[string]any{
		"to": peer(map[string]any{
			"namespaceSelector": named("kube-system"),
			"podSelector":       map[string]any{"matchLabels": map[string]any{"k8s-app": "kube-dns"}},
		}),
		"ports": append(ports("UDP", dnsPorts), ports("TCP", dnsPorts)...),
	}
}

func named(namespace string) map[string]any {
	return map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace}}
}

func namespace(name string) []any {
	return peer(map[string]any{"namespaceSelector": named(name)})
}

func block(e config.Egress) []any {
	ipBlock := map[string]any{"cidr": e.CIDR}
	if except := e.Except(); len(except) > 0 {
		ipBlock["except"] = anyList(except)
	}
	return peer(map[string]any{"ipBlock": ipBlock})
}

func peer(p map[string]any) []any { return []any{p} }

func ports(protocol string, numbers []int) []any {
	var list []any
	for _, n := range numbers {
		list = append(list, map[string]any{"protocol": protocol, "port": n})
	}
	return list
}
