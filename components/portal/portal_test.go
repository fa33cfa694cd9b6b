package portal

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func nothing([]config.Tenant, string, []string) []string { return nil }

var (
	certificate = certificates.Certificate{
		Chain: pulumi.String("chain").ToStringOutput(), Key: pulumi.String("key").ToStringOutput(), Expires: pulumi.String("then").ToStringOutput(),
	}
	platformKey   = pulumi.ToSecret(pulumi.String("nsk_platform_key")).(pulumi.StringOutput)
	authorityText = pulumi.String("authority").ToStringOutput()
)

func build(t *testing.T, c *config.Config) (*recorder.Recording, *Portal) {
	t.Helper()
	return buildWith(t, c, nil)
}

func buildWith(t *testing.T, c *config.Config, github *GitHub) (*recorder.Recording, *Portal) {
	t.Helper()
	var p *Portal
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		f, err := forge.New(ctx, "forge", &forge.Args{
			Image: "gitea:1", ProxyImage: "proxy:1", NodePort: 30082, Address: "10.0.0.7", Storage: "1Gi", MaxPush: 2 << 20, MaxRepository: 4 << 20,
			Folder: "apps", Organization: "acme", Repositories: []string{"endpoints"}, WebhookURL: "http://argocd/webhook", GuardURL: "https://guard/hook", FollowerURL: "https://follower/hook", PassedURL: "https://guard/passed", GuardContext: "guard",
			Certificate: certificate, Authority: authorityText,
		}, on)
		if err != nil {
			return err
		}
		d, err := layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: f.Platform, GitImage: "git:1", ProbeImage: "python:1", Project: "platform", ApplicationNamespace: "argocd",
			Source: layer.Source{Renderer: recorder.Renderer(t)},
		}, on)
		if err != nil {
			return err
		}
		p, err = New(ctx, "portal", &Args{
			Settings: c.Portal, Image: "portal:1", Address: "10.0.0.7", Forge: f, GitHub: github, GatewayURL: "http://127.0.0.1:30080", GatewayInternalURL: "http://kourier.kourier-system.svc", PlatformKey: platformKey, Layers: Layers(c, nothing), Delivery: d,
			Certificate: certificate, Authority: authorityText, HTTP: c.TLS.Plain(config.ServerPortal),
		}, on)
		return err
	})
	return r, p
}

func TestThePortalStartsWithItsSecretsAndAgainWithOthers(t *testing.T) {
	r, p := build(t, config.Default())
	r.AssertBelongs(t, "forge", "delivery", "portal")
	assert.Equal(t, "https://10.0.0.7:30083", p.URL)
	site, application := r.Get(t, "Secret", SiteSecret), r.Get(t, "Application", Layer)
	assert.True(t, r.Waits(application, site))
	assert.True(t, r.Waits(application, r.Get(t, "Job", "gitea-client-portal-*")), "its pod could not start without the forge's secret")
	patch := recorder.At(application.Object(), "spec.source.kustomize.patches.0.patch").(string)
	assert.Contains(t, patch, "neuroscale.dev~1site")
	assert.NotContains(t, patch, "portal-session result")
	client := r.Get(t, "Job", "gitea-client-portal-*").Object()
	text, err := json.Marshal(client)
	require.NoError(t, err)
	assert.Contains(t, string(text), "https://10.0.0.7:30083/api/auth/gitea/handler/frame")
}

// In Docker people's address of the gateway is the pod's own loopback.
func TestItAsksTheGatewayWhereAPodCan(t *testing.T) {
	r, _ := build(t, config.Default())
	for key, want := range map[string]string{"GATEWAY_URL": "http://127.0.0.1:30080", "GATEWAY_INTERNAL_URL": "http://kourier.kourier-system.svc"} {
		assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(want)), recorder.At(r.Get(t, "Secret", SiteSecret).Object(), "data."+key))
	}
}

func TestTheKeyThatItAsksEndpointsWithIsInItsSecretOnly(t *testing.T) {
	r, _ := build(t, config.Default())
	site := r.Get(t, "Secret", SiteSecret)
	site.AssertSecret(t, "data")
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte("nsk_platform_key")), recorder.At(site.Object(), "data.PLATFORM_KEY"))
	r.AssertNoSecretOutside(t, "nsk_platform_key")
}

func TestOfArgoCDItReadsApplicationsOnly(t *testing.T) {
	r, _ := build(t, config.Default())
	role := r.Get(t, "Role", "neuroscale-portal").Object()
	assert.Equal(t, "argocd", recorder.At(role, "metadata.namespace"))
	assert.Equal(t, []any{map[string]any{
		"apiGroups": []any{"argoproj.io"}, "resources": []any{"applications"}, "verbs": []any{"get"},
	}}, recorder.At(role, "rules"))
	binding := r.Get(t, "RoleBinding", "neuroscale-portal").Object()
	assert.Equal(t, "argocd", recorder.At(binding, "metadata.namespace"))
	assert.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "portal", "namespace": "portal"}}, recorder.At(binding, "subjects"))
}

func TestPeopleAreSentBackToTheAddressTheyCameFrom(t *testing.T) {
	c := config.Default()
	c.Portal.URL = "https://portal.example.org"
	r, p := build(t, c)
	assert.Equal(t, "https://portal.example.org", p.URL)
	text, err := json.Marshal(r.Get(t, "Job", "gitea-client-portal-*").Object())
	require.NoError(t, err)
	assert.Contains(t, string(text), "https://portal.example.org/api/auth/gitea/handler/frame")
}

