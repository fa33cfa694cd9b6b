package node

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/pki"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/process"
)

//go:embed templates
var templates embed.FS

// configDir of a running node, as the node sees it.
const configDir = "/run/neuroscale"

// etcd listens on loopback of the node's own network.
const etcdURL = "http://127.0.0.1:2379"

// config fills the templates.
type config struct {
	Node, NodeIP, Registry, PauseImage string
	PluginDir, ConfigDir, PKI          string
	DNSIP, Domain, PodSubnet           string
	// SecretsKey is what the API server encrypts Secrets with; "" until it is read.
	SecretsKey string
	// Components, as they are selected in an audit policy, report what they found to
	// objects of StatusGroups.
	Components, StatusGroups []string
}

// logDir holds the log of what was changed, as the node sees it.
const logDir = "/var/log/neuroscale"

func newConfig(i *Instance, s Spec) config {
	return config{
		Node: i.FullName(), NodeIP: i.NodeIP().String(), Registry: i.Registry(), PauseImage: s.PauseImage,
		PluginDir: s.PluginDir, ConfigDir: configDir, PKI: configDir + "/pki",
		DNSIP: DNSIP, Domain: Domain, PodSubnet: "10.42.0.0/24",
		Components: []string{
			"userGroups: [system:nodes, system:serviceaccounts]",
			"users: [system:apiserver, system:kube-controller-manager, system:kube-scheduler, system:kube-proxy]",
		},
		StatusGroups: []string{
			"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "autoscaling",
			"autoscaling.internal.knative.dev", "batch", "caching.internal.knative.dev", "flowcontrol.apiserver.k8s.io", "kyverno.io", "networking.internal.knative.dev",
			"networking.k8s.io", "policies.kyverno.io", "policy", "serving.knative.dev", "serving.kserve.io", "storage.k8s.io",
		},
	}
}

// secretFiles are for root alone.
var secretFiles = []string{"encryption.yaml"}

// files renders every configuration file, by its path below ConfigDir.
func (c config) files() (map[string][]byte, error) {
	rendered := map[string][]byte{
		"resolv.conf": []byte("nameserver " + c.DNSIP + "\n"),
	}
	for path, name := range map[string]string{
		"audit.yaml":                     "audit.yaml",
		"encryption.yaml":                "encryption.yaml",
		"containerd.toml":                "containerd.toml",
		"kubelet.yaml":                   "kubelet.yaml",
		"registries/_default/hosts.toml": "hosts.toml",
		"cni/10-neuroscale.conflist":     "cni.conflist",
	} {
		t, err := template.New(name).Option("missingkey=error").ParseFS(templates, "templates/"+name)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
		var text bytes.Buffer
		if err := t.Execute(&text, c); err != nil {
			return nil, fmt.Errorf("render %s: %w", name, err)
		}
		rendered[path] = text.Bytes()
	}
	return rendered, nil
}

func (c config) write(dir string) error {
	files, err := c.files()
	if err != nil {
		return err
	}
	for path, content := range files {
		mode := fs.FileMode(0o644)
		if slices.Contains(secretFiles, path) {
			mode = 0o600
		}
		if err := writeFile(filepath.Join(dir, path), content, mode); err != nil {
			return err
		}
	}
	return nil
}

// Names of the node's processes, which are those of their log files.
const (
	etcd              = "etcd"
	containerd        = "containerd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kubelet           = "kubelet"
	proxy             = "kube-proxy"
	router            = "kube-router"
)

// audit is the name of the log of what was changed, which the API server writes
// beside what it prints.
const audit = "audit"

// Processes in the order they are started.
var Processes = []string{etcd, containerd, apiServer, controllerManager, scheduler, kubelet, proxy, router}

