package serving

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/layer"
)

const (
	webhookSecret = "kserve-webhook-server-cert"
	// WebhookHost is where the API server asks KServe's admission webhooks.
	WebhookHost = "kserve-webhook-server-service." + kserveNamespace + ".svc"
)

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
