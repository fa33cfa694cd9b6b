package serving

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
	"github.com/neuroscale-platform/neuroscale/internal/render"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

func certificate() certificates.Certificate {
	return certificates.Certificate{
		Chain: pulumi.String("the chain").ToStringOutput(), Key: pulumi.ToSecret(pulumi.String("the key")).(pulumi.StringOutput),
	}
}

func build(t *testing.T, settings config.Serving) (*recorder.Recording, *Serving) {
	t.Helper()
	var s *Serving
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		d, err := layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: forge.Repository{
				URL:       "http://forge/platform.git",
				Authority: pulumi.String("the authority").ToStringOutput(),
				Writer:    forge.Account{Username: "writer", Password: pulumi.String("p").ToStringOutput()},
			},
			GitImage: "git:1", ProbeImage: "python:1", Project: "platform", ApplicationNamespace: "argocd",
			Source: layer.Source{Renderer: recorder.Renderer(t)},
		}, on)
		if err != nil {
			return err
		}
		s, err = New(ctx, "serving", &Args{
			Settings: settings, Address: "10.0.0.7", Layers: Layers(settings, false), Delivery: d, ModelServer: "server:1",
			Webhook: certificate(), Gateway: certificate(),
			Authority: pulumi.String("the authority").ToStringOutput(),
		}, on)
		return err
	})
	return r, s
}

func TestTheFirstEndpointsDoNotBeginWithALargeImage(t *testing.T) {
	r, _ := build(t, config.Default().Serving)
	job := r.Get(t, "Job", pulled+"-*")
	assert.Equal(t, "server:1", recorder.At(job.Object(), "spec.template.spec.containers.0.image"))
	assert.Equal(t, "true", recorder.At(job.Object(), "metadata.annotations").(map[string]any)["pulumi.com/skipAwait"], "everything waits for a slow registry")
	assert.False(t, r.Waits(job, r.Get(t, "Application", KnativeLayer)), "it comes when the image is needed")
	for _, name := range []string{KnativeLayer, KServeLayer, RuntimesLayer} {
		assert.False(t, r.Waits(r.Get(t, "Application", name), job), name)
	}
}

func TestWebhooksComeAfterTheirServerAndItsCertificate(t *testing.T) {
	r, s := build(t, config.Default().Serving)
	r.AssertBelongs(t, "delivery", "serving")
	kserve, runtimes := r.Get(t, "Application", "kserve"), r.Get(t, "Application", "kserve-runtimes")
	certificate := r.Get(t, "Secret", "kserve-webhook-server-cert")
	assert.True(t, r.Waits(kserve, certificate), "the server could not mount its certificate")
	assert.False(t, r.Waits(kserve, r.Get(t, "Application", "knative")), "Knative's kinds are there before any layer")
	assert.True(t, r.Waits(runtimes, r.Get(t, "Job", "probe-knative-*")), "an InferenceService would be admitted that nobody serves")
	assert.True(t, r.Waits(runtimes, kserve), "webhooks without a server refuse everything")
	assert.True(t, r.Waits(r.Get(t, "Job", "probe-kserve-runtimes-*"), runtimes))
	assert.Len(t, r.Kind("Application"), 4)
	assert.Equal(t, "https://10.0.0.7:30080", s.GatewayURL)
}

func TestWhatKnativeWritesIntoItsWebhooksIsNotHealed(t *testing.T) {
	r, _ := build(t, config.Default().Serving)
	ignored := map[string][]any{}
	for _, entry := range recorder.At(r.Get(t, "Application", "knative").Object(), "spec.ignoreDifferences").([]any) {
		ignored[recorder.At(entry, "kind").(string)] = recorder.At(entry, "jqPathExpressions").([]any)
	}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		for _, path := range []string{"clientConfig.caBundle", "clientConfig.service.path", "namespaceSelector", "reinvocationPolicy", "rules"} {
			assert.Contains(t, ignored[kind], ".webhooks[]?."+path, "Argo CD and Knative would take turns writing it, for ever")
		}
	}
}

