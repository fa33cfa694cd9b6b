// Package kubernetes is a stand-in for Pulumi's Kubernetes provider, for places
// where the real plugin cannot be installed. It manages objects of any kind by
// server-side apply and waits until they are ready.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// version is the plugin version the product's SDK asks for.
const version = "4.23.0"

// Provider implements server.Provider. Configure comes before every other call
// that needs the cluster.
type Provider struct {
	host *server.Host

	mu        sync.Mutex
	config    config
	cluster   *cluster
	namespace string
	// offline says why there is no cluster to talk to.
	offline error
	warned  bool
}

// New makes the provider; what it has to say goes to the host.
func New(host *server.Host) *Provider {
	return &Provider{host: host, offline: errors.New("the provider is not configured"), namespace: "default"}
}

// Name implements server.Provider.
func (p *Provider) Name() string { return "kubernetes" }

// Version implements server.Provider.
func (p *Provider) Version() string { return version }

// CheckConfig implements server.Provider.
func (p *Provider) CheckConfig(_ context.Context, news resource.PropertyMap) (resource.PropertyMap, []server.Failure, error) {
	if news.ContainsUnknowns() {
		return news, nil, nil
	}
	if _, err := parseConfig(news); err != nil {
		return nil, []server.Failure{{Reason: err.Error()}}, nil
	}
	return news, nil, nil
}

// DiffConfig implements server.Provider: only another clusterIdentifier means
// another cluster, whose objects have to be made anew. A renewed kubeconfig does
// not.
func (p *Provider) DiffConfig(_ context.Context, olds, news resource.PropertyMap) (server.Diff, error) {
	diff := server.Compare(olds, news)
	delete(diff.Changes, "version")
	diff.ReplaceUnder("clusterIdentifier")
	return diff, nil
}

// Configure implements server.Provider. A cluster that cannot be found is not an
// error yet: a preview works without one.
func (p *Provider) Configure(_ context.Context, inputs resource.PropertyMap) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if inputs.ContainsUnknowns() {
		p.offline = errors.New("the kubeconfig is not known yet")
		return nil
	}
	cfg, err := parseConfig(inputs)
	if err != nil {
		return err
	}
	p.config = cfg
	rest, namespace, err := cfg.restConfig()
	if err == nil {
		rest.WarningHandlerWithContext = warnings{p}
		p.cluster, err = connect(rest)
	}
	if err != nil {
		p.offline = fmt.Errorf("there is no cluster to talk to: %w", err)
		return nil
	}
	p.namespace, p.offline = namespace, nil
	return nil
}

// reach returns the cluster, or why it cannot be reached.
func (p *Provider) reach(ctx context.Context) (*cluster, error) {
	p.mu.Lock()
	cluster, offline := p.cluster, p.offline
	p.mu.Unlock()
	if offline != nil {
		return nil, offline
	}
	if err := cluster.reachable(ctx); err != nil {
		return nil, err
	}
	return cluster, nil
}

// warnOffline says once that a preview knows nothing of the cluster.
func (p *Provider) warnOffline(ctx context.Context, urn resource.URN, why error) {
	p.mu.Lock()
	first := !p.warned
	p.warned = true
	p.mu.Unlock()
	if first {
		p.host.Warn(ctx, urn, fmt.Sprintf("this preview is made without the cluster: %v", why))
	}
}

type urnKey struct{}

// warnings passes what the API server warns about to the resource concerned.
type warnings struct{ p *Provider }

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _ string, text string) {
	urn, ok := ctx.Value(urnKey{}).(resource.URN)
	if ok && code == 299 && text != "" {
		w.p.host.Warn(ctx, urn, text)
	}
}

func withURN(ctx context.Context, urn resource.URN) context.Context {
	return context.WithValue(ctx, urnKey{}, urn)
}