// arguments of every process.
func (c config) arguments() map[string][]string {
	kubeconfig := func(client string) string { return "--kubeconfig=" + c.PKI + "/" + client + ".kubeconfig" }
	cert := func(flag, name, ending string) string { return "--" + flag + "=" + c.PKI + "/" + name + "." + ending }
	return map[string][]string{
		etcd: {
			"--data-dir=/var/lib/etcd",
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=default=http://127.0.0.1:2380",
			"--unsafe-no-fsync", "--auto-compaction-retention=1",
		},
		containerd: {"--config=" + c.ConfigDir + "/containerd.toml"},
		apiServer: {
			"--etcd-servers=" + etcdURL,
			"--bind-address=0.0.0.0", "--secure-port=6443", "--advertise-address=" + c.NodeIP,
			"--service-cluster-ip-range=" + ServiceCIDR, "--allow-privileged=true",
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			cert("client-ca-file", pki.CA, "crt"),
			cert("tls-cert-file", pki.APIServer, "crt"), cert("tls-private-key-file", pki.APIServer, "key"),
			cert("kubelet-certificate-authority", pki.CA, "crt"),
			cert("kubelet-client-certificate", pki.KubeletClient, "crt"), cert("kubelet-client-key", pki.KubeletClient, "key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc",
			cert("service-account-key-file", pki.ServiceAccounts, "pub"),
			cert("service-account-signing-key-file", pki.ServiceAccounts, "key"),
			cert("requestheader-client-ca-file", pki.FrontProxyCA, "crt"),
			cert("proxy-client-cert-file", pki.FrontProxy, "crt"), cert("proxy-client-key-file", pki.FrontProxy, "key"),
			"--requestheader-allowed-names=" + pki.FrontProxy,
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
			"--enable-aggregator-routing=true",
			"--profiling=false",
			"--encryption-provider-config=" + c.ConfigDir + "/encryption.yaml",
			"--audit-policy-file=" + c.ConfigDir + "/audit.yaml", "--audit-log-path=" + logDir + "/" + audit + ".log",
			// At most 50 MB are kept.
			"--audit-log-maxsize=10", "--audit-log-maxbackup=4", "--audit-log-maxage=30",
		},
		controllerManager: {
			kubeconfig(pki.ControllerManager), "--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
			"--use-service-account-credentials=true",
			cert("service-account-private-key-file", pki.ServiceAccounts, "key"), cert("root-ca-file", pki.CA, "crt"),
			cert("cluster-signing-cert-file", pki.CA, "crt"), cert("cluster-signing-key-file", pki.CA, "key"),
			"--allocate-node-cidrs=true", "--cluster-cidr=" + PodCIDR,
			"--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",
			"--kube-api-qps=200", "--kube-api-burst=400",
			"--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20", "--concurrent-endpoint-syncs=20",
			"--concurrent-service-endpoint-syncs=20", "--concurrent-namespace-syncs=20", "--concurrent-gc-syncs=20",
		},
		scheduler: {
			kubeconfig(pki.Scheduler), "--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
			"--kube-api-qps=200", "--kube-api-burst=400",
		},
		kubelet: {
			"--config=" + c.ConfigDir + "/kubelet.yaml", kubeconfig(pki.Kubelet),
			"--hostname-override=" + c.Node, "--node-ip=" + c.NodeIP,
		},
		proxy: {
			kubeconfig(pki.Proxy), "--hostname-override=" + c.Node, "--cluster-cidr=" + PodCIDR,
			"--proxy-mode=iptables", "--iptables-min-sync-period=100ms", "--conntrack-max-per-core=0", "--oom-score-adj=0",
		},
		// It reads what kube-proxy may and a few kinds more, see addons/network.yaml.
		router: {
			kubeconfig(pki.Proxy), "--hostname-override=" + c.Node,
			"--enable-ipv6=false", "--service-cluster-ip-range=" + ServiceCIDR, "--service-node-port-range=30000-32767", "--iptables-sync-period=1m",
			"--enforced-set=" + enforcedTable + "/" + enforcedSet,
		},
	}
}

// collectors have garbage collected later, within bounds: while the platform comes up, each
// of its kinds makes the API server write down all of them anew.
var collectors = map[string][]string{apiServer: {"GOGC=300", "GOMEMLIMIT=1GiB"}}

// processes turns names into what the supervisor runs. Kubernetes' own
// programs are taken from s.Binaries, Debian's from PATH.
func (c config) processes(s Spec, look func(string) (string, error)) (map[string]process.Spec, error) {
	specs := map[string]process.Spec{}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=/root", "LANG=C.UTF-8"}
	for name, args := range c.arguments() {
		path := filepath.Join(s.Binaries, name)
		switch {
		case name == router:
			path = s.KubeRouter
		case !strings.HasPrefix(name, "kube"):
			var err error
			if path, err = look(name); err != nil {
				return nil, fmt.Errorf("program %s is not on PATH: %w", name, err)
			}
		}
		specs[name] = process.Spec{Name: name, Path: path, Args: args, Env: slices.Concat(env, collectors[name])}
	}
	return specs, nil
}
