package tls

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server/servertest"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

type m = map[string]any

var (
	urnKey     = servertest.URN("tls:index/privateKey:PrivateKey", "key")
	urnSelf    = servertest.URN("tls:index/selfSignedCert:SelfSignedCert", "ca")
	urnRequest = servertest.URN("tls:index/certRequest:CertRequest", "request")
	urnLocal   = servertest.URN("tls:index/locallySignedCert:LocallySignedCert", "leaf")
)

func of(fields m) servertest.Props { return resource.NewPropertyMapFromMap(fields) }

func text(t *testing.T, v resource.PropertyValue) string {
	t.Helper()
	for v.IsSecret() {
		v = v.SecretValue().Element
	}
	require.True(t, v.IsString(), "not a string: %v", v.TypeString())
	return v.StringValue()
}

func TestEveryAlgorithmGivesAUsableKeyThatStaysSecret(t *testing.T) {
	tests := []struct {
		inputs  m
		openssh bool
		pem     string
	}{
		{m{"algorithm": "RSA", "rsaBits": 2048}, true, "RSA PRIVATE KEY"},
		{m{"algorithm": "ECDSA", "ecdsaCurve": "P256"}, true, "EC PRIVATE KEY"},
		{m{"algorithm": "ECDSA", "ecdsaCurve": "P384"}, true, "EC PRIVATE KEY"},
		{m{"algorithm": "ECDSA", "ecdsaCurve": "P521"}, true, "EC PRIVATE KEY"},
		{m{"algorithm": "ECDSA"}, false, "EC PRIVATE KEY"},
		{m{"algorithm": "ED25519"}, true, "PRIVATE KEY"},
	}
	e := servertest.Start(t, New())
	for _, tt := range tests {
		r := e.Create(urnKey, of(tt.inputs))
		assert.NotEmpty(t, r.ID)
		for _, name := range []string{"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"} {
			assert.True(t, r.Outputs[resource.PropertyKey(name)].IsSecret(), "%s must be secret", name)
		}
		block, _ := pem.Decode([]byte(text(t, r.Outputs["privateKeyPem"])))
		assert.Equal(t, tt.pem, block.Type)
		key, _, err := parseKey(text(t, r.Outputs["privateKeyPemPkcs8"]))
		require.NoError(t, err)
		public, _ := pem.Decode([]byte(text(t, r.Outputs["publicKeyPem"])))
		want, err := x509.MarshalPKIXPublicKey(key.Public())
		require.NoError(t, err)
		assert.Equal(t, want, public.Bytes, "the public key must be that of the private key")

		assert.Equal(t, tt.openssh, text(t, r.Outputs["publicKeyOpenssh"]) != "")
		if tt.openssh {
			authorized, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text(t, r.Outputs["publicKeyOpenssh"])))
			require.NoError(t, err)
			assert.Equal(t, ssh.FingerprintSHA256(authorized), text(t, r.Outputs["publicKeyFingerprintSha256"]))
			signer, err := ssh.ParsePrivateKey([]byte(text(t, r.Outputs["privateKeyOpenssh"])))
			require.NoError(t, err)
			assert.Equal(t, authorized.Marshal(), signer.PublicKey().Marshal())
		}
		assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.Diff(r, of(tt.inputs)).GetChanges())
	}
}

// authority makes a key and a certificate authority with it.
func authority(t *testing.T, e *servertest.Engine) (key, ca servertest.Resource) {
	t.Helper()
	key = e.Create(urnKey, of(m{"algorithm": "ECDSA", "ecdsaCurve": "P256"}))
	inputs := of(m{
		"subject": m{"commonName": "test CA", "organization": "NeuroScale"}, "allowedUses": []any{"certSigning", "crl_signing"},
		"validityPeriodHours": 48, "isCaCertificate": true,
	})
	inputs["privateKeyPem"] = key.Outputs["privateKeyPem"]
	return key, e.Create(urnSelf, inputs)
}

