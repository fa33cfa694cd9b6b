package stacks

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
	"github.com/neuroscale-platform/neuroscale/internal/ownimages"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// program is the program with small stand-ins of the layers.
func program(t *testing.T, raw map[string]string) pulumi.RunFunc {
	t.Helper()
	return programWith(t, raw, recorder.Renderer(t))
}

// noSchemas are those of the stand-ins.
func noSchemas(context.Context) (map[string][]byte, error) {
	return map[string][]byte{"index.json": []byte("[]")}, nil
}

// programWith renders with a renderer, nil for its own, on a cluster that answers.
func programWith(t *testing.T, raw map[string]string, renderer *render.Renderer) pulumi.RunFunc {
	t.Helper()
	if raw == nil {
		raw = map[string]string{}
	}
	file := kubetest.File(t, kubetest.Kubeconfig)
	var schemas func(context.Context) (map[string][]byte, error)
	if renderer != nil {
		schemas = noSchemas
	}
	return New(Options{Config: raw, Renderer: renderer, Schemas: schemas, Cluster: func(args *cluster.Args) {
		args.Kubeconfig, args.Context = file, ""
		args.Reach = func(context.Context, string) error { return nil }
	}})
}

func TestEveryResourceHasItsParentAndTheOneProvider(t *testing.T) {
	r := recorder.MustRun(t, program(t, nil), recorder.Options{})
	r.AssertBelongs(t, "cluster", "certificates", "forge", "kinds", "argocd", "delivery", "serving", "guardrails", "tenancy", "endpoints", "kyverno", "reviews", "cost", "dashboards", "portal")
	assert.Greater(t, len(r.Registrations), 60)
}

func TestLayersBecomeReadyInTheirOrder(t *testing.T) {
	r := recorder.MustRun(t, program(t, nil), recorder.Options{})
	application := func(name string) *recorder.Registration { return r.Get(t, "Application", name) }
	knative, kserve, runtimes := application("knative"), application("kserve"), application("kserve-runtimes")
	for _, pair := range []struct {
		later, earlier *recorder.Registration
	}{
		{knative, r.Get(t, "Deployment", "argocd-server")},
		{knative, r.Get(t, "StatefulSet", "argocd-application-controller")},
		{knative, r.Get(t, "AppProject", "platform")},
		{knative, r.Get(t, "Secret", "repository-platform")},
		{knative, r.Get(t, "Job", "layer-knative-*")},
		{knative, r.Get(t, "Job", "gitea-bootstrap-*")},
		{r.Get(t, "Job", "probe-knative-*"), knative},
		{runtimes, r.Get(t, "Job", "probe-knative-*")},
		{kserve, r.Get(t, "Secret", "kserve-webhook-server-cert")},
		{runtimes, kserve},
		{application("doorkeeper"), r.Get(t, "Secret", "platform-keys")},
		{application("portal"), r.Get(t, "Secret", "portal-site")},
		{application("portal"), r.Get(t, "Job", "gitea-client-portal-*")},
		{r.Get(t, "Job", "gitea-client-portal-*"), r.Get(t, "Job", "gitea-bootstrap-*")},
		{r.Get(t, "Job", "gitea-client-portal-*"), r.Get(t, "Secret", "forge-client")},
		{r.Get(t, "Job", "probe-kserve-runtimes-*"), runtimes},
		{application("prometheus"), r.Get(t, "Job", "probe-kserve-runtimes-*")},
		{application("opencost"), r.Get(t, "Job", "probe-kserve-runtimes-*")},
		{application("dashboards"), r.Get(t, "Job", "probe-kserve-runtimes-*")},
		{r.Get(t, "Job", "cost-probe-*"), application("prometheus")},
		{r.Get(t, "Job", "cost-probe-*"), application("opencost")},
		{r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "Job", "probe-kserve-runtimes-*")},
		{r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "Job", "endpoints-seed-*")},
		{r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "AppProject", "tenant-default")},
		{r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "Secret", "repository-endpoints")},
		{r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), application("tenancy")},
		{r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "Job", "probe-admission-*")},
		{application("tenancy"), r.Get(t, "NamespacePatch", "default")},
		{application("tenancy"), r.Get(t, "AppProject", "platform")},
		{r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "StatefulSet", "argocd-application-controller")},
	} {
		assert.Truef(t, r.Waits(pair.later, pair.earlier), "%s does not wait for %s", pair.later.URN, pair.earlier.URN)
	}
}

