// Package config is the program's configuration: one structured object for each
// key neuroscale:cluster, gitops, forge, serving, cost, portal, endpoints and tls,
// and the list neuroscale:tenants.
package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Namespace is the prefix of the configuration keys: the Pulumi project's name.
const Namespace = "neuroscale"

// Cluster providers.
const (
	// ProviderExisting adopts the cluster a kubeconfig points at.
	ProviderExisting = "existing"
	// ProviderDocker makes one in Docker.
	ProviderDocker = "docker"
)

// Distributions of Kubernetes in Docker.
const (
	// DistributionK3s is k3s.
	DistributionK3s = "k3s"
	// DistributionNode is the sealed machine's node in a container.
	DistributionNode = "node"
)

// Where the images of this repository's programs come from.
const (
	OwnImagesAuto  = "auto"
	OwnImagesBuild = "build"
	OwnImagesPull  = "pull"
)

// How the portal's connection to a Postgres is encrypted.
const (
	SSLVerifyFull = "verify-full"
	SSLRequire    = "require"
	SSLDisable    = "disable"
)

// Whether the gateway asks for a key, and what it does when it cannot find out
// whether one is good.
const (
	AuthKeys = "keys"
	AuthNone = "none"

	FailClosed = "closed"
	FailOpen   = "open"
)

// Config is everything the program can be told. Of what a field may hold, tags say
// what an editor can check, too: one of the words in enum, a number from min to max,
// or text in a format. The comments of fields reach people by Schema.
type Config struct {
	Cluster   Cluster   `json:"cluster"`
	GitOps    GitOps    `json:"gitops"`
	Forge     Forge     `json:"forge"`
	Serving   Serving   `json:"serving"`
	Cost      Cost      `json:"cost"`
	Portal    Portal    `json:"portal"`
	Endpoints Endpoints `json:"endpoints"`
	TLS       TLS       `json:"tls"`
	// Tenants share the platform. The first one's repository is the one that a
	// new platform fills with the example endpoints.
	Tenants []Tenant `json:"tenants"`
}

// Namespaces of all tenants, in their order.
func (c *Config) Namespaces() []string {
	var all []string
	for _, t := range c.Tenants {
		all = append(all, t.Namespace)
	}
	return all
}

// Repositories of all tenants, in their order.
func (c *Config) Repositories() []string {
	var all []string
	for _, t := range c.Tenants {
		all = append(all, t.Repositories...)
	}
	return all
}

