package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// visitor is a browser of somebody who has signed in to the portal.
type visitor struct {
	client *http.Client
	portal string
	// token is the portal's for this person, forge the forge's.
	token, forge string
	groups       []string
}

var (
	hiddenFields = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	// signedIn is what the portal tells the page that opened the sign-in.
	signedIn = regexp.MustCompile(`decodeURIComponent\('([^']+)'\)`)
)

// visit signs somebody in to the portal by the forge's pages, as a browser does.
func (s *suite) visit(ctx context.Context, t *testing.T, by person) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	v := &visitor{portal: s.outputs.PortalURL, client: predict.NewClient(time.Minute, s.outputs.Authority)}
	v.client.Jar = jar
	v.read(ctx, t, http.MethodGet, s.outputs.ForgeURL+"/user/login", nil)
	v.read(ctx, t, http.MethodPost, s.outputs.ForgeURL+"/user/login", url.Values{"user_name": {by.name}, "password": {by.password}})
	page := v.read(ctx, t, http.MethodGet, v.portal+"/api/auth/gitea/start?env=production&origin="+url.QueryEscape(v.portal), nil)
	if !signedIn.MatchString(page) {
		// The forge asks the first time.
		form := url.Values{"granted": {"true"}}
		for _, field := range hiddenFields.FindAllStringSubmatch(page, -1) {
			form.Set(field[1], html.UnescapeString(field[2]))
		}
		page = v.read(ctx, t, http.MethodPost, s.outputs.ForgeURL+"/login/oauth/grant", form)
	}
	found := signedIn.FindStringSubmatch(page)
	require.NotNil(t, found, "%s is not signed in", by.name)
	text, err := url.PathUnescape(found[1])
	require.NoError(t, err)
	var message struct {
		Error    any `json:"error"`
		Response struct {
			ProviderInfo struct {
				AccessToken string `json:"accessToken"`
			} `json:"providerInfo"`
			BackstageIdentity struct {
				Token    string `json:"token"`
				Identity struct {
					OwnershipEntityRefs []string `json:"ownershipEntityRefs"`
				} `json:"identity"`
			} `json:"backstageIdentity"`
		} `json:"response"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &message))
	require.Nil(t, message.Error)
	v.token, v.forge = message.Response.BackstageIdentity.Token, message.Response.ProviderInfo.AccessToken
	v.groups = message.Response.BackstageIdentity.Identity.OwnershipEntityRefs
	require.NotEmpty(t, v.token)
	return v
}

// read returns a page, with a form if there is one.
func (v *visitor) read(ctx context.Context, t *testing.T, method, at string, form url.Values) string {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := v.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text)
}

// ask calls the portal's API, and decodes its answer into out unless that is nil.
func (v *visitor) ask(ctx context.Context, t *testing.T, method, at, body string, out any) int {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, v.portal+at, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+v.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := v.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	if out != nil && response.StatusCode < http.StatusBadRequest {
		require.NoError(t, json.Unmarshal(text, out), "%s", text)
	}
	return response.StatusCode
}

// propose submits the form that asks for an endpoint.
func (v *visitor) propose(ctx context.Context, t *testing.T, tenant, name string) (page, refused string) {
	t.Helper()
	return v.submit(ctx, t, "kserve-model-endpoint", map[string]any{
		"tenant": tenant, "name": name, "modelFormat": "sklearn", "size": "small", "minReplicas": 1, "maxReplicas": 2,
		"storageUri": "gs://kfserving-examples/models/sklearn/1.0/model",
	})
}

// submit fills in a form, waits for its end and returns the pull request's URL, or why
// there is none.
func (v *visitor) submit(ctx context.Context, t *testing.T, template string, values map[string]any) (page, refused string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"templateRef": "template:default/" + template, "values": values, "secrets": map[string]string{"FORGE_TOKEN": v.forge},
	})
	require.NoError(t, err)
	var task struct {
		ID string `json:"id"`
	}
	if code := v.ask(ctx, t, http.MethodPost, "/api/scaffolder/v2/tasks", string(body), &task); code != http.StatusCreated {
		return "", fmt.Sprint(code)
	}
	require.Eventually(t, func() bool {
		var state struct{ Status string }
		v.ask(ctx, t, http.MethodGet, "/api/scaffolder/v2/tasks/"+task.ID, "", &state)
		return state.Status == "completed" || state.Status == "failed"
	}, time.Minute, 200*time.Millisecond)
	var events []struct {
		Type string `json:"type"`
		Body struct {
			Error  struct{ Message string }
			Output struct{ Links []struct{ URL string } }
		} `json:"body"`
	}
	v.ask(ctx, t, http.MethodGet, "/api/scaffolder/v2/tasks/"+task.ID+"/events", "", &events)
	for _, event := range events {
		if event.Type == "completion" && len(event.Body.Output.Links) > 0 {
			page = event.Body.Output.Links[0].URL
		}
		if event.Type == "completion" {
			refused = event.Body.Error.Message
		}
	}
	return page, refused
}

// examples is the name of the first tenant's repository.
func (s *suite) examples() string {
	return path.Base(strings.TrimSuffix(s.outputs.Repository, ".git"))
}

// portalProposes has a member ask for an endpoint in the portal, and merges it.
func (s *suite) portalProposes(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	const name = "portal-iris"
	by := s.member(t, scientist)
	v := s.visit(ctx, t, by)
	assert.Contains(t, v.groups, "group:default/default")

	_, refused := v.propose(ctx, t, "nobodys", name)
	assert.Equal(t, "400", refused)
	_, refused = v.propose(ctx, t, "default", "../"+name)
	assert.Equal(t, "400", refused)
	_, refused = v.propose(ctx, t, "default", example)
	assert.Contains(t, refused, "is taken")

	page, refused := v.propose(ctx, t, "default", name)
	require.NotEmpty(t, page, refused)
	again, _ := v.propose(ctx, t, "default", name)
	assert.Equal(t, page, again, "a second pull request for the same")
	repository := repositoryAt(s.examples())
	pull := s.askForge(ctx, t, by, http.MethodGet, repository+"/pulls/"+path.Base(page), "")
	assert.Contains(t, pull.body, `"login":"`+scientist+`"`, "the history does not say who asked")
	merge := func(page string) {
		t.Helper()
		number, err := strconv.Atoi(path.Base(page))
		require.NoError(t, err)
		s.mergePull(ctx, t, by, s.examples(), number)
	}
	merge(page)
	s.awaitAnswer(ctx, t, name, strings.Replace(s.hostOf(t, example), example, name, 1))
	require.Eventually(t, func() bool {
		return v.ask(ctx, t, http.MethodGet, "/api/catalog/entities/by-name/component/default/"+name, "", nil) == http.StatusOK
	}, 30*time.Second, time.Second, "what was merged is not in the catalog")
	s.pageShows(ctx, t, v, name)

	change := map[string]any{"tenant": "default", "name": name, "maxReplicas": 2}
	_, refused = v.submit(ctx, t, "change-endpoint", change)
	assert.Contains(t, refused, "Nothing would change")
	change["maxReplicas"] = 3
	page, refused = v.submit(ctx, t, "change-endpoint", change)
	require.NotEmpty(t, page, refused)
	diff := s.askForge(ctx, t, by, http.MethodGet, repository+"/pulls/"+path.Base(page)+".diff", "").body
	assert.Contains(t, diff, "-    maxReplicas: 2\n+    maxReplicas: 3\n")
	assert.Equal(t, 1, strings.Count(diff, "\n@@ "), "more than that is changed: %s", diff)
	merge(page)
	require.Eventually(t, func() bool {
		return v.facts(ctx, t, name).Model.MaxReplicas == 3
	}, time.Minute, time.Second, "what was merged is not what runs")
	_, refused = v.submit(ctx, t, "change-endpoint", map[string]any{"tenant": "default", "name": example, "maxReplicas": 3})
	assert.Contains(t, refused, "by hand", "what somebody wrote is lost")

	_, refused = v.submit(ctx, t, "remove-endpoint", map[string]any{"tenant": "default", "name": "no-such"})
	assert.Contains(t, refused, name, "it does not say which there are")
	page, refused = v.submit(ctx, t, "remove-endpoint", map[string]any{"tenant": "default", "name": name})
	require.NotEmpty(t, page, refused)
	merge(page)
	require.Eventually(t, func() bool {
		return v.ask(ctx, t, http.MethodGet, "/api/catalog/entities/by-name/component/default/"+name, "", nil) == http.StatusNotFound
	}, 2*time.Minute, time.Second, "what was removed is still in the catalog")
}

// facts is what the page of an endpoint shows.
type facts struct {
	Well     bool                      `json:"well"`
	Revision string                    `json:"revision"`
	Replicas string                    `json:"replicas"`
	Delivery struct{ Well bool }       `json:"delivery"`
	Model    struct{ MaxReplicas int } `json:"model"`
	Use      struct{ Curl string }     `json:"use"`
	Example  string                    `json:"example"`
}

func (v *visitor) facts(ctx context.Context, t *testing.T, name string) (f facts) {
	t.Helper()
	require.Equal(t, http.StatusOK, v.ask(ctx, t, http.MethodGet, "/api/endpoints/default/"+name, "", &f))
	return f
}

// pageShows has a member look at an endpoint's page and try it, and others fail to.
func (s *suite) pageShows(ctx context.Context, t *testing.T, v *visitor, name string) {
	t.Helper()
	var f facts
	require.Eventually(t, func() bool {
		f = v.facts(ctx, t, name)
		return f.Well && f.Delivery.Well
	}, time.Minute, time.Second, "its page does not say that it is well")
	assert.Contains(t, f.Revision, name+"-predictor-")
	assert.Equal(t, "1 of 1 to 2", f.Replicas)
	assert.Contains(t, f.Use.Curl, "/v1/models/"+name+":predict")

	var answer struct {
		Status       int
		Body         string
		Milliseconds float64
	}
	require.Equal(t, http.StatusOK, v.ask(ctx, t, http.MethodPost, "/api/endpoints/default/"+name+"/predict", f.Example, &answer))
	assert.Equal(t, http.StatusOK, answer.Status)
	assert.NoError(t, predict.Answer{Body: answer.Body}.IsExample())
	assert.Positive(t, answer.Milliseconds)

	for _, at := range []string{"/api/endpoints/default/" + name, "/api/endpoints/default/" + name + "/predict"} {
		method := http.MethodGet
		if strings.HasSuffix(at, "/predict") {
			method = http.MethodPost
		}
		stranger := &visitor{client: v.client, portal: v.portal}
		assert.Equal(t, http.StatusUnauthorized, stranger.ask(ctx, t, method, at, "{}", nil), "who has not signed in gets %s", at)
		elsewhere := strings.Replace(at, "/default/", "/kube-system/", 1)
		assert.Equal(t, http.StatusBadRequest, v.ask(ctx, t, method, elsewhere, "{}", nil), "a member gets %s", elsewhere)
	}
}
