package forgeproxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// described is how Gitea writes its metadata where its ROOT_URL is the cluster's name.
func described(issuer string) string {
	return `{"issuer":"` + issuer + `",
		"authorization_endpoint":"http://gitea.forge.svc:3000/login/oauth/authorize",
		"token_endpoint":"http://gitea.forge.svc:3000/login/oauth/access_token",
		"jwks_uri":"http://gitea.forge.svc:3000/login/oauth/keys",
		"scopes_supported":["openid","groups"]}`
}

func TestABrowserIsSentWhereItReachesTheForgeAndAProgramToTheIssuer(t *testing.T) {
	for issuer, program := range map[string]string{
		"https://forge.example.org:30082": "https://forge.example.org:30082",
		"https://gitea.forge.svc:3000":    "https://gitea.forge.svc:3000",
		"https://example.org/forge":       "https://example.org/forge",
	} {
		t.Run(issuer, func(t *testing.T) {
			f := newFront(t)
			f.gitea.metadata = described(issuer)
			answer := f.send(t, request(t, f.URL+metadataPath))
			require.Equal(t, http.StatusOK, answer.StatusCode)
			assert.Equal(t, "application/json", answer.Header.Get("Content-Type"))
			var got map[string]any
			require.NoError(t, json.NewDecoder(answer.Body).Decode(&got))
			assert.Equal(t, map[string]any{
				"issuer":                 issuer,
				"authorization_endpoint": "https://forge.test:30082/login/oauth/authorize",
				"token_endpoint":         program + "/login/oauth/access_token",
				"jwks_uri":               program + "/login/oauth/keys",
				"scopes_supported":       []any{"openid", "groups"},
			}, got)
		})
	}
}

func TestMetadataThatCannotBeReadIsAnError(t *testing.T) {
	for name, metadata := range map[string]string{
		"none":                     "",
		"no JSON":                  "<html>",
		"no issuer":                `{"jwks_uri":"http://a/keys"}`,
		"an issuer without a host": described("forge"),
		"an address that is none":  `{"issuer":"http://a","jwks_uri":7}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.gitea.metadata = metadata
			assert.Equal(t, http.StatusBadGateway, f.send(t, request(t, f.URL+metadataPath)).StatusCode)
		})
	}
	f := newFront(t)
	f.gitea.down.Store(true)
	assert.Equal(t, http.StatusBadGateway, f.send(t, request(t, f.URL+metadataPath)).StatusCode)
}

func request(t *testing.T, at string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	require.NoError(t, err)
	return r
}

var browsers = &url.URL{Scheme: "https", Host: "forge.test:30082"}
