package serving

import "github.com/neuroscale-platform/neuroscale/components/layer"

// Names that the API itself takes but Knative and KServe must not: both want a
// letter first.
const (
	goodName = "probe"
	badName  = "0-probe"
)

func knativeProbes() []layer.Probe {
	service := func(name string) map[string]any {
		return map[string]any{
			"apiVersion": "serving.knative.dev/v1", "kind": "Service",
			"metadata": map[string]any{"name": name, "namespace": layer.Namespace},
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": "probe", "image": "probe.invalid/probe:0"}},
			}}},
		}
	}
	return []layer.Probe{
		{Object: service(goodName), Resource: "services", Expect: layer.Admit},
		{Object: service(badName), Resource: "services", Expect: layer.Deny, By: "validation.webhook.serving.knative.dev"},
	}
}

func kserveProbes() []layer.Probe {
	service := func(name string) map[string]any {
		return map[string]any{
			"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
			"metadata": map[string]any{"name": name, "namespace": layer.Namespace},
			"spec": map[string]any{"predictor": map[string]any{"model": map[string]any{
				"modelFormat": map[string]any{"name": "sklearn"},
				"storageUri":  "gs://probe/model",
			}}},
		}
	}
	return []layer.Probe{
		{Object: service(goodName), Resource: "inferenceservices", Expect: layer.Admit},
		{Object: service(badName), Resource: "inferenceservices", Expect: layer.Deny, By: "inferenceservice.kserve-webhook-server.validator"},
	}
}