func TestNothingWaitsThatNeedNot(t *testing.T) {
	r := recorder.MustRun(t, program(t, nil), recorder.Options{})
	push := r.Get(t, "Job", "layer-kserve-runtimes-*")
	for name, pair := range map[string]struct{ free, other *recorder.Registration }{
		"a push waits for another layer":    {push, r.Get(t, "Application", "knative")},
		"a push waits for Argo CD":          {push, r.Get(t, "Deployment", "argocd-server")},
		"KServe's server waits for Knative": {r.Get(t, "Application", "kserve"), r.Get(t, "Application", "knative")},
		"the first content waits for it":    {r.Get(t, "Job", "endpoints-seed-*"), r.Get(t, "Application", "knative")},
		"the forge waits for Argo CD":       {r.Get(t, "Job", "gitea-bootstrap-*"), r.Get(t, "Deployment", "argocd-server")},
		"Argo CD waits for the forge":       {r.Get(t, "Deployment", "argocd-server"), r.Get(t, "Deployment", "gitea")},
		"a project waits for the pods":      {r.Get(t, "AppProject", "tenant-default"), r.Get(t, "Deployment", "argocd-server")},
		"endpoints wait for costs":          {r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "Application", "prometheus")},
		"endpoints wait for dashboards":     {r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "Application", "dashboards")},
		"costs wait for Prometheus":         {r.Get(t, "Application", "opencost"), r.Get(t, "Application", "prometheus")},
		"endpoints wait for Kyverno":        {r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "Application", "kyverno")},
		"the gateway waits for keys":        {r.Get(t, "Application", "knative"), r.Get(t, "Application", "doorkeeper")},
		"endpoints wait for the portal":     {r.Get(t, "ApplicationSet", "neuroscale-model-endpoints"), r.Get(t, "Application", "portal")},
		"the forge waits for the portal":    {r.Get(t, "Job", "gitea-bootstrap-*"), r.Get(t, "Namespace", "portal")},
		"quotas wait for models":            {r.Get(t, "Application", "tenancy"), r.Get(t, "Application", "knative")},
		"a pod waits for its own Service":   {r.Get(t, "Deployment", "gitea"), r.Get(t, "Service", "gitea")},
		"Argo CD's pods wait for Services":  {r.Get(t, "Deployment", "argocd-server"), r.Get(t, "Service", "argocd-server")},
	} {
		assert.Falsef(t, r.Waits(pair.free, pair.other), "%s", name)
	}
}

// twoTenants is a configuration with a second one.
var twoTenants = map[string]string{"neuroscale:tenants": `[
	{"namespace":"default","owner":"platform-team","costCenter":"platform","repositories":["endpoints"]},
	{"namespace":"team-b","owner":"team-b","costCenter":"cc-b","repositories":["models-b"],"members":["bob","data-scientist"],"quota":{"inferenceServices":2}}]`}

