package serving

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

const (
	webhookSecret = "kserve-webhook-server-cert"
	webhookHost   = "kserve-webhook-server-service." + kserveNamespace + ".svc"
	validHours    = 10 * 365 * 24
)

// certificate of KServe's admission webhooks, signed by an authority of its own.
type certificate struct {
	authority, cert, key pulumi.StringOutput
}

func newCertificate(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*certificate, error) {
	algorithm, curve := pulumi.String("ECDSA"), pulumi.String("P256")
	authorityKey, err := tls.NewPrivateKey(ctx, name+"-authority", &tls.PrivateKeyArgs{
		Algorithm: algorithm, EcdsaCurve: curve,
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("serving: authority's key: %w", err)
	}
	authority, err := tls.NewSelfSignedCert(ctx, name+"-authority", &tls.SelfSignedCertArgs{
		PrivateKeyPem:       authorityKey.PrivateKeyPem,
		IsCaCertificate:     pulumi.Bool(true),
		AllowedUses:         pulumi.ToStringArray([]string{"cert_signing", "crl_signing", "digital_signature"}),
		ValidityPeriodHours: pulumi.Int(validHours),
		Subject:             tls.SelfSignedCertSubjectArgs{CommonName: pulumi.String("NeuroScale KServe webhook authority")},
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("serving: authority: %w", err)
	}
	key, err := tls.NewPrivateKey(ctx, name, &tls.PrivateKeyArgs{Algorithm: algorithm, EcdsaCurve: curve}, opts...)
	if err != nil {
		return nil, fmt.Errorf("serving: webhook's key: %w", err)
	}
	request, err := tls.NewCertRequest(ctx, name, &tls.CertRequestArgs{
		PrivateKeyPem: key.PrivateKeyPem,
		DnsNames:      pulumi.ToStringArray([]string{webhookHost}),
		Subject:       tls.CertRequestSubjectArgs{CommonName: pulumi.String(webhookHost)},
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("serving: certificate request: %w", err)
	}
	cert, err := tls.NewLocallySignedCert(ctx, name, &tls.LocallySignedCertArgs{
		CertRequestPem:      request.CertRequestPem,
		CaPrivateKeyPem:     authorityKey.PrivateKeyPem,
		CaCertPem:           authority.CertPem,
		AllowedUses:         pulumi.ToStringArray([]string{"digital_signature", "key_encipherment", "server_auth"}),
		ValidityPeriodHours: pulumi.Int(validHours),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("serving: certificate: %w", err)
	}
	return &certificate{authority: authority.CertPem, cert: cert.CertPem, key: key.PrivateKeyPem}, nil
}

func (c *certificate) secret() manifest.Object {
	return manifest.Object{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"metadata": manifest.Object{"name": webhookSecret, "namespace": kserveNamespace},
		"data": manifest.Object{
			"tls.crt": manifest.Base64(c.cert),
			"tls.key": manifest.Base64(c.key),
		},
	}
}

// trustPatches make every webhook configuration among objects trust authority.
func trustPatches(objects []map[string]any, authority pulumi.StringOutput) []layer.Patch {
	var patches []layer.Patch
	for _, o := range objects {
		kind, _ := o["kind"].(string)
		if kind != "ValidatingWebhookConfiguration" && kind != "MutatingWebhookConfiguration" {
			continue
		}
		metadata, _ := o["metadata"].(map[string]any)
		name, _ := metadata["name"].(string)
		webhooks, _ := o["webhooks"].([]any)
		operations := authority.ApplyT(func(pem string) (string, error) {
			type operation struct {
				Op    string `json:"op"`
				Path  string `json:"path"`
				Value []byte `json:"value"` // base64 in JSON, as the field wants it
			}
			list := []operation{}
			for i := range webhooks {
				list = append(list, operation{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), []byte(pem)})
			}
			text, err := json.Marshal(list)
			return string(text), err
		}).(pulumi.StringOutput)
		patches = append(patches, layer.Patch{
			Group: "admissionregistration.k8s.io", Version: "v1", Kind: kind, Name: name, Operations: operations,
		})
	}
	return patches
}
