package stacks

import (
	"fmt"
	"slices"
	"time"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keypair"
)

// guardServer and followerServer are asked by the forge only.
const (
	guardServer    = "guard"
	followerServer = "follower"
)

// webhookServer are KServe's admission webhooks, which nobody asks but the API
// server.
const webhookServer = "kserve-webhook"

// certificateArgs have a certificate made for every server of the platform.
func (s *site) certificateArgs() *certificates.Args {
	t := s.cfg.TLS
	args := &certificates.Args{
		Authority: s.authority, Validity: time.Duration(t.Validity), RenewBefore: time.Duration(t.RenewBefore),
		Servers: []certificates.Server{
			{Name: config.ServerArgoCD, Hosts: append(argocd.Hosts(s.cluster.Address), t.Names...)},
			{Name: config.ServerForge, Hosts: append(forge.Hosts(s.cluster.Address), t.Names...)},
			{Name: config.ServerGateway, Hosts: append(serving.Hosts(s.gatewayAddresses(), s.cfg.Serving.Domain, s.cfg.Namespaces()...), t.Names...)},
			{Name: guardServer, Hosts: []string{reviews.Host}},
			{Name: followerServer, Hosts: []string{reviews.FollowerHost}},
			{Name: webhookServer, Hosts: []string{serving.WebhookHost}},
		},
	}
	if s.cfg.Portal.Enabled {
		args.Servers = append(args.Servers, certificates.Server{Name: config.ServerPortal, Hosts: slices.Concat(portal.Hosts(s.cluster.Address), given(s.cfg.Portal.Host()), t.Names)})
	}
	return args
}

// gatewayAddresses are where the gateway is asked.
func (s *site) gatewayAddresses() []string {
	return append([]string{s.cluster.Address}, given(s.cfg.Serving.Gateway.Host())...)
}

// given is a host, if the settings have one.
func given(host string) []string {
	if host == "" {
		return nil
	}
	return []string{host}
}

// givenAuthority reads the one of the settings; nil if there is none.
func givenAuthority(k config.KeyPair) (*keypair.Pair, error) {
	if k == (config.KeyPair{}) {
		return nil, nil
	}
	pair, err := keypair.ReadAuthority(k.Certificate, k.Key, time.Now())
	if err != nil {
		return nil, fmt.Errorf("%s:tls.authority (%s): write %w", config.Namespace, k.Certificate, err)
	}
	return &pair, nil
}
