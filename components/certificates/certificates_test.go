package certificates

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"

	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/keypair"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

const (
	tokenKey  = "tls:index/privateKey:PrivateKey"
	tokenSelf = "tls:index/selfSignedCert:SelfSignedCert"
	tokenCert = "tls:index/locallySignedCert:LocallySignedCert"
)

func args() *Args {
	return &Args{
		Validity: 48 * time.Hour, RenewBefore: 5 * time.Hour,
		Servers: []Server{{"forge", []string{"forge.svc", "10.0.0.7", "*.example.org", "::1"}}, {"gateway", []string{"gateway"}}},
	}
}

func build(t *testing.T, a *Args) (*recorder.Recording, *Certificates) {
	t.Helper()
	var c *Certificates
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		var err error
		if c, err = New(ctx, "certificates", a, on); err != nil {
			return err
		}
		set := manifest.NewSet(ctx, on)
		set.Add("secret", c.Of("forge").Secret("here", "forge"))
		set.Add("trust", AuthorityConfigMap("here", "trust", c.Authority))
		return set.Err()
	})
	return r, c
}

func TestEveryServerHasAKeyAndACertificateOfItsOwn(t *testing.T) {
	r, c := build(t, args())
	request := r.Type(t, "tls:index/certRequest:CertRequest", "certificates-forge").Object()
	assert.Equal(t, []any{"forge.svc", "*.example.org"}, request["dnsNames"])
	assert.Equal(t, []any{"10.0.0.7", "::1"}, request["ipAddresses"])
	cert := r.Type(t, tokenCert, "certificates-gateway").Object()
	assert.EqualValues(t, 48, cert["validityPeriodHours"])
	assert.EqualValues(t, 5, cert["earlyRenewalHours"], "an update would not renew it before it ends")
	assert.NotContains(t, cert["allowedUses"], "cert_signing", "a server could sign for others")
	assert.Equal(t, "certificates-authority certPem", cert["caCertPem"])
	r.Type(t, tokenKey, "certificates-gateway")
	authority := r.Type(t, tokenSelf, "certificates-authority").Object()
	assert.Equal(t, true, authority["isCaCertificate"])
	left := authority["earlyRenewalHours"].(float64)
	assert.Greater(t, left, 48.0, "a certificate would outlive who signed it")
	assert.Contains(t, c.Expiry(), "forge")
	assert.Contains(t, c.Expiry(), "gateway")
}

func TestKeysAreOnlyInSecrets(t *testing.T) {
	r, _ := build(t, args())
	secret := r.Get(t, "Secret", "forge")
	secret.AssertSecret(t, "data")
	assert.Equal(t, "kubernetes.io/tls", secret.Object()["type"])
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte("certificates-forge certPem")), recorder.At(secret.Object(), "data").(map[string]any)["tls.crt"])
	r.AssertNoSecretOutside(t, "privateKeyPem")
	assert.Equal(t, map[string]any{"ca.crt": "certificates-authority certPem"}, r.Get(t, "ConfigMap", "trust").Object()["data"])
}

func TestAGivenAuthoritySignsAndIsShownWithTheCertificate(t *testing.T) {
	const issuing = "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n"
	a := args()
	a.Authority = &keypair.Pair{Certificate: issuing + "-----BEGIN CERTIFICATE-----\nQg==\n-----END CERTIFICATE-----\n", Key: "the given key"}
	r, _ := build(t, a)
	for _, g := range r.Registrations {
		assert.NotEqual(t, tokenSelf, g.Type, "an authority is made that nobody asked for")
	}
	cert := r.Type(t, tokenCert, "certificates-forge")
	assert.Equal(t, issuing, cert.Object()["caCertPem"])
	cert.AssertSecret(t, "caPrivateKeyPem")
	secret := r.Get(t, "Secret", "forge").Object()
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte("certificates-forge certPem"+a.Authority.Certificate)),
		recorder.At(secret, "data").(map[string]any)["tls.crt"], "nobody could get from the certificate to the root")
}

func TestBadArgs(t *testing.T) {
	for want, change := range map[string]func(*Args){
		"certificates: Args.Servers is empty":                   func(a *Args) { a.Servers = nil },
		"certificates: Args.Servers[1] has no Name or no Hosts": func(a *Args) { a.Servers[1].Hosts = nil },
		"certificates: Args.Validity is 48h0m0s and Args.RenewBefore 48h0m0s: whole hours, the second less than the first":     func(a *Args) { a.RenewBefore = a.Validity },
		"certificates: Args.Validity is 48h0m0s and Args.RenewBefore 1h30m0s: whole hours, the second less than the first":     func(a *Args) { a.RenewBefore = 90 * time.Minute },
		"certificates: Args.Validity is 17520h0m0s: less than 17520 hours, what is left of the authority when it is made anew": func(a *Args) { a.Validity = 17520 * time.Hour },
	} {
		a := args()
		change(a)
		assert.Equal(t, want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "certificates", a)
			return err
		}))
	}
}
