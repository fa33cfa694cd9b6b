// Package certificates provides the certificate authority of the platform and the
// certificates that its servers show.
package certificates

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/keypair"
)

// Token is the component's type.
const Token = "neuroscale:platform:Certificates"

// An authority of the program's own is made anew long before its certificates could
// outlive it: whoever trusts it has to be told.
const (
	authorityHours   = 10 * 365 * 24
	authorityRenewal = 2 * 365 * 24
)

// Args of the certificates.
type Args struct {
	// Authority signs them; nil has one made.
	Authority *keypair.Pair
	// Validity of a certificate, and RenewBefore its end the first update makes a new
	// one; both in whole hours.
	Validity, RenewBefore time.Duration
	// Servers that get one.
	Servers []Server
}

// Server is somebody who shows a certificate.
type Server struct {
	Name string
	// Hosts are the names and IP addresses it is asked at.
	Hosts []string
}

func (a *Args) validate() error {
	if a == nil {
		return errors.New("certificates: no Args")
	}
	var errs []error
	if a.RenewBefore < time.Hour || a.Validity <= a.RenewBefore || a.Validity%time.Hour+a.RenewBefore%time.Hour != 0 {
		errs = append(errs, fmt.Errorf("certificates: Args.Validity is %s and Args.RenewBefore %s: whole hours, the second less than the first", a.Validity, a.RenewBefore))
	}
	if authorityRenewal*time.Hour <= a.Validity {
		errs = append(errs, fmt.Errorf("certificates: Args.Validity is %s: less than %d hours, what is left of the authority when it is made anew", a.Validity, authorityRenewal))
	}
	if len(a.Servers) == 0 {
		errs = append(errs, errors.New("certificates: Args.Servers is empty"))
	}
	for i, s := range a.Servers {
		if s.Name == "" || len(s.Hosts) == 0 {
			errs = append(errs, fmt.Errorf("certificates: Args.Servers[%d] has no Name or no Hosts", i))
		}
	}
	return errors.Join(errs...)
}

// Certificate is what a server shows, in PEM form.
type Certificate struct {
	// Chain begins with the server's own.
	Chain, Key pulumi.StringOutput
	// Expires is when it ends, as RFC 3339 writes it.
	Expires pulumi.StringOutput
}

// There is whether it is one.
func (c Certificate) There() bool { return c.Chain.OutputState != nil && c.Key.OutputState != nil }

// Secret is a Secret with the certificate, of the type made for that.
func (c Certificate) Secret(namespace, name string) manifest.Object {
	return manifest.Object{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"metadata": manifest.Object{"name": name, "namespace": namespace},
		"data": manifest.Object{
			"tls.crt": manifest.Base64(c.Chain),
			"tls.key": manifest.Base64(c.Key),
		},
	}
}

// AuthorityKey is the key in ConfigMaps that hold the authority.
const AuthorityKey = "ca.crt"

// AuthorityConfigMap is a ConfigMap with the certificate of an authority, for those
// who trust it.
func AuthorityConfigMap(namespace, name string, authority pulumi.StringInput) manifest.Object {
	return manifest.Object{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": manifest.Object{"name": name, "namespace": namespace},
		"data":     manifest.Object{AuthorityKey: authority},
	}
}

// Certificates are the authority and what it signed.
type Certificates struct {
	pulumi.ResourceState
	// Authority is its certificate, in PEM form.
	Authority pulumi.StringOutput
	servers   map[string]Certificate
}

// Of is the certificate of a server of Args.
func (c *Certificates) Of(server string) Certificate { return c.servers[server] }

// Expiry is when the certificates of all servers end, as RFC 3339 writes it.
func (c *Certificates) Expiry() pulumi.StringMap {
	ends := pulumi.StringMap{}
	for name, certificate := range c.servers {
		ends[name] = certificate.Expires
	}
	return ends
}

// New makes a key and a certificate for each server, signed by the authority.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Certificates, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	c := &Certificates{servers: map[string]Certificate{}}
	if err := ctx.RegisterComponentResource(Token, name, c, opts...); err != nil {
		return nil, err
	}
	parent := pulumi.Parent(c)
	by, err := newAuthority(ctx, name, args.Authority, parent)
	if err != nil {
		return nil, err
	}
	c.Authority = by.chain
	for _, s := range args.Servers {
		if c.servers[s.Name], err = by.sign(ctx, name+"-"+s.Name, s, args, parent); err != nil {
			return nil, err
		}
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{"authority": c.Authority})
}

