package serving

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// Finalizer is the one that KServe puts on every InferenceService.
const Finalizer = "inferenceservice.finalizers"

// Names of the layers.
const (
	// DoorkeeperLayer judges keys. It is there only if the gateway asks for them.
	DoorkeeperLayer = "doorkeeper"
	KnativeLayer    = "knative"
	KServeLayer     = "kserve"
	// RuntimesLayer are KServe's admission webhooks and the model servers. Once it
	// is ready, an InferenceService is admitted.
	RuntimesLayer = "kserve-runtimes"
)

const (
	// KnativeNamespace has the activator, which holds requests for what is scaled
	// to zero, and the autoscaler, which asks pods how busy they are.
	KnativeNamespace = "knative-serving"
	// GatewayNamespace has the gateway.
	GatewayNamespace = "kourier-system"
	// GatewayHost is its name in the cluster.
	GatewayHost = gatewayService + "." + GatewayNamespace + ".svc"

	kserveNamespace  = "kserve"
	kserveController = "kserve-controller-manager"
	// DoorkeeperNamespace has what judges keys, and the keys' hashes.
	DoorkeeperNamespace = keys.Namespace
	// DoorkeeperAccount is the service account it has there.
	DoorkeeperAccount = "doorkeeper"
)

const (
	// gatewayService is where predictions come in, and gatewaySecret its certificate.
	gatewayService = "kourier"
	gatewaySecret  = "gateway-certificate"
	// controller tells the gateway what to do.
	controller = "net-kourier-controller"
)

func gatewayPort(plain bool) int {
	if plain {
		return 80
	}
	return 443
}

// Layers of model serving as settings make them, for the tenants of these
// namespaces; plain has the gateway speak HTTP. KServe's controller looks for Knative's
// kinds when it starts, which are there before any layer, and so need not wait for what
// serves them. Its admission webhooks come last, when their server and Knative run, and
// on the way out go first.
//
// The gateway does not wait for what judges keys: it refuses everything until that
// is there, and an endpoint takes longer to come.
func Layers(s config.Serving, plain bool, tenants ...string) layer.List {
	var first layer.List
	if s.Auth == config.AuthKeys {
		first = layer.List{{
			Name: DoorkeeperLayer, Namespaces: []string{DoorkeeperNamespace},
			Tree: layer.Rendered(DoorkeeperLayer, doorkeeperPatches(tenants)...),
			// It has two anyway, which whoever empties nodes is told.
			Availability: layer.Availability{Deployments: []string{"doorkeeper"}},
			Forwards:     []layer.Forward{{Name: "keys", Namespace: DoorkeeperNamespace, Service: "doorkeeper", Port: keys.StatusPort, LocalPort: 8084}},
		}}
	}
	return append(first, layer.List{
		{
			Name: KnativeLayer, Namespaces: []string{KnativeNamespace, GatewayNamespace},
			ClusterKinds: []schema.GroupKind{
				{Kind: "Namespace"},
				{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
				{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
				{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
				{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"},
				{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
			},
			Tree:   layer.Rendered(KnativeLayer, knativePatches(s, plain)...),
			Probe:  knativeProbes(),
			Ignore: knativeDifferences(),
			Availability: layer.Availability{Deployments: []string{
				"activator", "autoscaler", "controller", "webhook", controller, "3scale-kourier-gateway",
			}},
			Holds: []kube.Hold{
				{GroupVersionResource: kube.KnativeIngresses, Finalizer: "ingresses.networking.internal.knative.dev"},
				{GroupVersionResource: schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: "routes"}, Finalizer: "routes.serving.knative.dev"},
			},
			Forwards: []layer.Forward{{Name: "gateway", Namespace: GatewayNamespace, Service: gatewayService, Port: gatewayPort(plain), LocalPort: 8082, TLS: !plain}},
		},
		{
			Name: KServeLayer, Namespaces: []string{kserveNamespace},
			ClusterKinds: []schema.GroupKind{
				{Kind: "Namespace"},
				{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
				{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
				{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
			},
			Tree:         layer.Rendered(KServeLayer, kservePatches(s, plain)...),
			Availability: kserveAvailability(),
			Holds:        []kube.Hold{{GroupVersionResource: kube.InferenceServices, Finalizer: Finalizer, Controller: kserveController}},
		},
		{
			Name: RuntimesLayer, Namespaces: []string{kserveNamespace},
			ClusterKinds: []schema.GroupKind{
				{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"},
				{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
				{Group: "serving.kserve.io", Kind: "ClusterServingRuntime"},
				{Group: "serving.kserve.io", Kind: "ClusterStorageContainer"},
			},
			Tree:  layer.Rendered(RuntimesLayer),
			After: []string{KnativeLayer, KServeLayer},
			Probe: kserveProbes(),
		},
	}...)
}
