package dashboards

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/cost"
	pages "github.com/neuroscale-platform/neuroscale/internal/dashboards"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
	"github.com/neuroscale-platform/neuroscale/internal/render"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// objects are what the layer renders to, by kind and name.
func objects(t *testing.T, c *config.Config) map[string]map[string]any {
	t.Helper()
	cache, err := rig.Cache()
	require.NoError(t, err)
	renderer, err := render.New(gitops.FS, filepath.Join(cache, "render"))
	require.NoError(t, err)
	prices, err := cost.DefaultPrices()
	require.NoError(t, err)
	euros := *prices
	euros.Currency = "EUR"
	layers := Layers(c, &euros)
	require.Len(t, layers, 1)
	tree, err := layers[0].Tree(t.Context(), layer.Source{Renderer: renderer})
	require.NoError(t, err)
	out := map[string]map[string]any{}
	for _, o := range tree.Objects() {
		out[o["kind"].(string)+" "+recorder.At(o, "metadata.name").(string)] = o
	}
	return out
}

func args(t *testing.T, c *config.Config) any {
	t.Helper()
	return recorder.At(objects(t, c)["Deployment dashboards"], "spec.template.spec.containers.0.args")
}

func TestItIsToldWhereEverythingIs(t *testing.T) {
	assert.Equal(t, []any{
		"-prometheus=http://prometheus.prometheus-system.svc:9090",
		"-currency=EUR",
		"-hosts=dashboards,dashboards.dashboards.svc",
		"-certificates=argocd=argocd-server.argocd.svc:443,forge=gitea.forge.svc:3000,gateway=kourier.kourier-system.svc:443,portal=portal.portal.svc:7007",
	}, args(t, config.Default()))
}

func TestWhatShowsNoCertificateIsNotLookedAt(t *testing.T) {
	c := config.Default()
	c.TLS.HTTP = []string{config.ServerForge, config.ServerGateway}
	c.Portal.Enabled = false
	assert.Contains(t, args(t, c), "-certificates=argocd=argocd-server.argocd.svc:443")
	_, err := pages.ParseTLSServers("argocd=argocd-server.argocd.svc:443")
	require.NoError(t, err)
}

func TestNothingMeasuredIsNothingToShow(t *testing.T) {
	c := config.Default()
	c.Cost.Enabled = false
	assert.Empty(t, Layers(c, &cost.Prices{}))
}

// It shows every tenant's figures to whoever reaches it, and must be no way to more.
func TestItHasNoRightsAndNoToken(t *testing.T) {
	all := objects(t, config.Default())
	for name, o := range all {
		assert.NotContains(t, []any{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"}, o["kind"], name)
	}
	d := all["Deployment dashboards"]
	assert.Equal(t, false, recorder.At(d, "spec.template.spec.automountServiceAccountToken"))
	assert.Equal(t, true, recorder.At(d, "spec.template.spec.securityContext.runAsNonRoot"))
	container := recorder.At(d, "spec.template.spec.containers.0").(map[string]any)
	assert.Equal(t, map[string]any{
		"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
	}, container["securityContext"])
	assert.NotNil(t, recorder.At(container, "resources.limits.memory"))
	assert.Equal(t, "ClusterIP", recorder.At(all["Service dashboards"], "spec.type"), "people come through the API server")
	assert.Equal(t, "restricted", recorder.At(all["Namespace dashboards"], "metadata.labels").(map[string]any)["pod-security.kubernetes.io/enforce"])
}

func TestItsServiceIsTheOneThatIsForwarded(t *testing.T) {
	o := objects(t, config.Default())["Service "+Pages.Service]
	assert.Equal(t, Pages.Namespace, recorder.At(o, "metadata.namespace"))
	assert.EqualValues(t, Pages.Port, recorder.At(o, "spec.ports.0.port"))
}