func TestEveryWebhookTrustsTheAuthority(t *testing.T) {
	r, _ := build(t, config.Default().Serving)
	patches := recorder.At(r.Get(t, "Application", "kserve-runtimes").Object(), "spec.source.kustomize.patches").([]any)
	value := base64.StdEncoding.EncodeToString([]byte("the authority"))
	paths := map[string][]string{}
	for _, patch := range patches {
		var operations []map[string]string
		require.NoError(t, json.Unmarshal([]byte(recorder.At(patch, "patch").(string)), &operations))
		name := recorder.At(patch, "target.name").(string)
		for _, operation := range operations {
			assert.Equal(t, "add", operation["op"])
			assert.Equal(t, value, operation["value"])
			paths[name] = append(paths[name], operation["path"])
		}
	}
	assert.Equal(t, map[string][]string{
		"mutating":   {"/webhooks/0/clientConfig/caBundle", "/webhooks/1/clientConfig/caBundle"},
		"validating": {"/webhooks/0/clientConfig/caBundle"},
	}, paths)
}

func TestTheWebhooksServerHasItsCertificateInASecret(t *testing.T) {
	r, _ := build(t, config.Default().Serving)
	secret := r.Get(t, "Secret", "kserve-webhook-server-cert")
	secret.AssertSecret(t, "data")
	assert.Equal(t, "kubernetes.io/tls", secret.Object()["type"])
	r.AssertNoSecretOutside(t, "the key")
}

func TestProbesAskBothWebhooksForYesAndNo(t *testing.T) {
	for name, probes := range map[string][]layer.Probe{"knative": knativeProbes(), "kserve": kserveProbes()} {
		answers := map[layer.Expect]int{}
		for _, c := range probes {
			answers[c.Expect]++
		}
		assert.Equal(t, map[layer.Expect]int{layer.Admit: 1, layer.Deny: 1}, answers, name)
	}
}

// realRenderer renders the layers the platform delivers: patches of a stand-in's
// objects would prove nothing.
func realRenderer(t *testing.T) *render.Renderer {
	t.Helper()
	cache, err := rig.Cache()
	require.NoError(t, err)
	r, err := render.New(gitops.FS, filepath.Join(cache, "render"))
	require.NoError(t, err)
	return r
}

func TestSettingsReachTheRenderedLayers(t *testing.T) {
	s := config.Default().Serving
	s.Domain = "models.example"
	s.Gateway = config.Gateway{NodePort: 31000, Type: config.ServiceLoadBalancer, Annotations: map[string]string{"example.org/scheme": "internal"}, URL: "https://g.models.example"}
	s.DefaultResources = config.Resources{CPU: "75m", Memory: "300Mi", Limits: config.Amounts{CPU: "2", Memory: "600Mi"}}
	s.RegistriesSkippingTagResolving = []string{"docker.io", "quay.io"}
	s.ScaleToZeroGracePeriod, s.StableWindow = config.Duration(10*time.Second), config.Duration(time.Minute)

	objects := map[string]map[string]any{}
	source := layer.Source{Renderer: realRenderer(t)}
	for _, d := range Layers(s, false, "default", "team-b") {
		tree, err := d.Tree(t.Context(), source)
		require.NoError(t, err)
		for _, object := range tree.Objects() {
			objects[recorder.At(object, "metadata.name").(string)] = object
		}
	}
	assert.Equal(t, map[string]any{"models.example": ""}, objects["config-domain"]["data"], "with two domains Knative takes the first")
	assert.Equal(t, "docker.io,quay.io", recorder.At(objects["config-deployment"], "data.registries-skipping-tag-resolving"))
	assert.Equal(t, "10s", recorder.At(objects["config-autoscaler"], "data.scale-to-zero-grace-period"))
	assert.Equal(t, "1m", recorder.At(objects["config-autoscaler"], "data.stable-window"))
	assert.Equal(t, "LoadBalancer", recorder.At(objects["kourier"], "spec.type"))
	assert.Equal(t, map[string]any{"example.org/scheme": "internal"}, recorder.At(objects["kourier"], "metadata.annotations"))
	assert.EqualValues(t, 31000, recorder.At(objects["kourier"], "spec.ports.0.nodePort"))
	assert.JSONEq(t, `{"resource":{"cpuRequest":"75m","memoryRequest":"300Mi","cpuLimit":"2","memoryLimit":"600Mi"}}`,
		recorder.At(objects["inferenceservice-config"], "data.inferenceService").(string))
	var ingress map[string]any
	require.NoError(t, json.Unmarshal([]byte(recorder.At(objects["inferenceservice-config"], "data.ingress").(string)), &ingress))
	assert.Equal(t, "models.example", ingress["ingressDomain"])
	assert.Equal(t, "https", ingress["urlScheme"], "what is said beside the domain is lost")
	assert.Equal(t, []any{"default", "team-b"}, recorder.At(objects["doorkeeper"], "spec.template.spec.containers.0.args"), "whose pods are inside")
	annotations := recorder.At(objects["kserve-controller-manager"], "spec.template.metadata.annotations").(map[string]any)
	assert.Equal(t, "models.example", annotations["neuroscale.dev/domain"], "the controller is not restarted")
}

