package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Ranges inside a cluster in Docker, which every distribution there has.
var (
	PodRange     = netip.MustParsePrefix("10.42.0.0/16")
	ServiceRange = netip.MustParsePrefix("10.43.0.0/16")
)

// NodePort is one the platform serves on, and the setting that says so.
type NodePort struct {
	Setting string
	Port    int
}

// NodePorts are those the platform serves on.
func (c *Config) NodePorts() []NodePort {
	ports := []NodePort{
		{"gitops.nodePort", c.GitOps.NodePort},
		{"forge.nodePort", c.Forge.NodePort},
		{"serving.gateway.nodePort", c.Serving.Gateway.NodePort},
	}
	if c.Portal.Enabled {
		ports = append(ports, NodePort{"portal.nodePort", c.Portal.NodePort})
	}
	return ports
}

// MemoryBytes is Memory, 0 if that is no quantity.
func (c Cluster) MemoryBytes() int64 { return wholeBytes(c.Memory) }

// BuildsOwnImages is whether the images of this repository's programs are built.
func (c Cluster) BuildsOwnImages() bool {
	if c.OwnImages == OwnImagesAuto {
		return c.Provider == ProviderDocker && c.Distribution == DistributionK3s && c.ImageRegistry == ""
	}
	return c.OwnImages == OwnImagesBuild
}

// LocalPorts are those that a cluster in Docker has on loopback beside the node ports.
func (c Cluster) LocalPorts() []NodePort {
	if c.Provider != ProviderDocker {
		return nil
	}
	ports := []NodePort{{"cluster.apiPort", c.APIPort}}
	if c.BuildsOwnImages() {
		ports = append(ports, NodePort{"cluster.registryPort", c.RegistryPort})
	}
	return ports
}

// leastMemory is what the platform took on one node, see README.
const leastMemory = "6Gi"

func (v *checker) cluster(c Cluster) {
	if c.Address != "" && net.ParseIP(c.Address) == nil && len(validation.IsDNS1123Subdomain(c.Address)) > 0 {
		v.refuse("cluster.address", c.Address, "a host name or an IP address, without scheme or port")
	}
	if c.StorageClass != "" && len(validation.IsDNS1123Subdomain(c.StorageClass)) > 0 {
		v.refuse("cluster.storageClass", c.StorageClass, "the name of a StorageClass such as gp3, see `kubectl get storageclass`")
	}
	if c.ImageRegistry != "" && !imagePrefix.MatchString(c.ImageRegistry) {
		v.refuse("cluster.imageRegistry", c.ImageRegistry, "a registry and a folder in it, such as registry.example.org/mirror, without scheme and tag")
	}
	if c.Provider == ProviderDocker {
		if c.Kubeconfig != "" {
			v.refuse("cluster.kubeconfig", c.Kubeconfig, "nothing, a cluster in Docker has one of its own")
		}
		if c.Context != "" {
			v.refuse("cluster.context", c.Context, "nothing, a cluster in Docker has one of its own")
		}
		v.distribution(c)
	}
	if c.OwnImages == OwnImagesBuild {
		v.builds(c)
	}
	v.subnet(c.Subnet)
	if q, ok := v.bytes("cluster.memory", c.Memory); ok && q.Cmp(resource.MustParse(leastMemory)) < 0 {
		v.refuse("cluster.memory", c.Memory, "at least "+leastMemory+", the platform needs that")
	}
	for i, m := range c.Mirrors {
		at := fmt.Sprintf("cluster.mirrors[%d]", i)
		if !registryHost.MatchString(m.Registry) {
			v.refuse(at+".registry", m.Registry, "the host name of a registry such as docker.io or localhost:5000")
		}
		if u, err := url.Parse(m.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			v.refuse(at+".endpoint", m.Endpoint, "a URL such as http://registry.example:5000")
		}
	}
}

func (v *checker) distribution(c Cluster) {
	if c.Distribution == DistributionNode {
		if !filepath.IsAbs(c.Images) {
			v.refuse("cluster.images", c.Images, "the absolute path of the cache of `sealed`, from which the distribution node has its images")
		}
		if c.Agents > 0 {
			v.refuse("cluster.agents", c.Agents, "0, or cluster.distribution k3s: node is one node")
		}
		return
	}
	if c.Images != "" {
		v.refuse("cluster.images", c.Images, "nothing, or cluster.distribution node: k3s pulls its images")
	}
}

// builds refuses to build images that nothing would pull.
func (v *checker) builds(c Cluster) {
	switch {
	case c.Provider != ProviderDocker:
		v.refuse("cluster.ownImages", c.OwnImages, "pull, or cluster.provider docker: only a cluster that is made beside them has what is built here")
	case c.Distribution != DistributionK3s:
		v.refuse("cluster.ownImages", c.OwnImages, "pull, or cluster.distribution k3s: node has all images in cluster.images")
	case c.ImageRegistry != "":
		v.refuse("cluster.ownImages", c.OwnImages, "pull, or leave out cluster.imageRegistry, which has these images as well")
	}
}

// subnet wants room for the gateway, the nodes and what else people put there, and
// none of the addresses that are inside the cluster.
func (v *checker) subnet(value string) {
	const write = "addresses such as 10.89.0.0/24"
	subnet, err := netip.ParsePrefix(value)
	switch {
	case err != nil || !subnet.Addr().Is4() || subnet.Masked() != subnet || subnet.Bits() < 16 || subnet.Bits() > 27:
		v.refuse("cluster.subnet", value, write+", an IPv4 network from /16 to /27")
	case subnet.Overlaps(PodRange):
		v.refuse("cluster.subnet", value, write+", outside "+PodRange.String()+", where the pods are")
	case subnet.Overlaps(ServiceRange):
		v.refuse("cluster.subnet", value, write+", outside "+ServiceRange.String()+", where the Services are")
	}
}
