package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/portalapi"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// argoCD is Argo CD's API as somebody asks it.
type argoCD struct {
	url    string
	client *http.Client
	token  string // shown unless it is empty
}

// ask calls the API.
func (a argoCD) ask(ctx context.Context, t *testing.T, method, at, body string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, a.url+"/api/v1"+at, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	response, err := a.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, string(text)}
}

// projects has how many Applications one sees of each project.
func (a argoCD) projects(ctx context.Context, t *testing.T) map[string]int {
	t.Helper()
	got := a.ask(ctx, t, http.MethodGet, "/applications", "")
	require.Equal(t, http.StatusOK, got.code, got.body)
	var list struct {
		Items []struct {
			Spec struct {
				Project string `json:"project"`
			} `json:"spec"`
		} `json:"items"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &list))
	seen := map[string]int{}
	for _, app := range list.Items {
		seen[app.Spec.Project]++
	}
	return seen
}

// withToken is the API for who shows a token and has no cookies.
func (s *suite) withToken(token string) argoCD {
	return argoCD{s.outputs.ArgoCDURL, predict.NewClient(time.Minute, s.outputs.Authority), token}
}

// browser is that of somebody who has signed in to the forge.
type browser struct{ *portalapi.Browser }

func (s *suite) browse(ctx context.Context, t *testing.T, by person) browser {
	t.Helper()
	b, err := portalapi.SignInToForge(ctx, s.outputs.ForgeURL, s.outputs.Authority, by.name, by.password)
	require.NoError(t, err)
	return browser{b}
}

// read returns a page, with a form if there is one.
func (b browser) read(ctx context.Context, t *testing.T, method, at string, form url.Values) string {
	t.Helper()
	page, err := b.Page(ctx, method, at, form)
	require.NoError(t, err)
	return page
}

// grant gives leave where a page asks for it, and returns the page after it.
func (b browser) grant(ctx context.Context, t *testing.T, page string) string {
	t.Helper()
	page, err := b.Grant(ctx, page)
	require.NoError(t, err)
	return page
}

// signInToArgoCD signs somebody in as a browser does: Argo CD sends it to the forge, which
// asks whether it may tell who that is, and sends it back with a code.
func (s *suite) signInToArgoCD(ctx context.Context, t *testing.T, by person) (argoCD, string) {
	t.Helper()
	v := s.browse(ctx, t, by)
	v.grant(ctx, t, v.read(ctx, t, http.MethodGet, s.outputs.ArgoCDURL+"/auth/login", nil))
	at, err := url.Parse(s.outputs.ArgoCDURL)
	require.NoError(t, err)
	token := ""
	for _, cookie := range v.Client.Jar.Cookies(at) {
		if cookie.Name == "argocd.token" {
			token = cookie.Value
		}
	}
	require.NotEmpty(t, token, "%s is not signed in", by.name)
	return argoCD{s.outputs.ArgoCDURL, v.Client, ""}, token
}

// peopleSignInToArgoCD has a member of each tenant and an administrator sign in.
func (s *suite) peopleSignInToArgoCD(ctx context.Context, t *testing.T) {
	ours, theirs := tenancy.ProjectName(tenants), tenancy.ProjectName(other)
	apps := map[string]string{}
	for _, project := range []string{ours, theirs, "platform"} {
		apps[project] = s.applicationOf(ctx, t, project)
	}
	for name, own := range map[string]string{scientist: ours, otherMember: theirs} {
		t.Run(name, func(t *testing.T) {
			asked, _ := s.signInToArgoCD(ctx, t, s.member(t, name))
			seen := asked.projects(ctx, t)
			assert.NotZero(t, seen[own])
			assert.Len(t, seen, 1, "of others' as well: %v", seen)
			s.tryArgoCD(ctx, t, asked, apps, own)
		})
	}
	t.Run("an administrator", func(t *testing.T) {
		asked, _ := s.signInToArgoCD(ctx, t, s.administrator())
		seen := asked.projects(ctx, t)
		for project, app := range apps {
			assert.NotZero(t, seen[project])
			got := asked.ask(ctx, t, http.MethodPost, "/applications/"+app+"/sync", `{"dryRun":true}`)
			assert.Equal(t, http.StatusOK, got.code, "sync %s: %s", app, got.body)
			require.NoError(t, s.awaitSynced(ctx, app, ""))
		}
	})
	t.Run("the command line", func(t *testing.T) {
		asked := s.withToken(s.signInByCommandLine(ctx, t, s.member(t, otherMember)))
		assert.Equal(t, theirs, only(asked.projects(ctx, t)))
	})
	t.Run("a stranger", func(t *testing.T) { s.strangersAreRefused(ctx, t) })
}

// applicationOf is an Application of a project.
func (s *suite) applicationOf(ctx context.Context, t *testing.T, project string) string {
	t.Helper()
	apps, err := s.cluster.List(ctx, kube.Applications, argocd)
	require.NoError(t, err)
	for i := range apps {
		if rig.Text(&apps[i], "spec", "project") == project {
			return apps[i].GetName()
		}
	}
	require.Fail(t, "no Application is of project "+project)
	return ""
}

// tryArgoCD has somebody who may see one project try everything with all.
func (s *suite) tryArgoCD(ctx context.Context, t *testing.T, asked argoCD, apps map[string]string, own string) {
	for project, app := range apps {
		for _, try := range []struct {
			what, method, at, body string
			own                    bool
		}{
			{"see it", http.MethodGet, "", "", true},
			{"see its objects", http.MethodGet, "/resource-tree", "", true},
			{"see its manifests", http.MethodGet, "/manifests", "", true},
			{"sync it", http.MethodPost, "/sync", `{}`, false},
			{"roll it back", http.MethodPost, "/rollback", `{"id":0}`, false},
			{"end its operation", http.MethodDelete, "/operation", "", false},
			{"change it", http.MethodPatch, "", `{"patch":"{\"metadata\":{\"labels\":{\"tried\":\"1\"}}}","patchType":"merge"}`, false},
			{"have its objects restarted", http.MethodPost, "/resource/actions?resourceName=tried&version=v1&kind=Deployment&group=apps&namespace=default", `"restart"`, false},
			{"delete an object of it", http.MethodDelete, "/resource?resourceName=tried&version=v1&kind=ConfigMap&namespace=default", "", false},
			{"delete it", http.MethodDelete, "?cascade=false", "", false},
		} {
			got := asked.ask(ctx, t, try.method, "/applications/"+app+try.at, try.body)
			if project == own && try.own {
				assert.Equal(t, http.StatusOK, got.code, "may not %s, %s: %s", try.what, app, got.body)
				continue
			}
			assert.Equal(t, http.StatusForbidden, got.code, "may %s, %s: %s", try.what, app, got.body)
		}
	}
	for _, try := range []attempt{
		{"make an Application", http.MethodPost, "/applications", `{"metadata":{"name":"tried"},"spec":{"project":"` + own + `","source":{"repoURL":"https://a/b","path":"."},"destination":{"server":"https://kubernetes.default.svc","namespace":"default"}}}`, false},
		{"make a project", http.MethodPost, "/projects", `{"project":{"metadata":{"name":"tried"}}}`, false},
		{"make a token of the project's", http.MethodPost, "/projects/" + own + "/roles/reader/token", `{}`, false},
		{"give the project a role", http.MethodPut, "/projects/" + own, `{"project":{"metadata":{"name":"` + own + `"},"spec":{"roles":[{"name":"tried"}]}}}`, false},
		{"make an account's token", http.MethodPost, "/account/admin/token", `{}`, false},
		{"add a repository", http.MethodPost, "/repositories", `{"repo":"https://a/b"}`, false},
		{"add a cluster", http.MethodPost, "/clusters", `{"server":"https://a","name":"tried","config":{}}`, false},
	} {
		got := asked.ask(ctx, t, try.method, try.path, try.body)
		// There is no such role: the groups of one may make tokens.
		assert.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, got.code, "may %s: %s", try.what, got.body)
	}
	assert.NotEqual(t, http.StatusOK, asked.ask(ctx, t, http.MethodPut, "/account/password", `{"name":"admin","currentPassword":"x","newPassword":"tried-tried-1"}`).code)
}

// signInByCommandLine does what `argocd login --sso` does, and returns its token.
func (s *suite) signInByCommandLine(ctx context.Context, t *testing.T, by person) string {
	t.Helper()
	var settings struct {
		OIDCConfig struct {
			Issuer      string   `json:"issuer"`
			CLIClientID string   `json:"cliClientID"`
			Scopes      []string `json:"scopes"`
		} `json:"oidcConfig"`
	}
	got := s.withToken("").ask(ctx, t, http.MethodGet, "/settings", "")
	require.NoError(t, json.Unmarshal([]byte(got.body), &settings), "%s", got.body)
	oidc := settings.OIDCConfig
	require.NotEmpty(t, oidc.CLIClientID)
	assert.NotContains(t, got.body, "gto_", "whoever asks gets the forge's secret")
	v := s.browse(ctx, t, by)
	var metadata struct {
		Issuer        string `json:"issuer"`
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
	}
	require.NoError(t, json.Unmarshal([]byte(v.read(ctx, t, http.MethodGet, oidc.Issuer+"/.well-known/openid-configuration", nil)), &metadata))
	require.Equal(t, oidc.Issuer, metadata.Issuer)

	const callback, verifier = "http://localhost:8085/auth/callback", "a-verifier-of-at-least-forty-three-characters-0123456789"
	var code string
	v.Client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), callback) {
			return nil
		}
		code = r.URL.Query().Get("code")
		return http.ErrUseLastResponse
	}
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {oidc.CLIClientID}, "redirect_uri": {callback}, "response_type": {"code"}, "state": {"a-state"}, "scope": {strings.Join(oidc.Scopes, " ")},
	}
	v.read(ctx, t, http.MethodGet, metadata.Authorization+"?"+query.Encode(), nil)
	require.Empty(t, code, "whoever listens on that port could take the code")
	query.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	query.Set("code_challenge_method", "S256")
	v.grant(ctx, t, v.read(ctx, t, http.MethodGet, metadata.Authorization+"?"+query.Encode(), nil))
	require.NotEmpty(t, code, "the forge sends nobody back")
	exchange := func(verifier string) string {
		var token struct {
			ID string `json:"id_token"`
		}
		text := v.read(ctx, t, http.MethodPost, metadata.Token, url.Values{
			"grant_type": {"authorization_code"}, "client_id": {oidc.CLIClientID}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier},
		})
		require.NoError(t, json.Unmarshal([]byte(text), &token), "%s", text)
		return token.ID
	}
	assert.Empty(t, exchange(verifier+"x"), "another program gets the token")
	token := exchange(verifier)
	require.NotEmpty(t, token)
	return token
}

var claims = regexp.MustCompile(`^([^.]+)\.([^.]+)\.([^.]+)$`)

// strangersAreRefused changes what a member's token says, and shows others' tokens.
func (s *suite) strangersAreRefused(ctx context.Context, t *testing.T) {
	_, token := s.signInToArgoCD(ctx, t, s.member(t, otherMember))
	require.Equal(t, http.StatusOK, s.withToken(token).ask(ctx, t, http.MethodGet, "/applications", "").code)
	parts := claims.FindStringSubmatch(token)
	require.NotNil(t, parts)
	payload, err := base64.RawURLEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	var said map[string]any
	require.NoError(t, json.Unmarshal(payload, &said))
	group := config.Default().Forge.Organization + ":tenant-" + other
	require.Contains(t, said["groups"], group)
	said["groups"] = []string{config.Default().Forge.Organization + ":owners", "admin", "role:admin"}
	payload, err = json.Marshal(said)
	require.NoError(t, err)
	forged := base64.RawURLEncoding.EncodeToString(payload)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, shown := range map[string]string{
		"no token":                             "",
		"a token with other groups":            parts[1] + "." + forged + "." + parts[3],
		"a token that nobody signed":           none + "." + forged + ".",
		"a token for the portal":               s.visit(ctx, t, s.member(t, otherMember)).Token,
		"the forge's token for somebody's API": s.visit(ctx, t, s.member(t, otherMember)).ForgeToken,
	} {
		got := s.withToken(shown).ask(ctx, t, http.MethodGet, "/applications", "")
		assert.Equal(t, http.StatusUnauthorized, got.code, "%s: %s", name, got.body)
	}
	at := s.outputs.ForgeURL + "/login/oauth/authorize?" + url.Values{
		"client_id": {clientOf(t, said)}, "redirect_uri": {"https://elsewhere.example.org/auth/callback"}, "response_type": {"code"},
	}.Encode()
	v := s.browse(ctx, t, s.member(t, otherMember))
	v.Client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		assert.NotEqual(t, "elsewhere.example.org", r.URL.Hostname(), "the forge sends codes anywhere")
		return nil
	}
	assert.Contains(t, v.read(ctx, t, http.MethodGet, at, nil), "Unregistered Redirect URI")
}

// clientOf is for whom a token is.
func clientOf(t *testing.T, said map[string]any) string {
	t.Helper()
	switch audience := said["aud"].(type) {
	case string:
		return audience
	case []any:
		require.Len(t, audience, 1)
		return audience[0].(string)
	}
	require.Fail(t, "a token for nobody")
	return ""
}

// only is the one project that somebody sees.
func only(seen map[string]int) string {
	if len(seen) == 1 {
		for project := range seen {
			return project
		}
	}
	return ""
}