func TestBadArgs(t *testing.T) {
	good := func() *Args {
		return &Args{
			Settings: config.Default().Serving, Address: "a", Layers: Layers(config.Default().Serving, false), Delivery: &layer.Delivery{}, ModelServer: "server:1",
			Webhook: certificate(), Gateway: certificate(), Authority: pulumi.String("the authority").ToStringOutput(),
		}
	}
	for want, change := range map[string]func(*Args){
		"serving: Args.Settings.Domain is empty":                           func(a *Args) { a.Settings.Domain = "" },
		"serving: Args.Settings.Gateway.NodePort is 0":                     func(a *Args) { a.Settings.Gateway.NodePort = 0 },
		"serving: Args.Address is empty":                                   func(a *Args) { a.Address = "" },
		"serving: Args.Layers is empty":                                    func(a *Args) { a.Layers = nil },
		"serving: Args.ModelServer is empty":                               func(a *Args) { a.ModelServer = "" },
		"serving: Args.Gateway, Args.Webhook or Args.Authority is missing": func(a *Args) { a.Webhook = certificates.Certificate{} },
		"serving: Args.Delivery is missing":                                func(a *Args) { a.Delivery = nil },
		"serving: Args.Layers are not those of Args.Settings: one asks for keys and the other does not": func(a *Args) {
			a.Settings.Auth = config.AuthNone
		},
	} {
		a := good()
		change(a)
		assert.Equal(t, want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "serving", a)
			return err
		}))
	}
	assert.Equal(t, "serving: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "serving", nil)
		return err
	}))
}

// portsOf are the ports of the gateway's Service.
func portsOf(t *testing.T, plain bool) []any {
	t.Helper()
	knative, _ := Layers(config.Default().Serving, plain).Get(KnativeLayer)
	tree, err := knative.Tree(t.Context(), layer.Source{Renderer: realRenderer(t)})
	require.NoError(t, err)
	for _, object := range tree.Objects() {
		if object["kind"] == "Service" && recorder.At(object, "metadata.name") == gatewayService {
			return recorder.At(object, "spec.ports").([]any)
		}
	}
	t.Fatal("the gateway has no Service")
	return nil
}

func TestTheGatewayIsOpenAtOnePortAndThatSpeaksTLS(t *testing.T) {
	port := map[string]any{"name": "https", "port": int64(443), "targetPort": int64(8443), "protocol": "TCP", "nodePort": int64(30080)}
	assert.Equal(t, []any{port}, portsOf(t, false))
	port["name"], port["port"], port["targetPort"] = "http2", int64(80), int64(8080)
	assert.Equal(t, []any{port}, portsOf(t, true))
}

func TestARenewedCertificateReachesTheGateway(t *testing.T) {
	r, _ := build(t, config.Default().Serving)
	knative, secret := r.Get(t, "Application", "knative"), r.Get(t, "Secret", gatewaySecret)
	secret.AssertSecret(t, "data")
	assert.True(t, r.Waits(knative, secret), "the gateway has no listener without it")
	patches := recorder.At(knative.Object(), "spec.source.kustomize.patches").([]any)
	require.Len(t, patches, 1)
	assert.Equal(t, "net-kourier-controller", recorder.At(patches[0], "target.name"))
	assert.JSONEq(t, `[{"op":"replace","path":"/spec/template/metadata/annotations/neuroscale.dev~1certificate","value":"`+manifest.Hash("the chain")+`"}]`,
		recorder.At(patches[0], "patch").(string))
}