func TestASecondTenantIsBesideTheFirst(t *testing.T) {
	one := recorder.MustRun(t, program(t, nil), recorder.Options{})
	two := recorder.MustRun(t, program(t, twoTenants), recorder.Options{})
	two.AssertBelongs(t, "cluster", "certificates", "forge", "kinds", "argocd", "delivery", "serving", "guardrails", "tenancy", "endpoints", "kyverno", "reviews", "cost", "dashboards", "portal")
	set := two.Get(t, "ApplicationSet", "neuroscale-model-endpoints-team-b")
	for _, earlier := range []*recorder.Registration{
		two.Get(t, "Namespace", "team-b"), two.Get(t, "AppProject", "tenant-team-b"), two.Get(t, "Secret", "repository-models-b"),
		two.Get(t, "Application", "tenancy"), two.Get(t, "Job", "gitea-bootstrap-*"),
	} {
		assert.Truef(t, two.Waits(set, earlier), "the new tenant's endpoints do not wait for %s", earlier.URN)
	}
	for _, kind := range []string{"NamespacePatch", "AppProject", "Secret"} {
		for _, g := range one.Kind(kind) {
			// Argo CD's project and the forge's passwords are of all tenants.
			if name := g.ObjectName(); name != "platform" && name != "gitea-members" {
				assert.Equal(t, g.Object(), two.Type(t, g.Type, g.Name).Object(), "%s changes with another tenant", g.URN)
			}
		}
	}
}

func TestNoFolderBecomesAnApplicationOfThePlatform(t *testing.T) {
	r := recorder.MustRun(t, program(t, nil), recorder.Options{})
	var excluded []any
	directories := recorder.At(r.Get(t, "ApplicationSet", "neuroscale-model-endpoints").Object(), "spec.generators.0.git.directories")
	for _, directory := range directories.([]any) {
		if recorder.At(directory, "exclude") == true {
			excluded = append(excluded, recorder.At(directory, "path"))
		}
	}
	applications := r.Kind("Application")
	require.NotEmpty(t, applications)
	for _, application := range applications {
		assert.Contains(t, excluded, "apps/"+application.ObjectName(), "a merged folder would take the layer over")
	}
}

// names of all objects that carry content, by what they belong to.
func contentNames(r *recorder.Recording) map[string]string {
	out := map[string]string{}
	for _, g := range r.Registrations {
		if g.Kind() == "Application" {
			out[g.URN] = recorder.At(g.Object(), "spec.source.targetRevision").(string)
		} else if name := g.ObjectName(); name != "" {
			out[g.URN] = name
		}
	}
	return out
}

func TestAnArgChangesOnlyItsLayer(t *testing.T) {
	for name, test := range map[string]struct {
		raw     map[string]string
		changed []string // beginnings of the logical names that may change
	}{
		"nothing":           {nil, nil},
		"default resources": {map[string]string{"neuroscale:serving": `{"defaultResources":{"cpu":"75m"}}`}, []string{"kserve", "guard"}},
		"stable window":     {map[string]string{"neuroscale:serving": `{"stableWindow":"30s"}`}, []string{"knative"}},
		"gateway":           {map[string]string{"neuroscale:serving": `{"gateway":{"nodePort":31000}}`}, []string{"knative"}},
		"domain":            {map[string]string{"neuroscale:serving": `{"domain":"models.example"}`}, []string{"knative", "kserve"}},
		"retention":         {map[string]string{"neuroscale:cost": `{"retention":"7d"}`}, []string{"prometheus", "cost"}},
		"interval":          {map[string]string{"neuroscale:cost": `{"interval":"15s"}`}, []string{"prometheus", "opencost", "cost"}},
		"requeue":           {map[string]string{"neuroscale:endpoints": `{"requeueSeconds":9}`}, nil},
		"quota": {map[string]string{"neuroscale:tenants": `[{"namespace":"default","owner":"platform-team",
			"costCenter":"platform","repositories":["endpoints"],"quota":{"pods":19}}]`}, []string{"tenancy", "guard", "portal"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := contentNames(recorder.MustRun(t, program(t, nil), recorder.Options{}))
			after := contentNames(recorder.MustRun(t, program(t, test.raw), recorder.Options{}))
			require.Len(t, after, len(before))
			var changed []string
			for urn, was := range before {
				if after[urn] != was {
					changed = append(changed, urn[strings.LastIndex(urn, "::")+2:]+" "+urn)
				}
			}
			counts := map[string]int{}
			for _, each := range changed {
				logical, _, _ := strings.Cut(each, " ")
				owner := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(logical, "-push"), "-application"), "-probe")
				assert.Containsf(t, test.changed, owner, "changed: %s", each)
				counts[owner]++
			}
			for _, layer := range test.changed {
				// ConfigMap, push Job, Application's revision and, where there is
				// one, the probe Job, which of costs is one for both layers.
				assert.Equalf(t, map[string]int{"knative": 4, "kserve": 3, "tenancy": 3, "guard": 3, "portal": 3, "prometheus": 3, "opencost": 3, "cost": 1}[layer], counts[layer], "of layer %s", layer)
			}
		})
	}
}

