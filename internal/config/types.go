// Package config is the program's configuration: one structured object for each
// key neuroscale:cluster, gitops, forge, serving and endpoints.
package config

import (
	"strings"
	"time"
)

// Namespace is the prefix of the configuration keys: the Pulumi project's name.
const Namespace = "neuroscale"

// Cluster providers.
const (
	// ProviderExisting adopts the cluster a kubeconfig points at.
	ProviderExisting = "existing"
	// ProviderK3d makes k3s in Docker.
	ProviderK3d = "k3d"
)

// Config is everything the program can be told.
type Config struct {
	Cluster   Cluster   `json:"cluster"`
	GitOps    GitOps    `json:"gitops"`
	Forge     Forge     `json:"forge"`
	Serving   Serving   `json:"serving"`
	Endpoints Endpoints `json:"endpoints"`
}

// Cluster says which Kubernetes cluster carries the platform.
type Cluster struct {
	// Provider is "existing" (default) or "k3d".
	Provider string `json:"provider"`
	// Kubeconfig is a path; empty means $KUBECONFIG, then ~/.kube/config.
	Kubeconfig string `json:"kubeconfig"`
	// Context of the kubeconfig; empty means its current one.
	Context string `json:"context"`
	// Address is the host name or IP address at which node ports are reached;
	// empty means the host of the API server.
	Address string `json:"address"`
	// DeleteUnreachable lets a destroy forget the resources of a cluster that
	// no longer answers.
	DeleteUnreachable bool `json:"deleteUnreachable"`
}

// GitOps configures Argo CD.
type GitOps struct {
	// NodePort serves Argo CD's API and pages over HTTP.
	NodePort int `json:"nodePort"`
}

// Forge configures Gitea.
type Forge struct {
	// NodePort serves Gitea over HTTP.
	NodePort int `json:"nodePort"`
	// Storage is the size of its volume, a Kubernetes quantity.
	Storage string `json:"storage"`
	// Organization owns the repositories.
	Organization string `json:"organization"`
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
}

// Gateway configures Kourier, through which every prediction comes in.
type Gateway struct {
	// NodePort serves the endpoints over HTTP.
	NodePort int `json:"nodePort"`
}

// Resources are the requests (CPU, Memory) and limits of a container, as
// Kubernetes quantities.
type Resources struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
	Limits Limits `json:"limits"`
}

// Limits are the most a container may use, as Kubernetes quantities.
type Limits struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
}

// Endpoints configures how model endpoints come from Git.
type Endpoints struct {
	// Namespace is where the endpoints run.
	Namespace string `json:"namespace"`
	// RequeueSeconds is how often the repository is looked at for new folders.
	RequeueSeconds int `json:"requeueSeconds"`
}

// Duration is a time.Duration written like 30s or 5m.
type Duration time.Duration

// String formats d the way it is written in configuration: whole units, no
// trailing zero ones (1m, not 1m0s).
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
