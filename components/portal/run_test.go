package portal

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
	"github.com/neuroscale-platform/neuroscale/internal/logtest"
	"github.com/neuroscale-platform/neuroscale/internal/portalapi"
)

// builtPortal has the folder of a portal as the image has it at /app; without it nothing
// is run. NEUROSCALE_NODE is Node of its version, if that is not the one in PATH.
const builtPortal = "NEUROSCALE_PORTAL"

// startPatience is for a busy machine: it takes seconds.
const startPatience = 4 * time.Minute

// running is a portal that was started on loopback, with a GitHub of the test.
type running struct {
	url  string
	hub  *githubtest.Server
	repo *githubtest.Repository
	said logtest.Log
}

// run starts the built portal with the configuration that the program writes, but for
// addresses and folders.
func run(t *testing.T) *running {
	t.Helper()
	app := os.Getenv(builtPortal)
	if app == "" {
		t.Skip(builtPortal + " names no built portal")
	}
	node := os.Getenv("NEUROSCALE_NODE")
	if node == "" {
		node = "node"
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().(*net.TCPAddr)
	require.NoError(t, free.Close())

	p := &running{url: "http://" + address.String(), hub: githubtest.New(t, "acme")}
	p.repo = p.hub.Repository("endpoints", githubtest.Files{"README.md": {Content: "endpoints"}, "apps/old/a.yaml": {Content: "old"}})
	p.hub.OAuthApp("Ov23liABC", "the-apps-secret", p.url+config.SignInPath(config.ForgeGitHub))

	c := onGitHub()
	c.TLS.HTTP = []string{config.ServerPortal}
	a, err := newAppConfig(c, nothing, nil)
	require.NoError(t, err)
	text, err := a.encode()
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, content string) string {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o700))
		require.NoError(t, os.WriteFile(at, []byte(content), 0o600))
		return at
	}
	for name, content := range a.skeleton {
		write(filepath.Join("skeleton", name), content)
	}
	here, err := yaml.Marshal(map[string]any{
		"backend": map[string]any{
			"listen":   map[string]any{"host": "127.0.0.1", "port": address.Port},
			"database": map[string]any{"connection": map[string]any{"directory": dir}},
		},
		"catalog": map[string]any{"locations": []any{map[string]any{
			"type": "file", "target": write("templates.yaml", text["templates.yaml"]), "rules": []any{map[string]any{"allow": []any{"Template"}}},
		}}},
		"neuroscale": map[string]any{"skeleton": filepath.Join(dir, "skeleton")},
		"auth": map[string]any{"providers": map[string]any{"github": map[string]any{"production": map[string]any{
			"enterpriseInstanceUrl": p.hub.URL,
		}}}},
	})
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, node, "packages/backend", "--config", "app-config.yaml",
		"--config", write("app-config.yaml", text["app-config.yaml"]), "--config", write("here.yaml", string(here)))
	command.Dir, command.Stdout, command.Stderr = app, &p.said, &p.said
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "NODE_ENV=production",
		"PORTAL_URL=" + p.url, "FORGE_URL=https://github.com", "FORGE_INTERNAL_URL=" + p.hub.URL + "/api/v3",
		"FORGE_CLIENT_ID=Ov23liABC", "FORGE_CLIENT_SECRET=the-apps-secret", "SESSION_SECRET=nobody-knows-it", "VERIFY_TOKEN=nobody-verifies",
		"GATEWAY_URL=http://127.0.0.1:1", "GATEWAY_INTERNAL_URL=http://127.0.0.1:1", "PLATFORM_KEY=",
	}
	began := time.Now()
	require.NoError(t, command.Start())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Log(p.said.String())
		}
	})
	require.Eventually(t, func() bool {
		select {
		case err := <-ended:
			ended <- err
			return true
		default:
			// It stays for a while after that.
			return strings.Contains(p.said.String(), "startup failed") || p.answers("/.backstage/health/v1/readiness")
		}
	}, startPatience, 200*time.Millisecond)
	require.True(t, p.answers("/.backstage/health/v1/readiness"), "it ended: %s", p.said.String())
	t.Logf("the portal is ready after %.1f s", time.Since(began).Seconds())
	return p
}

func (p *running) answers(at string) bool {
	response, err := http.Get(p.url + at)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// signIn is a browser's whole way from the portal to GitHub and back.
func (p *running) signIn(t *testing.T, login string, may githubtest.Permissions) (*portalapi.Session, error) {
	t.Helper()
	p.hub.SignedIn(login, may)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &portalapi.Browser{Client: &http.Client{Jar: jar, Timeout: time.Minute}, Forge: p.hub.URL}
	return browser.SignIn(t.Context(), p.url, config.ForgeGitHub)
}

func (p *running) member(t *testing.T, login string, may githubtest.Permissions) *portalapi.Session {
	t.Helper()
	var s *portalapi.Session
	// The catalog has people some seconds after the portal answers.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		s, err = p.signIn(t, login, may)
		require.NoError(c, err)
	}, startPatience, time.Second)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for _, form := range []string{CreateForm, ChangeForm, RemoveForm} {
			status, _, err := s.Ask(t.Context(), http.MethodGet, "/api/catalog/entities/by-name/template/default/"+form, nil)
			require.NoError(c, err)
			assert.Equal(c, http.StatusOK, status)
		}
	}, startPatience, time.Second)
	return s
}

