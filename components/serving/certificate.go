package serving

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

const (
	certificateAnnotation = "neuroscale.dev/certificate"
	webhookSecret         = "kserve-webhook-server-cert"
	// WebhookHost is where the API server asks KServe's admission webhooks.
	WebhookHost = "kserve-webhook-server-service." + kserveNamespace + ".svc"
)

// Hosts are the names and addresses at which the gateway is asked, which is reached at
// addresses; also those of a port-forward, and of pods.
func Hosts(addresses []string, domain string, tenants ...string) []string {
	hosts := append(slices.Clone(addresses), GatewayHost, "localhost", "127.0.0.1", "::1")
	for _, namespace := range tenants {
		hosts = append(hosts, "*."+namespace+"."+domain)
	}
	return hosts
}

// newSecret makes a namespace and a Secret in it with a certificate, for pods that a
// layer brings there later.
func newSecret(ctx *pulumi.Context, name, nsName, namespace, secret string, c certificates.Certificate, opts ...pulumi.ResourceOption) (pulumi.Resource, error) {
	ns, err := manifest.New(ctx, nsName, manifest.Namespace(namespace), opts...)
	if err != nil {
		return nil, err
	}
	return manifest.New(ctx, name, c.Secret(namespace, secret), append(opts, pulumi.DeletedWith(ns), pulumi.DependsOn([]pulumi.Resource{ns}))...)
}

// renewalPatch starts the gateway's controller again for another certificate: it
// reads the Secret when it tells the gateway something, and for the Secret alone it
// would not for hours.
func renewalPatch(chain pulumi.StringOutput) layer.Patch {
	return layer.Patch{
		Group: "apps", Version: "v1", Kind: "Deployment", Name: controller,
		Operations: chain.ApplyT(func(chain string) (string, error) {
			text, err := json.Marshal([]map[string]string{{
				"op": "replace", "path": "/spec/template/metadata/annotations/" + strings.ReplaceAll(certificateAnnotation, "/", "~1"), "value": manifest.Hash(chain),
			}})
			return string(text), err
		}).(pulumi.StringOutput),
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