func TestSecretsAreOnlyInSecrets(t *testing.T) {
	r := recorder.MustRun(t, program(t, nil), recorder.Options{})
	secrets := r.Kind("Secret")
	require.NotEmpty(t, secrets)
	for _, secret := range secrets {
		secret.AssertSecret(t, "data")
	}
	r.AssertNoSecretOutside(t, " result", " bcryptHash", " privateKeyPem", "the-token")
	provider := r.Type(t, "pulumi:providers:kubernetes", "cluster")
	assert.True(t, provider.Inputs["kubeconfig"].IsSecret(), "the kubeconfig is readable")
}

// inDocker is the program on an engine that has room.
func inDocker(t *testing.T, preflight error) pulumi.RunFunc {
	t.Helper()
	return New(Options{
		Config: map[string]string{"neuroscale:cluster": `{"provider":"docker"}`}, Renderer: recorder.Renderer(t), Schemas: noSchemas,
		Docker: func(args *cluster.DockerArgs) {
			args.Preflight = func(context.Context, cluster.Wanted) error { return preflight }
		},
	})
}

func TestAStackInDockerIsTheSamePlatform(t *testing.T) {
	r := recorder.MustRun(t, inDocker(t, nil), recorder.Options{})
	r.AssertBelongs(t, "cluster", "certificates", "forge", "kinds", "argocd", "delivery", "serving", "guardrails", "tenancy", "endpoints", "kyverno", "reviews", "cost", "dashboards", "portal")
	server := r.Type(t, "docker:index/container:Container", "cluster")
	assert.Equal(t, "neuroscale-test", server.Object()["name"])
	objects := 0
	for _, g := range r.Registrations {
		if g.Kind() == "" {
			continue
		}
		objects++
		assert.Equal(t, server.URN, g.DeletedWith, "%s is deleted one by one, of a cluster that goes as a whole", g.URN)
	}
	existing := recorder.MustRun(t, program(t, nil), recorder.Options{})
	there := 0
	for _, g := range existing.Registrations {
		if g.Kind() != "" {
			there++
		}
	}
	assert.Equal(t, there, objects)
	image, err := recorder.Renderer(t).Upstream().Image("", "k3s")
	require.NoError(t, err)
	assert.Contains(t, image, "@sha256:")
	assert.Equal(t, image, r.Type(t, "docker:index/remoteImage:RemoteImage", "cluster").Object()["name"])
}

func TestAnEngineThatCannotStopsTheStackBeforeAnythingIsMade(t *testing.T) {
	r, err := recorder.Run(inDocker(t, errors.New("port 30080 is in use by nginx")), recorder.Options{})
	require.EqualError(t, err, "port 30080 is in use by nginx")
	assert.Empty(t, r.Registrations)
	recorder.MustRun(t, inDocker(t, errors.New("no Docker here")), recorder.Options{DryRun: true})
}

func TestBadConfigurationRegistersNothing(t *testing.T) {
	r, err := recorder.Run(program(t, map[string]string{"neuroscale:forge": `{"nodeport":1}`}), recorder.Options{})
	require.EqualError(t, err, "neuroscale:forge.nodeport is not a key of neuroscale:forge: did you mean nodePort?")
	assert.Empty(t, r.Registrations)
}