// authority signs. Its chain is what is trusted; given is whether somebody else gave
// it, who may be trusted through others.
type authority struct {
	chain, key pulumi.StringOutput
	given      bool
}

func newKey(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (pulumi.StringOutput, error) {
	key, err := tls.NewPrivateKey(ctx, name, &tls.PrivateKeyArgs{
		Algorithm: pulumi.String("ECDSA"), EcdsaCurve: pulumi.String("P256"),
	}, opts...)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("certificates: key %s: %w", name, err)
	}
	return key.PrivateKeyPem, nil
}

func newAuthority(ctx *pulumi.Context, name string, given *keypair.Pair, opts ...pulumi.ResourceOption) (*authority, error) {
	if given != nil {
		return &authority{
			chain: pulumi.String(given.Certificate).ToStringOutput(),
			key:   pulumi.ToSecret(pulumi.String(given.Key).ToStringOutput()).(pulumi.StringOutput),
			given: true,
		}, nil
	}
	key, err := newKey(ctx, name+"-authority", opts...)
	if err != nil {
		return nil, err
	}
	cert, err := tls.NewSelfSignedCert(ctx, name+"-authority", &tls.SelfSignedCertArgs{
		PrivateKeyPem:       key,
		IsCaCertificate:     pulumi.Bool(true),
		SetSubjectKeyId:     pulumi.Bool(true),
		AllowedUses:         pulumi.ToStringArray([]string{"cert_signing", "crl_signing", "digital_signature"}),
		ValidityPeriodHours: pulumi.Int(authorityHours),
		EarlyRenewalHours:   pulumi.Int(authorityRenewal),
		Subject:             tls.SelfSignedCertSubjectArgs{CommonName: pulumi.String("NeuroScale platform authority")},
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("certificates: authority: %w", err)
	}
	return &authority{chain: cert.CertPem, key: key}, nil
}

func (a *authority) sign(ctx *pulumi.Context, name string, s Server, args *Args, opts ...pulumi.ResourceOption) (Certificate, error) {
	key, err := newKey(ctx, name, opts...)
	if err != nil {
		return Certificate{}, err
	}
	var names, addresses []string
	for _, host := range s.Hosts {
		if net.ParseIP(host) != nil {
			addresses = append(addresses, host)
		} else {
			names = append(names, host)
		}
	}
	request, err := tls.NewCertRequest(ctx, name, &tls.CertRequestArgs{
		PrivateKeyPem: key,
		DnsNames:      pulumi.ToStringArray(names), IpAddresses: pulumi.ToStringArray(addresses),
		Subject: tls.CertRequestSubjectArgs{CommonName: pulumi.String("NeuroScale " + s.Name)},
	}, opts...)
	if err != nil {
		return Certificate{}, fmt.Errorf("certificates: request of %s: %w", s.Name, err)
	}
	cert, err := tls.NewLocallySignedCert(ctx, name, &tls.LocallySignedCertArgs{
		CertRequestPem:      request.CertRequestPem,
		CaPrivateKeyPem:     a.key,
		CaCertPem:           a.chain.ApplyT(first).(pulumi.StringOutput),
		AllowedUses:         pulumi.ToStringArray([]string{"digital_signature", "key_encipherment", "server_auth"}),
		ValidityPeriodHours: pulumi.Int(int(args.Validity / time.Hour)),
		EarlyRenewalHours:   pulumi.Int(int(args.RenewBefore / time.Hour)),
	}, opts...)
	if err != nil {
		return Certificate{}, fmt.Errorf("certificates: certificate of %s: %w", s.Name, err)
	}
	chain := cert.CertPem
	if a.given {
		chain = pulumi.Sprintf("%s%s", cert.CertPem, a.chain)
	}
	return Certificate{Chain: chain, Key: key, Expires: cert.ValidityEndTime}, nil
}

// first is the certificate that a chain begins with.
func first(chain string) string {
	block, _ := pem.Decode([]byte(chain))
	if block == nil {
		return chain // the provider says what is wrong with it
	}
	return string(pem.EncodeToMemory(block))
}
