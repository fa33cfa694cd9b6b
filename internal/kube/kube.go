// Package kube connects to the cluster a kubeconfig points at, for the few
// questions the command line asks it directly.
package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is a connection; nothing was asked yet when one is made.
type Cluster struct {
	// Server is the API server's URL.
	Server string
	// Config has its credentials.
	Config *rest.Config
	// Dynamic reads and writes objects of any kind.
	Dynamic dynamic.Interface
	rest    *rest.RESTClient
}

// Path is the kubeconfig to use: the given one, else $KUBECONFIG (its first
// entry), else ~/.kube/config.
func Path(given string, getenv func(string) string) string {
	if given != "" {
		return given
	}
	if list := filepath.SplitList(getenv("KUBECONFIG")); len(list) > 0 {
		return list[0]
	}
	return filepath.Join(getenv("HOME"), ".kube", "config")
}

// FromFile reads a kubeconfig file; context "" is its current one.
func FromFile(path, kubeContext string) (*Cluster, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the kubeconfig %s does not exist: set neuroscale:cluster.kubeconfig or KUBECONFIG to one that does "+
			"(on a sealed machine: eval \"$(sealed env)\")", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	c, err := FromBytes(raw, kubeContext)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s: %w", path, err)
	}
	return c, nil
}

// FromBytes reads a kubeconfig's text.
func FromBytes(raw []byte, kubeContext string) (*Cluster, error) {
	api, err := clientcmd.Load(raw)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	config, err := clientcmd.NewDefaultClientConfig(*api, &clientcmd.ConfigOverrides{CurrentContext: kubeContext}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("names no usable cluster: %w", err)
	}
	config.QPS, config.Burst = 50, 100
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	plain := rest.CopyConfig(config)
	plain.NegotiatedSerializer = rawSerializer
	plain.GroupVersion = &rawVersion
	client, err := rest.UnversionedRESTClientFor(plain)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return &Cluster{Server: config.Host, Config: config, Dynamic: dyn, rest: client}, nil
}

// Reachable asks the API server for its version, for at most five seconds.
func (c *Cluster) Reachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := c.Get(ctx, "/version"); err != nil {
		return fmt.Errorf("the cluster at %s does not answer (%s): start it, or correct the kubeconfig", c.Server, reason(err))
	}
	return nil
}

// Get reads a path of the API server, such as a node's /stats/summary by proxy.
func (c *Cluster) Get(ctx context.Context, path string) ([]byte, error) {
	return c.rest.Get().AbsPath(path).DoRaw(ctx)
}

// reason is the innermost cause, without the URL around it.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in 5s"
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}