// Members of all tenants, each once, sorted.
func (c *Config) Members() []string {
	var all []string
	for _, t := range c.Tenants {
		all = append(all, t.Members...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Cluster says which Kubernetes cluster carries the platform.
type Cluster struct {
	// Provider is ProviderExisting (default), the cluster of a kubeconfig, or
	// ProviderDocker, one in Docker.
	Provider string `json:"provider" enum:"existing docker"`
	// Kubeconfig is a path; empty means $KUBECONFIG, then ~/.kube/config.
	Kubeconfig string `json:"kubeconfig"`
	// Context of the kubeconfig; empty means its current one.
	Context string `json:"context"`
	// Address is the host name or IP address at which node ports are reached;
	// empty means the host of the API server, in Docker 127.0.0.1.
	Address string `json:"address"`
	// DeleteUnreachable lets a destroy forget the resources of a cluster that
	// no longer answers.
	DeleteUnreachable bool `json:"deleteUnreachable"`
	// RequireNetworkPolicy makes it an error if the cluster does not enforce
	// NetworkPolicies.
	RequireNetworkPolicy bool `json:"requireNetworkPolicy"`
	// HighAvailability has two pods of everything that a prediction or a merge waits for
	// and that can have two, on different nodes, of which one stays while nodes are
	// emptied.
	HighAvailability bool `json:"highAvailability"`
	// StorageClass of the platform's volumes; empty means the cluster's default. A
	// volume that is there keeps the one it has.
	StorageClass string `json:"storageClass"`
	// ImageRegistry has copies of the platform's images, each below its whole name, such
	// as registry.example.org/mirror/docker.io/kserve/agent; empty means that they come
	// from where they are published.
	ImageRegistry string `json:"imageRegistry"`

	// Distribution is what runs in Docker: DistributionK3s (default), or
	// DistributionNode, what `sealed node-image` made of the sealed machine's parts.
	Distribution string `json:"distribution" enum:"k3s node"`
	// Agents is how many nodes there are in Docker beside the first one.
	Agents int `json:"agents" min:"0" max:"8"`
	// APIPort is the port on loopback at which a cluster in Docker has its API server.
	APIPort int `json:"apiPort" min:"1024" max:"65535"`
	// Subnet has the addresses of the containers, so that they stay the same.
	Subnet string `json:"subnet"`
	// CPUs is how many a container may use at most, 0 for all of them, and Memory how
	// much of that, a Kubernetes quantity.
	CPUs   int    `json:"cpus" min:"0" max:"1024"`
	Memory string `json:"memory" format:"quantity"`
	// Mirrors answer for registries in Docker.
	Mirrors []Mirror `json:"mirrors"`
	// OwnImages is where the images of this repository's programs come from: OwnImagesPull,
	// where a release published them, or OwnImagesBuild, Dockerfiles of the checkout, which
	// only k3s in Docker can. OwnImagesAuto (default) builds there, unless ImageRegistry
	// has them, and pulls elsewhere.
	OwnImages string `json:"ownImages" enum:"auto build pull"`
	// RegistryPort is the port on loopback of the registry in Docker that has the images
	// which are built.
	RegistryPort int `json:"registryPort" min:"1024" max:"65535"`
	// Images is the folder, with an absolute path, from which the distribution node has
	// its images: the cache of `sealed`.
	Images string `json:"images"`
}

// Mirror answers pulls for a registry.
type Mirror struct {
	// Registry is the host name of the registry, such as docker.io.
	Registry string `json:"registry"`
	// Endpoint is the URL of what answers for it.
	Endpoint string `json:"endpoint"`
}

// Servers of the platform that people reach from outside, as TLS.HTTP names them.
const (
	ServerArgoCD  = "argocd"
	ServerForge   = "forge"
	ServerGateway = "gateway"
	ServerPortal  = "portal"
)

// TLS is how the platform's servers show who they are.
type TLS struct {
	// Authority signs their certificates; empty means one that the program makes.
	Authority KeyPair `json:"authority"`
	// Validity of a certificate, in whole hours.
	Validity Duration `json:"validity"`
	// RenewBefore is how long before a certificate ends `up` makes a new one, in whole
	// hours.
	RenewBefore Duration `json:"renewBefore"`
	// Names are host names and IP addresses the servers are also asked at.
	Names []string `json:"names"`
	// HTTP are servers that speak plain HTTP.
	HTTP []string `json:"http" enum:"argocd forge gateway portal"`
}

// KeyPair are the paths of two files in PEM form.
type KeyPair struct {
	// Certificate is the path of the certificate; those that signed it may follow.
	Certificate string `json:"certificate"`
	// Key is the path of its key, without a passphrase.
	Key string `json:"key"`
}

// Plain is whether a server speaks plain HTTP.
func (t TLS) Plain(server string) bool { return slices.Contains(t.HTTP, server) }

// Scheme of a server's URLs.
func (t TLS) Scheme(server string) string {
	if t.Plain(server) {
		return "http"
	}
	return "https"
}

// GitOps configures Argo CD.
type GitOps struct {
	// NodePort serves Argo CD's API and pages.
	NodePort int `json:"nodePort" min:"30000" max:"32767"`
}

// Where people's repositories are.
const (
	// ForgeGitea is Gitea in the cluster.
	ForgeGitea = "gitea"
	// ForgeGitHub is GitHub, for what people write.
	ForgeGitHub = "github"
)

// Forge configures where Git is.
type Forge struct {
	// Provider is ForgeGitea (default), or ForgeGitHub: then the tenants' repositories are
	// on GitHub, and Gitea has the platform's own only.
	Provider string `json:"provider" enum:"gitea github"`
	// NodePort serves Gitea.
	NodePort int `json:"nodePort" min:"30000" max:"32767"`
	// Storage is the size of its volume, a Kubernetes quantity.
	Storage string `json:"storage" format:"quantity"`
	// Organization owns the repositories, on GitHub too, where it may be an account.
	Organization string `json:"organization"`
	// MaxPush is the size of one push, as it is sent, and MaxRepository that of a
	// repository on the volume, but for the platform's own; Kubernetes quantities.
	MaxPush       string `json:"maxPush" format:"quantity"`
	MaxRepository string `json:"maxRepository" format:"quantity"`
	// GitHub is what ForgeGitHub needs beside a token, which no settings file has.
	GitHub GitHub `json:"github"`
}

// GitHub configures what people write there.
type GitHub struct {
	// Adopt are repositories of tenants that are there already. Their settings stay what
	// they are, but that their branch main is protected.
	Adopt []string `json:"adopt"`
	// Egress is where GitHub is: Argo CD reads it by SSH, guard and portal ask it by HTTPS.
	Egress []Egress `json:"egress"`
	// ClientID is of the OAuth App that people sign in to the portal with. Its secret no
	// settings file has.
	ClientID string `json:"clientId"`
}

// MaxPushBytes is MaxPush, 0 if that is no quantity.
func (f Forge) MaxPushBytes() int64 { return wholeBytes(f.MaxPush) }

// MaxRepositoryBytes is MaxRepository, 0 if that is no quantity.
func (f Forge) MaxRepositoryBytes() int64 { return wholeBytes(f.MaxRepository) }

func wholeBytes(text string) int64 {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return 0
	}
	return q.Value()
}

// Serving configures Knative, Kourier and KServe.
type Serving struct {
	// Domain is the DNS suffix of every endpoint's host name.
	Domain  string  `json:"domain"`
	Gateway Gateway `json:"gateway"`
	// DefaultResources is what a model server gets that asks for nothing.
	DefaultResources Resources `json:"defaultResources"`
	// RegistriesSkippingTagResolving are registry hosts whose image tags
	// Knative leaves alone instead of resolving them to digests itself.
	RegistriesSkippingTagResolving []string `json:"registriesSkippingTagResolving"`
	// ScaleToZeroGracePeriod is how long the last pod stays after traffic has
	// been routed away from it.
	ScaleToZeroGracePeriod Duration `json:"scaleToZeroGracePeriod"`
	// StableWindow is the time over which the autoscaler averages load, so also
	// how long an endpoint has to be idle before it scales to zero.
	StableWindow Duration `json:"stableWindow"`
	// ModelStores are where every tenant's pods may fetch models from.
	ModelStores []Egress `json:"modelStores"`
	// Auth is AuthKeys (default), or AuthNone: then whoever reaches the gateway may
	// ask every endpoint.
	Auth string `json:"auth" enum:"keys none"`
	// AuthFailure is what becomes of requests while nothing is there to judge keys:
	// FailClosed (default) refuses them, FailOpen lets them in.
	AuthFailure string `json:"authFailure" enum:"closed open"`
	// KeyRequestsPerMinute is the limit of a key that is made without one.
	KeyRequestsPerMinute int `json:"keyRequestsPerMinute" min:"1" max:"1000000"`
	// PlatformKeyGeneration makes another key of the platform's own when it is
	// changed.
	PlatformKeyGeneration int `json:"platformKeyGeneration" min:"1"`
}

// Cost configures what measures and prices what runs: Prometheus and OpenCost.
type Cost struct {
	// Enabled is whether there are any.
	Enabled bool `json:"enabled"`
	// Retention is how long measurements are kept.
	Retention Duration `json:"retention"`
	// Storage is the size of their volume, a Kubernetes quantity.
	Storage string `json:"storage" format:"quantity"`
	// Interval is how often is measured.
	Interval Duration `json:"interval"`
}

// StorageBytes is Storage, 0 if that is no quantity.
func (c Cost) StorageBytes() int64 { return wholeBytes(c.Storage) }

// Egress is where pods may connect to over TCP.
type Egress struct {
	// CIDR of the addresses. One that is wider than a private or link-local range
	// does not mean the addresses in it: those of the cluster, its neighbours and a
	// cloud's metadata service.
	CIDR string `json:"cidr"`
	// Ports that may be connected to, at least one.
	Ports []int `json:"ports" min:"1" max:"65535"`
}

// Types of the gateway's Service.
const (
	ServiceNodePort     = "NodePort"
	ServiceLoadBalancer = "LoadBalancer"
)

// Gateway configures Kourier, through which every prediction comes in.
type Gateway struct {
	// NodePort serves the endpoints over HTTP.
	NodePort int `json:"nodePort" min:"30000" max:"32767"`
	// Type of its Service: ServiceNodePort (default), or ServiceLoadBalancer, which a
	// cloud gives an address of its own, at port 443, or 80 without encryption.
	Type string `json:"type" enum:"NodePort LoadBalancer"`
	// Annotations of its Service, by which a cloud is told what load balancer to make.
	Annotations map[string]string `json:"annotations"`
	// URL at which people reach it, without a path; empty means its node port.
	URL string `json:"url"`
}

// Host is the name or address in URL, empty if there is none.
func (g Gateway) Host() string { return hostOf(g.URL) }

func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// Resources are the requests (CPU, Memory) and limits of a container, as
// Kubernetes quantities.
type Resources struct {
	// CPU and Memory are requested, such as 250m and 512Mi.
	CPU    string `json:"cpu" format:"quantity"`
	Memory string `json:"memory" format:"quantity"`
	// Limits are the most that it may use.
	Limits Amounts `json:"limits"`
}

// Amounts are CPU and memory as Kubernetes quantities.
type Amounts struct {
	// CPU is an amount such as 250m, Memory one such as 512Mi.
	CPU    string `json:"cpu" format:"quantity"`
	Memory string `json:"memory" format:"quantity"`
}

// Shares are Amounts and space on a node's disk.
type Shares struct {
	// CPU is an amount such as 250m, Memory one such as 512Mi, EphemeralStorage one
	// such as 4Gi of a node's disk: what containers write, log and keep in emptyDirs,
	// models that were fetched among it.
	CPU              string `json:"cpu" format:"quantity"`
	Memory           string `json:"memory" format:"quantity"`
	EphemeralStorage string `json:"ephemeralStorage" format:"quantity"`
}

// Portal configures the pages on which people ask for endpoints.
type Portal struct {
	// Enabled is whether there is one.
	Enabled bool `json:"enabled"`
	// NodePort serves it over HTTP.
	NodePort int `json:"nodePort" min:"30000" max:"32767"`
	// URL at which people reach it, without a path; empty means its node port. People
	// who sign in are sent back there.
	URL string `json:"url"`
	// Guests may look around without an account. They propose nothing.
	Guests bool `json:"guests"`
	// Storage is the size of the volume with its database, a Kubernetes quantity.
	Storage string `json:"storage" format:"quantity"`
	// Database keeps its catalog and tasks somewhere else than on that volume.
	Database PortalDatabase `json:"database"`
}

// Host is the name or address in URL, empty if there is none.
func (p Portal) Host() string { return hostOf(p.URL) }

// PortalDatabase is a Postgres database for the portal. It has to be there; the portal
// makes its own schemas in it.
type PortalDatabase struct {
	// Host is the name or IP address of the server; empty means no Postgres, but
	// SQLite on the portal's volume.
	Host string `json:"host"`
	// Port of the server.
	Port int `json:"port" min:"1" max:"65535"`
	// Name of the database.
	Name string `json:"name"`
	// User that owns the schemas, and so may create some in the database.
	User string `json:"user"`
	// PasswordSecret has the user's password under the key password: the namespace and
	// the name of a Secret in the cluster, with a slash between them.
	PasswordSecret string `json:"passwordSecret"`
	// SSLMode is verify-full (default) to believe a certificate of a public authority or
	// the platform's own, require for any, or disable for none.
	SSLMode string `json:"sslMode" enum:"verify-full require disable"`
}

// Postgres is whether there is one.
func (d PortalDatabase) Postgres() bool { return d.Host != "" }

// Endpoints configures how model endpoints come from Git. They run in the
// namespace of the tenant whose repository they are in.
type Endpoints struct {
	// RequeueSeconds is how often the repository is looked at for new folders.
	RequeueSeconds int `json:"requeueSeconds" min:"1" max:"3600"`
}

// Tenant is a team with a namespace, repositories and a share of the cluster of
// its own. What is left out of Quota and Limits, and of the first tenant, is as for
// somebody who wrote nothing.
type Tenant struct {
	// Namespace is where the tenant's endpoints run, and its name.
	Namespace string `json:"namespace"`
	// Owner and CostCenter are labels of the namespace: what has none of its own
	// is theirs.
	Owner      string `json:"owner"`
	CostCenter string `json:"costCenter"`
	// Repositories of the forge whose folders are the tenant's endpoints; each
	// belongs to one tenant.
	Repositories []string `json:"repositories"`
	// Members are the accounts of the forge that propose to Repositories. Somebody may
	// be a member of several tenants.
	Members []string `json:"members"`
	// Mergers are those of Members who merge what is proposed and was checked; if there
	// are none, all of them.
	Mergers []string `json:"mergers"`
	// Approvals is how many Mergers have to approve before one merges.
	Approvals int `json:"approvals" min:"0"`
	// Quota is the tenant's share of the cluster, Limits that of a container in it.
	Quota  Quota           `json:"quota"`
	Limits ContainerLimits `json:"limits"`
	// Egress is where the tenant's pods may connect to, beside serving.modelStores.
	Egress []Egress `json:"egress"`
	// ModelAccess is how the tenant's pods show object stores who they are.
	ModelAccess ModelAccess `json:"modelAccess"`
}

// ModelAccess is by what a tenant's models are fetched that not everybody may read.
type ModelAccess struct {
	// Secrets of the tenant's namespace with credentials in a form that KServe knows. No
	// settings file and no repository has what is in them: they have to be there.
	Secrets []string `json:"secrets"`
	// Annotations of the service account that the tenant's pods run as, by which a cloud
	// gives them an identity of its own.
	Annotations map[string]string `json:"annotations"`
}

// MayMerge are the members who merge.
func (t Tenant) MayMerge() []string {
	if len(t.Mergers) == 0 {
		return t.Members
	}
	return t.Mergers
}

// Quota is the most that everything in a namespace may add up to.
type Quota struct {
	// Requests and Limits are what those of all containers may add up to.
	Requests Shares `json:"requests"`
	Limits   Shares `json:"limits"`
	// Pods, Deployments and InferenceServices are counts. Every revision of an
	// InferenceService that is not yet collected is a Deployment.
	Pods              int `json:"pods"`
	Deployments       int `json:"deployments"`
	InferenceServices int `json:"inferenceServices"`
	// Services, ConfigMaps and Secrets are counts, of what Knative and Kubernetes
	// make among them: an InferenceService that is updated has 6 Services.
	Services   int `json:"services"`
	ConfigMaps int `json:"configMaps"`
	Secrets    int `json:"secrets"`
	// VolumeClaims is how many PersistentVolumeClaims there may be, Storage, a
	// Kubernetes quantity, what all of them together may ask for.
	VolumeClaims int    `json:"volumeClaims"`
	Storage      string `json:"storage" format:"quantity"`
	// Applications is how many folders the tenant's repositories may have together
	// that become an Argo CD Application.
	Applications int `json:"applications"`
}

// ContainerLimits are bounds of each container and what it gets that says nothing.
type ContainerLimits struct {
	// Default and DefaultRequest are the limit and request of a container
	// without one.
	Default        Shares `json:"default"`
	DefaultRequest Shares `json:"defaultRequest"`
	// Max is the highest limit, Min the lowest request.
	Max Shares `json:"max"`
	Min Shares `json:"min"`
}

// Duration is a time.Duration written like 30s, 5m or, in whole days, 7d.
type Duration time.Duration

const day = 24 * time.Hour

// String formats d the way it is written in configuration: whole units, no
// trailing zero ones (1m, not 1m0s).
func (d Duration) String() string {
	if d > 0 && time.Duration(d)%day == 0 {
		return strconv.FormatInt(int64(time.Duration(d)/day), 10) + "d"
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
