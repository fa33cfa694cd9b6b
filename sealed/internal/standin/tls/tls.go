// Package tls is a stand-in for Pulumi's TLS provider, for places where the real
// plugin cannot be installed.
package tls

import (
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
)

// version is the plugin version the product's SDK asks for.
const version = "5.2.0"

// New makes the provider.
func New() server.Provider {
	return server.Provider{
		Package: "tls", Version: version,
		Resources: map[string]server.Generated{
			"tls:index/privateKey:PrivateKey":               privateKey(),
			"tls:index/certRequest:CertRequest":             certRequest(),
			"tls:index/selfSignedCert:SelfSignedCert":       selfSignedCert(),
			"tls:index/locallySignedCert:LocallySignedCert": locallySignedCert(),
		},
	}
}