func TestWithoutAPortalNothingOfItIsThere(t *testing.T) {
	c := config.Default()
	c.Portal.Enabled = false
	r, p := build(t, c)
	assert.Empty(t, p.URL)
	for _, g := range r.Registrations {
		assert.NotContains(t, strings.ToLower(g.ObjectName()), "portal")
	}
}

// files are those of the portal's ConfigMap.
func files(t *testing.T, c *config.Config, excluded Excluded) map[string]string {
	t.Helper()
	a, err := newAppConfig(c, excluded, []string{"knative"})
	require.NoError(t, err)
	text, err := a.encode()
	require.NoError(t, err)
	return text
}

func at(t *testing.T, text, path string) any {
	t.Helper()
	var document map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &document))
	return recorder.At(document, path)
}

func TestTheFormOffersWhatThereIs(t *testing.T) {
	c := config.Default()
	second := c.Tenants[0]
	second.Namespace, second.Repositories, second.Members = "team-b", []string{"models-b", "more"}, []string{"bob"}
	second.Limits.Max.Memory, second.Quota.Pods = "2Gi", 30
	c.Tenants = append(c.Tenants, second)
	text := files(t, c, func(_ []config.Tenant, namespace string, reserved []string) []string {
		return append(reserved, namespace+"-*")
	})
	template := form(t, text, "kserve-model-endpoint")
	const properties = "spec.parameters.0.properties."
	assert.Equal(t, []any{"default", "team-b"}, at(t, template, properties+"tenant.enum"))
	assert.Equal(t, []any{"sklearn"}, at(t, template, properties+"modelFormat.enum"))
	assert.EqualValues(t, 36, at(t, template, properties+"name.maxLength"))
	assert.Equal(t, []any{"small", "medium", "large"}, at(t, template, "spec.parameters.1.properties.size.enum"))
	assert.EqualValues(t, 30, at(t, template, "spec.parameters.1.properties.maxReplicas.maximum"))
	for _, name := range at(t, template, "spec.parameters.1.properties.size.enumNames").([]any) {
		assert.Regexp(t, `: asks for \S+ CPU and \S+, uses at most \S+ CPU and \S+; [1-9][0-9]*\.[0-9][0-9] USD a month$`, name)
	}
	site := text["app-config.yaml"]
	assert.Equal(t, []any{"small", "medium"}, at(t, site, "neuroscale.tenants.1.sizes"), "large is over its limits")
	assert.Equal(t, "models-b", at(t, site, "neuroscale.tenants.1.repository"))
	assert.Equal(t, []any{"knative", "team-b-*"}, at(t, site, "neuroscale.tenants.1.excluded"))
	assert.NotContains(t, site, "guest:", "nobody gets in without an account")
}

// form is the template of that name.
func form(t *testing.T, text map[string]string, name string) string {
	t.Helper()
	for _, template := range strings.Split(text["templates.yaml"], "---\n")[1:] {
		if at(t, template, "metadata.name") == name {
			return template
		}
	}
	require.Fail(t, "no template "+name)
	return ""
}

func TestAnEndpointIsChangedInWhatIsFilledInAndRemovedByItsName(t *testing.T) {
	text := files(t, config.Default(), nothing)
	for name, want := range map[string]struct {
		action   string
		required []any
		optional []any
		input    []string
	}{
		"kserve-model-endpoint": {
			"create", []any{"tenant", "name", "modelFormat", "storageUri"}, []any{"size", "minReplicas", "maxReplicas"},
			[]string{"tenant", "name", "modelFormat", "storageUri", "size", "minReplicas", "maxReplicas"},
		},
		"change-endpoint": {"change", []any{"tenant", "name"}, []any{}, []string{"tenant", "name", "modelFormat", "storageUri", "size", "minReplicas", "maxReplicas"}},
		"remove-endpoint": {"remove", []any{"tenant", "name"}, nil, []string{"tenant", "name"}},
	} {
		template := form(t, text, name)
		assert.Equal(t, want.required, at(t, template, "spec.parameters.0.required"), name)
		if want.optional != nil {
			assert.Equal(t, want.optional, at(t, template, "spec.parameters.1.required"), name)
		}
		assert.Equal(t, "neuroscale:endpoint:"+want.action, at(t, template, "spec.steps.0.action"))
		input := at(t, template, "spec.steps.0.input").(map[string]any)
		assert.ElementsMatch(t, want.input, slices.Collect(maps.Keys(input)), name)
		for field, value := range input {
			assert.Equal(t, "${{ parameters."+field+" }}", value)
		}
		assert.Equal(t, "forge-token", at(t, template, "spec.EXPERIMENTAL_formDecorators.0.id"), "nobody could propose")
	}
	change := form(t, text, "change-endpoint")
	for field, schema := range at(t, change, "spec.parameters.1.properties").(map[string]any) {
		assert.NotContains(t, schema, "default", "%s would be changed by who leaves it as it is", field)
	}
}

func TestGuestsGetInOnlyIfTheyMay(t *testing.T) {
	c := config.Default()
	c.Portal.Guests = true
	site := files(t, c, nothing)["app-config.yaml"]
	assert.Equal(t, "user:default/guest", at(t, site, "auth.providers.guest.userEntityRef"))
	assert.Equal(t, true, at(t, site, "neuroscale.guests"))
}

func TestArgsAreChecked(t *testing.T) {
	_, err := New(nil, "portal", &Args{Settings: config.Portal{Enabled: true}, GitHub: &GitHub{}})
	for _, field := range []string{"GitHub.ClientID", "GitHub.ClientSecret", "GitHub.Reaches", "Address", "GatewayURL", "GatewayInternalURL", "Image", "PlatformKey", "Settings.NodePort", "Forge", "Layers", "Delivery"} {
		require.ErrorContains(t, err, "Args."+field)
	}
}