func TestSignedCertificateIsTrustedThroughItsAuthority(t *testing.T) {
	e := servertest.Start(t, New())
	caKey, ca := authority(t, e)
	key := e.Create(urnKey, of(m{"algorithm": "RSA"}))
	inputs := of(m{"subject": m{"commonName": "webhook"}, "dnsNames": []any{"webhook.kserve.svc"}, "ipAddresses": []any{"10.0.0.1"}, "uris": []any{"spiffe://a/b"}})
	inputs["privateKeyPem"] = key.Outputs["privateKeyPem"]
	request := e.Create(urnRequest, inputs)
	assert.Equal(t, "RSA", text(t, request.Outputs["keyAlgorithm"]))
	leaf := e.Create(urnLocal, servertest.Props{
		"certRequestPem": request.Outputs["certRequestPem"], "caCertPem": ca.Outputs["certPem"], "caPrivateKeyPem": caKey.Outputs["privateKeyPem"],
		"validityPeriodHours": resource.NewProperty(24.0), "allowedUses": of(m{"u": []any{"server_auth", "digital_signature"}})["u"],
	})
	assert.Equal(t, "ECDSA", text(t, leaf.Outputs["caKeyAlgorithm"]))
	assert.True(t, leaf.Outputs["caPrivateKeyPem"].IsSecret())
	assert.True(t, request.Outputs["privateKeyPem"].IsSecret())

	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM([]byte(text(t, ca.Outputs["certPem"]))))
	certificate, err := parseCertificate(text(t, leaf.Outputs["certPem"]))
	require.NoError(t, err)
	_, err = certificate.Verify(x509.VerifyOptions{DNSName: "webhook.kserve.svc", Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	require.NoError(t, err)
	_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.Error(t, err, "a use that was not allowed must not be")
	assert.Equal(t, "10.0.0.1", certificate.IPAddresses[0].String())
	assert.Equal(t, "spiffe://a/b", certificate.URIs[0].String())
	assert.Equal(t, text(t, leaf.Outputs["validityEndTime"]), certificate.NotAfter.Format(time.RFC3339))
	assert.Equal(t, leaf.ID, certificate.SerialNumber.String())
}

func TestCertificateIsRenewedBeforeItEnds(t *testing.T) {
	e := servertest.Start(t, New())
	_, ca := authority(t, e)
	program := ca.Inputs.Copy()
	program["earlyRenewalHours"] = resource.NewProperty(12.0)
	t.Cleanup(func() { now = time.Now })

	diff := e.Diff(ca, program)
	assert.Equal(t, []string{"earlyRenewalHours"}, diff.GetDiffs())
	assert.Empty(t, diff.GetReplaces(), "when to renew is no reason to renew")
	r := e.Update(ca, program)
	assert.InDelta(t, 12, r.Outputs["earlyRenewalHours"].NumberValue(), 0)
	assert.Equal(t, text(t, ca.Outputs["certPem"]), text(t, r.Outputs["certPem"]))

	for hours, due := range map[time.Duration]bool{35: false, 36: true, 49: true} {
		now = func() time.Time { return time.Now().Add(hours*time.Hour + time.Minute) }
		assert.Equal(t, due, len(e.Diff(r, program).GetReplaces()) > 0, "after %d hours", hours)
	}
}

func TestAnyOtherChangeMakesANewCertificate(t *testing.T) {
	e := servertest.Start(t, New())
	_, ca := authority(t, e)
	for name, v := range map[string]any{"validityPeriodHours": 49, "isCaCertificate": false, "dnsNames": []any{"x"}, "allowedUses": []any{"certSigning"}} {
		program := ca.Inputs.Copy()
		program[resource.PropertyKey(name)] = of(m{"v": v})["v"]
		assert.NotEmpty(t, e.Diff(ca, program).GetReplaces(), name)
	}
}

func TestMistakesAreNamedAtCheck(t *testing.T) {
	e := servertest.Start(t, New())
	for name, tt := range map[string]struct {
		urn      resource.URN
		inputs   m
		property string
	}{
		"algorithm":   {urnKey, m{"algorithm": "DSA"}, "algorithm"},
		"curve":       {urnKey, m{"algorithm": "ECDSA", "ecdsaCurve": "P1"}, "ecdsaCurve"},
		"short key":   {urnKey, m{"algorithm": "RSA", "rsaBits": 512}, "rsaBits"},
		"missing":     {urnKey, m{}, "algorithm"},
		"unknown":     {urnKey, m{"algorithm": "RSA", "bits": 1}, "bits"},
		"wrong type":  {urnKey, m{"algorithm": "RSA", "rsaBits": "2048"}, "rsaBits"},
		"no key":      {urnRequest, m{"privateKeyPem": "hush-hush"}, "privateKeyPem"},
		"no such use": {urnSelf, m{"privateKeyPem": "x", "allowedUses": []any{"everything"}, "validityPeriodHours": 1}, "allowedUses"},
		"no IP":       {urnRequest, m{"privateKeyPem": "x", "ipAddresses": []any{"localhost"}}, "ipAddresses[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			_, failures := e.Check(tt.urn, nil, of(tt.inputs))
			found := false
			for _, f := range failures {
				found = found || f.GetProperty() == tt.property
				assert.NotContains(t, f.GetReason(), "hush-hush")
			}
			assert.True(t, found, "%v", failures)
		})
	}
}

func TestPreviewShowsGeneratedValuesAsUnknown(t *testing.T) {
	e := servertest.Start(t, New())
	outputs := e.PreviewCreate(urnKey, of(m{"algorithm": "ED25519"}))
	assert.True(t, outputs["publicKeyPem"].IsComputed())
	assert.True(t, outputs["privateKeyPem"].IsSecret())
	assert.True(t, outputs["privateKeyPem"].ContainsUnknowns())
}