func asks(name string) map[string]any {
	return map[string]any{
		"tenant": "default", "name": name, "modelFormat": "sklearn", "storageUri": "gs://kfserving-examples/models/sklearn/1.0/model",
		"size": "small", "minReplicas": 0, "maxReplicas": 2,
	}
}

// Named in docs/github.md: what runs of the portal with GitHub for the forge.
func TestTheBuiltPortalSignsPeopleInByGitHubAndProposesAsThem(t *testing.T) {
	p := run(t)
	began := time.Now()
	const (
		pull    = "https://github.com/acme/endpoints/pull/"
		service = "apps/iris/inference-service.yaml"
	)
	writes := githubtest.Permissions{"contents": "write", "pull_requests": "write"}

	// GitHub writes the name as its owner does, the settings in small letters.
	anna := p.member(t, "Anna", writes)
	assert.Equal(t, []string{"user:default/anna", "group:default/default"}, anna.Groups)
	url, err := anna.Submit(t.Context(), CreateForm, asks("iris"))
	require.NoError(t, err)
	assert.Equal(t, pull+"1", url)
	made := p.repo.Pulls()
	require.Len(t, made, 1)
	assert.Equal(t, "acme:Anna/endpoint/iris", made[0].From)
	assert.Equal(t, "Add iris", made[0].Title)
	assert.Contains(t, made[0].Body, "iris costs 0.00 to ")
	assert.NotEmpty(t, made[0].Files[service].Content)
	assert.Equal(t, "old", made[0].Files["apps/old/a.yaml"].Content, "it takes what is there away")
	again, err := anna.Submit(t.Context(), CreateForm, asks("iris"))
	require.NoError(t, err)
	assert.Equal(t, url, again, "a second pull request of the same")

	p.repo.Commit("m1", githubtest.Files{service: made[0].Files[service]})
	url, err = anna.Submit(t.Context(), ChangeForm, map[string]any{"tenant": "default", "name": "iris", "maxReplicas": 3})
	require.NoError(t, err)
	assert.Equal(t, pull+"2", url)
	changed := p.repo.Pulls()[1]
	assert.Equal(t, "acme:Anna/change/iris", changed.From)
	assert.Equal(t, []string{"m1"}, changed.Onto)
	assert.NotEqual(t, made[0].Files[service].Content, changed.Files[service].Content)

	url, err = anna.Submit(t.Context(), RemoveForm, map[string]any{"tenant": "default", "name": "old"})
	require.NoError(t, err)
	assert.Equal(t, pull+"3", url)
	assert.NotContains(t, p.repo.Pulls()[2].Files, "apps/old/a.yaml")

	bob := p.member(t, "bob", githubtest.Permissions{"contents": "read", "pull_requests": "write"})
	url, err = bob.Submit(t.Context(), CreateForm, asks("of-bob"))
	require.NoError(t, err)
	assert.Equal(t, pull+"4", url)
	assert.Equal(t, "bob:bob/endpoint/of-bob", p.repo.Pulls()[3].From)

	p.hub.Limit(1, "POST /repos/acme/endpoints/git/trees", time.Now().Add(time.Hour), 0)
	_, err = anna.Submit(t.Context(), CreateForm, asks("limited"))
	require.ErrorContains(t, err, "GitHub takes no more requests of yours until ")
	retried(t, anna)
	assert.Equal(t, "acme:Anna/endpoint/limited", p.repo.Pulls()[4].From)

	_, err = p.signIn(t, "eve", writes)
	require.ErrorContains(t, err, "eve is a member of no tenant")
	_, err = p.signIn(t, "", nil)
	require.Error(t, err, "somebody who gave no leave is in")
	p.hub.Fail("POST /login/oauth/access_token", http.StatusBadGateway)
	_, err = p.signIn(t, "Anna", writes)
	require.Error(t, err)
	t.Logf("a sign-in while GitHub fails: %v", err)
	_, err = p.signIn(t, "Anna", writes)
	require.NoError(t, err, "one failure is for ever")

	p.hub.Revoke(anna.ForgeToken)
	_, err = anna.Submit(t.Context(), CreateForm, asks("too-late"))
	require.ErrorContains(t, err, "GitHub does not know you any more")
	for _, secret := range []string{anna.ForgeToken, bob.ForgeToken, "the-apps-secret"} {
		assert.NotContains(t, p.said.String(), secret, "it is in the log")
	}
	t.Logf("all of it took %.1f s", time.Since(began).Seconds())
}

// retried starts a person's last task again, as the button does, with the token of the
// session that goes on.
func retried(t *testing.T, s *portalapi.Session) {
	t.Helper()
	get := func(at string, into any) {
		_, text, err := s.Ask(t.Context(), http.MethodGet, at, nil)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, into), string(text))
	}
	var list struct {
		Tasks []struct{ ID, Status string } `json:"tasks"`
	}
	get("/api/scaffolder/v2/tasks?order=desc:created_at", &list)
	require.NotEmpty(t, list.Tasks)
	task := "/api/scaffolder/v2/tasks/" + list.Tasks[0].ID
	require.Equal(t, "failed", list.Tasks[0].Status)
	status, text, err := s.Ask(t.Context(), http.MethodPost, task+"/retry", fmt.Appendf(nil, `{"secrets":{"FORGE_TOKEN":%q}}`, s.ForgeToken))
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, status, string(text))
	require.Eventually(t, func() bool {
		var state struct{ Status string }
		get(task, &state)
		return state.Status == "completed"
	}, time.Minute, 200*time.Millisecond)
}
