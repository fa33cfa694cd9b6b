// Package kube connects to the cluster a kubeconfig points at, for the few
// questions the command line asks it directly.
package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Cluster is a connection; nothing was asked yet when one is made.
type Cluster struct {
	// Kubeconfig it was made from.
	Kubeconfig *Kubeconfig
	// Config has its credentials.
	Config *rest.Config
	// Dynamic reads and writes objects of any kind.
	Dynamic dynamic.Interface
	rest    *rest.RESTClient
}

// Connect makes the clients of the cluster that a kubeconfig points at.
func Connect(s Source) (*Cluster, error) {
	k, err := Load(s)
	if err != nil {
		return nil, err
	}
	return k.Connect()
}

// Connect makes the clients of the cluster.
func (k *Kubeconfig) Connect() (*Cluster, error) {
	config, err := k.REST()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 100, 300
	// Who asks is told by the answer; client-go would write its warnings to stderr.
	config.WarningHandler = rest.NoWarnings{}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s gives no client: %w", k.Source, err)
	}
	plain := rest.CopyConfig(config)
	plain.NegotiatedSerializer = rawSerializer
	plain.GroupVersion = &rawVersion
	client, err := rest.UnversionedRESTClientFor(plain)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s gives no client: %w", k.Source, err)
	}
	return &Cluster{Kubeconfig: k, Config: config, Dynamic: dyn, rest: client}, nil
}

// Reachable asks the API server for its version, for at most five seconds.
func (c *Cluster) Reachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := c.Get(ctx, "/version"); err != nil {
		return c.Kubeconfig.Unreachable(reason(err))
	}
	return nil
}

// Get reads a path of the API server, such as a node's /stats/summary by proxy.
func (c *Cluster) Get(ctx context.Context, path string) ([]byte, error) {
	return c.rest.Get().AbsPath(path).DoRaw(ctx)
}

// Post sends JSON to a path of the API server, such as a Service's by proxy.
func (c *Cluster) Post(ctx context.Context, path string, body []byte) ([]byte, error) {
	return c.rest.Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(body).DoRaw(ctx)
}

// reason is the innermost cause, without the URL around it.
func reason(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in 5s")
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err
}
