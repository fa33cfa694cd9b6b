package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// distribution is how a Kubernetes runs in a container.
type distribution struct {
	// image is its name in gitops/upstream.yaml, below no upstream.
	image string
	// server and agent are the commands of the first node and of the others.
	server, agent func(*DockerArgs) []string
	// data is the folder that outlives the container.
	data string
	// authorities it takes instead of making its own: files without ending, by what
	// they sign for. Each becomes a .crt and a .key.
	servers, clients, frontProxy string
	// files beside these, by path. The password is the registry's of what is built; nil
	// without.
	files func(_ *DockerArgs, password pulumi.StringInput) map[string]pulumi.StringInput
	// healthy is a command that ends with 0 once pods can run.
	healthy []string
	// inotify is how many instances its processes and the platform's take; 0 is not
	// asked for.
	inotify int
	// tmpfs are folders that begin empty, and the options of each.
	tmpfs map[string]string
	// entrypoint before the command; none means the image's.
	entrypoint []string
}

var distributions = map[string]distribution{
	config.DistributionK3s: {
		image: "k3s", data: "/var/lib/rancher/k3s",
		server: k3sServer, agent: k3sAgent, files: k3sFiles,
		servers: "/var/lib/rancher/k3s/server/tls/server-ca", clients: "/var/lib/rancher/k3s/server/tls/client-ca",
		frontProxy: "/var/lib/rancher/k3s/server/tls/request-header-ca",
		healthy:    []string{"CMD", "kubectl", "get", "--raw", "/readyz"},
		tmpfs:      map[string]string{"/run": "", "/var/run": ""},
		inotify:    1024,
		// Mounts of pods have to be seen by the node, and k3s has to be the first process
		// to make cgroups for them.
		entrypoint: []string{"/bin/sh", "-c", `mount --make-rshared / && exec /bin/k3s "$@"`, "k3s"},
	},
	config.DistributionNode: {
		image: "node", data: "/node",
		server: func(a *DockerArgs) []string {
			return []string{"node-container", "--name", strings.TrimPrefix(a.Name, config.Namespace+"-"), "--address", a.address(0)}
		},
		servers: "/node/authorities/ca", clients: "/node/authorities/ca", frontProxy: "/node/authorities/front-proxy-ca",
		files:   func(*DockerArgs, pulumi.StringInput) map[string]pulumi.StringInput { return nil },
		healthy: []string{"CMD", "/usr/local/bin/sealed", "node-health"},
	},
}

const (
	k3sConfig     = "/etc/rancher/k3s/"
	k3sResolvConf = k3sConfig + "resolv.conf"
)

// k3sServer has its arguments from what users of k3s in Docker ran into.
func k3sServer(a *DockerArgs) []string {
	return append([]string{"server",
		// The kubeconfig names loopback, and everything else this address, which stays.
		"--node-ip=" + a.address(0), "--advertise-address=" + a.address(0), "--tls-san=127.0.0.1", "--tls-san=" + a.Name,
		"--cluster-cidr=" + config.PodRange.String(), "--service-cidr=" + config.ServiceRange.String(),
		// What the platform brings itself, or does not need. Both would take ports 80 and
		// 443 of the node.
		"--disable=traefik,servicelb,metrics-server", "--disable-cloud-controller", "--disable-helm-controller",
		"--secrets-encryption",
	}, k3sNode()...)
}

func k3sAgent(a *DockerArgs) []string {
	return append([]string{"agent", "--server=https://" + a.address(0) + ":6443"}, k3sNode()...)
}

// k3sNode is what every node is told.
func k3sNode() []string {
	return []string{
		// Docker's own answers only inside the container's network, not in that of pods.
		"--resolv-conf=" + k3sResolvConf,
		// A container may not raise the machine's limit.
		"--kube-proxy-arg=conntrack-max-per-core=0",
		// The disk is the machine's: that it is nearly full is nothing k3s can change.
		"--kubelet-arg=eviction-hard=imagefs.available<1%,nodefs.available<1%",
		"--kubelet-arg=eviction-minimum-reclaim=imagefs.available=1%,nodefs.available=1%",
		"--kubelet-arg=fail-swap-on=false",
	}
}

func k3sFiles(a *DockerArgs, password pulumi.StringInput) map[string]pulumi.StringInput {
	files := map[string]pulumi.StringInput{k3sResolvConf: pulumi.String(resolvConf)}
	if mirrors := a.mirrors(); len(mirrors) > 0 {
		text := registries(mirrors)
		var content pulumi.StringInput = pulumi.String(text)
		if password != nil {
			content = pulumi.Sprintf("%sconfigs:\n  %q:\n    auth:\n      username: %s\n      password: %s\n", text, a.registryHost(), registryUser, password)
		}
		files[k3sConfig+"registries.yaml"] = content
	}
	return files
}

// resolvConf names resolvers that answer from anywhere: Docker's own answers only in
// the network of a container, and moves with versions of Docker.
const resolvConf = "nameserver 1.1.1.1\nnameserver 8.8.8.8\n"

// registries is k3s' registries.yaml.
func registries(mirrors []config.Mirror) string {
	endpoints := map[string][]string{}
	for _, m := range mirrors {
		endpoints[m.Registry] = append(endpoints[m.Registry], m.Endpoint)
	}
	var text strings.Builder
	text.WriteString("mirrors:\n")
	for _, registry := range slices.Sorted(maps.Keys(endpoints)) {
		fmt.Fprintf(&text, "  %q:\n    endpoint:\n", registry)
		for _, endpoint := range endpoints[registry] {
			fmt.Fprintf(&text, "      - %q\n", endpoint)
		}
	}
	return text.String()
}