func TestConfigurationComesFromPulumi(t *testing.T) {
	t.Setenv("PULUMI_CONFIG", `{"neuroscale:fogre":"{}"}`)
	o := Options{Renderer: recorder.Renderer(t), Schemas: noSchemas}
	_, err := recorder.Run(New(o), recorder.Options{})
	require.EqualError(t, err, "neuroscale:fogre is not a key of the configuration: did you mean forge?")

	t.Setenv("PULUMI_CONFIG", "")
	_, err = recorder.Run(New(o), recorder.Options{Config: map[string]string{"neuroscale:gitops": `{"nodePort":1}`}})
	require.EqualError(t, err, "neuroscale:gitops.nodePort is 1: write a number from 30000 to 32767")
}

func TestPreviewNeedsNoCluster(t *testing.T) {
	raw := map[string]string{}
	o := Options{Config: raw, Renderer: recorder.Renderer(t), Schemas: noSchemas, Cluster: func(args *cluster.Args) {
		args.Kubeconfig = filepath.Join(t.TempDir(), "missing")
	}}
	r := recorder.MustRun(t, New(o), recorder.Options{DryRun: true})
	full := recorder.MustRun(t, program(t, nil), recorder.Options{})
	assert.Len(t, r.Registrations, len(full.Registrations), "the preview shows another stack")

	_, err := recorder.Run(New(o), recorder.Options{})
	require.ErrorContains(t, err, "does not exist: set neuroscale:cluster.kubeconfig or KUBECONFIG")

	unreachable := Options{Config: raw, Renderer: recorder.Renderer(t), Schemas: noSchemas, Cluster: func(args *cluster.Args) {
		args.Kubeconfig = kubetest.File(t, kubetest.Kubeconfig)
		args.Reach = func(context.Context, string) error { return errors.New("connection refused") }
	}}
	recorder.MustRun(t, New(unreachable), recorder.Options{DryRun: true})
	_, err = recorder.Run(New(unreachable), recorder.Options{})
	require.ErrorContains(t, err, "the cluster at https://10.0.0.7:6443 of ")
}

func TestDecodeOutputs(t *testing.T) {
	m := auto.OutputMap{}
	for name, value := range map[string]any{
		OutputKubeconfig: "k", OutputArgoCDURL: "a", OutputArgoCDAdminPassword: "p", OutputGatewayURL: "g", OutputPlatformKey: "y",
		OutputForgeURL: "f", OutputAuthority: "c", OutputCertificates: map[string]any{"forge": "2030-01-02T03:04:05Z"}, OutputForgeUser: "u", OutputForgePassword: "w", OutputRepository: "r", OutputPortalURL: "o",
		OutputMembers:   map[string]any{"anna": "s"},
		OutputEndpoints: map[string]any{"iris": "http://iris"},
		OutputForwards:  []any{map[string]any{"name": "n", "namespace": "s", "service": "v", "port": 80.0, "localPort": 8080.0, "tls": true}},
		OutputLayers:    map[string]any{"knative": map[string]any{"version": "v1", "hash": "h"}},
		OutputVersions:  map[string]any{"kserve": "v3"},
	} {
		m[name] = auto.OutputValue{Value: value}
	}
	o, err := DecodeOutputs(m)
	require.NoError(t, err)
	assert.Equal(t, &Outputs{
		Kubeconfig: "k", ArgoCDURL: "a", ArgoCDAdminPassword: "p", GatewayURL: "g", PlatformKey: "y",
		ForgeURL: "f", Authority: "c", Certificates: map[string]time.Time{"forge": time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}, ForgeUser: "u", ForgePassword: "w", Repository: "r", PortalURL: "o",
		Members:   map[string]string{"anna": "s"},
		Endpoints: map[string]string{"iris": "http://iris"},
		Forwards:  []layer.Forward{{Name: "n", Namespace: "s", Service: "v", Port: 80, LocalPort: 8080, TLS: true}},
		Layers:    map[string]Layer{"knative": {"v1", "h"}},
		Versions:  map[string]string{"kserve": "v3"},
	}, o)

	delete(m, OutputGatewayURL)
	_, err = DecodeOutputs(m)
	require.EqualError(t, err, "the stack has no output gatewayUrl: bring it up first (`pulumi up`)")
}

