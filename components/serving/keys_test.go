package serving

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

// gatewaySettings are the environment of the gateway's controller.
func gatewaySettings(t *testing.T, s config.Serving) map[string]string {
	t.Helper()
	layers := Layers(s, false)
	knative, _ := layers.Get(KnativeLayer)
	tree, err := knative.Tree(t.Context(), layer.Source{Renderer: realRenderer(t)})
	require.NoError(t, err)
	settings := map[string]string{}
	for _, o := range tree.Objects() {
		if o["kind"] != "Deployment" || recorder.At(o, "metadata.name") != "net-kourier-controller" {
			continue
		}
		for _, e := range recorder.At(o, "spec.template.spec.containers.0.env").([]any) {
			name, _ := recorder.At(e, "name").(string)
			value, _ := recorder.At(e, "value").(string)
			settings[name] = value
		}
	}
	require.Contains(t, settings, "KUBE_API_QPS", "upstream's own are there still")
	return settings
}

func TestTheGatewayAsksForKeysAndStaysShutWithoutAnAnswer(t *testing.T) {
	settings := gatewaySettings(t, config.Default().Serving)
	for name, want := range map[string]string{
		"HOST": "doorkeeper.doorkeeper.svc.cluster.local:9001", "PROTOCOL": "grpc", "FAILUREMODEALLOW": "false",
		"TIMEOUT": "2000", "MAXREQUESTBYTES": "1", "PACKASBYTES": "true",
	} {
		assert.Equal(t, want, settings["KOURIER_EXTAUTHZ_"+name], name)
	}
}

func TestWhatTheGatewayDoesIsConfigured(t *testing.T) {
	s := config.Default().Serving
	s.AuthFailure = config.FailOpen
	assert.Equal(t, "true", gatewaySettings(t, s)["KOURIER_EXTAUTHZ_FAILUREMODEALLOW"])
	s.Auth = config.AuthNone
	assert.NotContains(t, gatewaySettings(t, s), "KOURIER_EXTAUTHZ_HOST", "an open gateway asks nobody")
	_, there := Layers(s, false).Get(DoorkeeperLayer)
	assert.False(t, there)
	r, _ := build(t, s)
	assert.Len(t, r.Kind("Application"), 3)
}

func TestThePlatformsKeyIsStoredAsItsHash(t *testing.T) {
	r, _ := build(t, config.Default().Serving)
	hashes, token := r.Get(t, "Secret", keys.PlatformSecret), r.Get(t, "Secret", keys.TokenSecret)
	for _, secret := range []*recorder.Registration{hashes, token} {
		secret.AssertSecret(t, "data")
		assert.True(t, r.Waits(r.Get(t, "Application", DoorkeeperLayer), secret))
	}
	decode := func(s *recorder.Registration, field string) []byte {
		data, _ := recorder.At(s.Object(), "data").(map[string]any)
		text, err := base64.StdEncoding.DecodeString(data[field].(string))
		require.NoError(t, err)
		return text
	}
	stored, err := keys.Decode(map[string][]byte{keys.PlatformID: decode(hashes, keys.PlatformID)})
	require.NoError(t, err)
	own := stored[keys.PlatformID]
	assert.Equal(t, keys.Hash(string(decode(token, keys.TokenField))), own.Hash)
	assert.Equal(t, keys.EveryTenant, own.Tenant)
	assert.Zero(t, own.Expires)
	for _, g := range r.Registrations {
		assert.NotEqual(t, keys.Secret, g.ObjectName(), "people's keys are nobody's to put back")
	}
}

func TestWhatJudgesKeysReadsTheirHashesOnly(t *testing.T) {
	layers := Layers(config.Default().Serving, false)
	d, _ := layers.Get(DoorkeeperLayer)
	tree, err := d.Tree(t.Context(), layer.Source{Renderer: realRenderer(t)})
	require.NoError(t, err)
	assert.Regexp(t, `^doorkeeper v\d+\.\d+\.\d+$`, tree.Version())
	for _, o := range tree.Objects() {
		if o["kind"] == "Role" && recorder.At(o, "metadata.name") == DoorkeeperAccount {
			assert.Equal(t, []any{map[string]any{
				"apiGroups": []any{""}, "resources": []any{"secrets"},
				"resourceNames": []any{keys.Secret, keys.PlatformSecret}, "verbs": []any{"get", "list", "watch"},
			}}, o["rules"], "a token is none of its business, and it changes nothing")
		}
	}
}
