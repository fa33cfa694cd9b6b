package manifest

import "github.com/neuroscale-platform/neuroscale/internal/config"

// Reaches is a NetworkPolicy that lets pods of some labels connect to more than others
// of theirs let them.
func Reaches(namespace, name string, pods map[string]string, where []config.Egress) Object {
	labels := Object{}
	for key, value := range pods {
		labels[key] = value
	}
	var rules []any
	for _, e := range where {
		rules = append(rules, EgressTo(e))
	}
	return Object{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": Object{"name": name, "namespace": namespace},
		"spec": Object{"podSelector": Object{"matchLabels": labels}, "policyTypes": []any{"Egress"}, "egress": rules},
	}
}

// EgressTo is a rule of a NetworkPolicy.
func EgressTo(e config.Egress) Object {
	block := Object{"cidr": e.CIDR}
	var except []any
	for _, each := range e.Except() {
		except = append(except, each)
	}
	if len(except) > 0 {
		block["except"] = except
	}
	var ports []any
	for _, port := range e.Ports {
		ports = append(ports, Object{"protocol": "TCP", "port": port})
	}
	return Object{"to": []any{Object{"ipBlock": block}}, "ports": ports}
}