func TestAClusterInDockerIsBegunOnlyIfOurImagesCanBeHad(t *testing.T) {
	for settings, from := range map[string]struct{ pulled, built bool }{
		`{"provider":"docker"}`: {built: true},
		`{"provider":"docker","mirrors":[{"registry":"ghcr.io","endpoint":"http://registry.example.org:5000"}]}`:                    {built: true},
		`{"provider":"docker","ownImages":"pull"}`:                                                                                  {pulled: true},
		`{"provider":"docker","distribution":"node","images":"/cache"}`:                                                             {},
		`{"provider":"docker","imageRegistry":"registry.example.org/mirror"}`:                                                       {},
		`{"provider":"docker","ownImages":"pull","mirrors":[{"registry":"ghcr.io","endpoint":"http://registry.example.org:5000"}]}`: {},
	} {
		var want cluster.Wanted
		_, err := recorder.Run(New(Options{
			Config: map[string]string{"neuroscale:cluster": settings}, Renderer: realRenderer(t), Schemas: noSchemas, Checkout: "..",
			Docker: func(args *cluster.DockerArgs) {
				args.Preflight = func(_ context.Context, w cluster.Wanted) error {
					want = w
					return errors.New("enough")
				}
			},
		}), recorder.Options{})
		require.ErrorContains(t, err, "enough", settings)
		assert.Equal(t, from.pulled, len(want.Pulled) == 5, settings)
		assert.Equal(t, from.built, len(want.Bases) > 3, settings)
		if !from.pulled {
			assert.Empty(t, want.Pulled, settings)
		}
	}
}

// Nodes keep what they have pulled by its name.
func TestEveryObjectNamesTheImagesThatAreBuilt(t *testing.T) {
	renderer := realRenderer(t)
	r := recorder.MustRun(t, New(Options{
		Config: map[string]string{"neuroscale:cluster": `{"provider":"docker"}`}, Renderer: renderer, Schemas: noSchemas, Checkout: "..",
		Docker: func(args *cluster.DockerArgs) {
			args.Preflight = func(context.Context, cluster.Wanted) error { return nil }
		},
	}), recorder.Options{})
	builds, err := ownimages.Builds("..", ownimages.Of(renderer.Upstream().Images))
	require.NoError(t, err)
	require.Len(t, builds, 5)
	var applied strings.Builder
	for _, g := range r.Registrations {
		text, err := json.Marshal(g.Object())
		require.NoError(t, err)
		applied.Write(text)
	}
	for _, b := range builds {
		assert.Equal(t, "127.0.0.1:6551/neuroscale-platform/"+strings.TrimPrefix(b.Reference, "ghcr.io/neuroscale-platform/"),
			r.Type(t, "docker:index/image:Image", "cluster-"+b.Name).Object()["imageName"])
		assert.NotContains(t, strings.ReplaceAll(applied.String(), b.Reference, ""), b.Published, "somebody pulls %s of a release", b.Name)
	}
	assert.Contains(t, applied.String(), references(builds)[renderer.Upstream().Images["forge-proxy"]], "this shows nothing")
}

func TestACheckoutIsNeededToBuildImages(t *testing.T) {
	r, err := recorder.Run(New(Options{
		Config: map[string]string{"neuroscale:cluster": `{"provider":"docker"}`}, Renderer: realRenderer(t), Schemas: noSchemas, Checkout: t.TempDir(),
	}), recorder.Options{})
	require.ErrorContains(t, err, "build the platform's own images (neuroscale:cluster.ownImages)")
	require.ErrorContains(t, err, "run inside a checkout, or write pull")
	assert.Empty(t, r.Registrations)
}
