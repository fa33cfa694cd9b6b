package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/portalapi"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// visitor is somebody who has signed in to the portal.
type visitor struct{ *portalapi.Session }

// visit signs somebody in to the portal.
func (s *suite) visit(ctx context.Context, t *testing.T, by person) *visitor {
	t.Helper()
	session, err := portalapi.SignIn(ctx, s.outputs.PortalURL, s.outputs.ForgeURL, s.outputs.Authority, by.name, by.password)
	require.NoError(t, err)
	return &visitor{session}
}

// ask calls the portal's API, and decodes its answer into out unless that is nil.
func (v *visitor) ask(ctx context.Context, t *testing.T, method, at, body string, out any) int {
	t.Helper()
	status, text, err := v.Ask(ctx, method, at, []byte(body))
	require.NoError(t, err)
	if out != nil && status < http.StatusBadRequest {
		require.NoError(t, json.Unmarshal(text, out), "%s", text)
	}
	return status
}

// propose submits the form that asks for an endpoint.
func (v *visitor) propose(ctx context.Context, t *testing.T, tenant, name string) (page, refused string) {
	t.Helper()
	return v.submit(ctx, t, portalapi.AskTemplate, map[string]any{
		"tenant": tenant, "name": name, "modelFormat": "sklearn", "size": "small", "minReplicas": 1, "maxReplicas": 2,
		"storageUri": "gs://kfserving-examples/models/sklearn/1.0/model",
	})
}

// submit fills in a form and returns the pull request's URL, or why there is none.
func (v *visitor) submit(ctx context.Context, t *testing.T, template string, values map[string]any) (page, refused string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	page, err := v.Submit(ctx, template, values)
	var no *portalapi.RefusedError
	switch {
	case errors.As(err, &no) && no.Status != 0:
		return "", strconv.Itoa(no.Status)
	case errors.As(err, &no):
		return "", no.Text
	}
	require.NoError(t, err)
	return page, ""
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
	assert.Contains(t, v.Groups, "group:default/default")

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
		stranger := &visitor{&portalapi.Session{Browser: v.Browser, Portal: v.Portal}}
		assert.Equal(t, http.StatusUnauthorized, stranger.ask(ctx, t, method, at, "{}", nil), "who has not signed in gets %s", at)
		elsewhere := strings.Replace(at, "/default/", "/kube-system/", 1)
		assert.Equal(t, http.StatusBadRequest, v.ask(ctx, t, method, elsewhere, "{}", nil), "a member gets %s", elsewhere)
	}
}
