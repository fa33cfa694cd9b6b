package portalapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// double is a forge and a portal at one address. Its fields are what it says.
type double struct {
	t *testing.T
	// granted is whether the person has let the portal in before.
	granted bool
	message string
	// created is the answer to a form, outcome the events of its task.
	created int
	outcome string
	asked   map[string]any
	looks   int
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	end := func() {
		fmt.Fprintf(w, "<script>decodeURIComponent('%s')</script>", url.PathEscape(d.message))
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /user/login":
	case "POST /user/login":
		if r.FormValue("user_name") == "anna" && r.FormValue("password") == "secret" {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Path: "/"})
		}
	case "GET /api/auth/gitea/start":
		if _, err := r.Cookie("session"); err != nil {
			fmt.Fprint(w, "<h1>Sign in</h1>")
			return
		}
		if d.granted {
			end()
			return
		}
		fmt.Fprint(w, `<form action="/login/oauth/grant"><input type="hidden" name="state" value="a&amp;b"></form>`)
	case "POST /login/oauth/grant":
		if _, err := r.Cookie("session"); err != nil {
			fmt.Fprint(w, "<h1>Sign in</h1>")
			return
		}
		assert.Equal(d.t, "a&b", r.FormValue("state"))
		assert.Equal(d.t, "true", r.FormValue("granted"))
		end()
	case "POST /api/scaffolder/v2/tasks":
		assert.Equal(d.t, "Bearer portals", r.Header.Get("Authorization"))
		assert.NoError(d.t, json.NewDecoder(r.Body).Decode(&d.asked))
		w.WriteHeader(d.created)
		io.WriteString(w, `{"id":"7"}`)
	case "GET /api/scaffolder/v2/tasks/7":
		d.looks++
		io.WriteString(w, map[bool]string{true: `{"status":"processing"}`, false: `{"status":"completed"}`}[d.looks < 3])
	case "GET /api/scaffolder/v2/tasks/7/events":
		io.WriteString(w, d.outcome)
	default:
		assert.Fail(d.t, "not asked for", r.URL.Path)
	}
}

const welcome = `{"response":{"providerInfo":{"accessToken":"forges"},"backstageIdentity":{"token":"portals","identity":{"ownershipEntityRefs":["group:default/default"]}}}}`

func serve(t *testing.T, d *double) string {
	t.Helper()
	d.t = t
	s := httptest.NewServer(d)
	t.Cleanup(s.Close)
	return s.URL
}

func TestSigningInLeadsThroughTheForge(t *testing.T) {
	for _, granted := range []bool{false, true} {
		at := serve(t, &double{granted: granted, message: welcome})
		s, err := SignIn(t.Context(), at, at, "", "anna", "secret")
		require.NoError(t, err)
		assert.Equal(t, []string{"portals", "forges"}, []string{s.Token, s.ForgeToken})
		assert.Equal(t, []string{"group:default/default"}, s.Groups)
	}
}

func TestWhoIsNotLetInIsTold(t *testing.T) {
	for name, test := range map[string]struct{ password, message, want string }{
		"a wrong password": {"guessed", welcome, "is that account's password right"},
		"no member":        {"secret", `{"error":{"message":"anna is no member of a tenant"}}`, "anna is no member of a tenant"},
		"no token":         {"secret", `{}`, "gave no token"},
		"no message":       {"secret", `{`, "the portal's last page"},
	} {
		t.Run(name, func(t *testing.T) {
			at := serve(t, &double{granted: true, message: test.message})
			_, err := SignIn(t.Context(), at, at, "", "anna", test.password)
			require.ErrorContains(t, err, "sign in to the portal as anna: ")
			assert.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), test.password)
		})
	}
}

func TestAFormLeadsToAPullRequest(t *testing.T) {
	d := &double{granted: true, created: http.StatusCreated,
		message: welcome, outcome: `[{"type":"log"},{"type":"completion","body":{"output":{"links":[{"url":"https://forge/pulls/3"}]}}}]`}
	at := serve(t, d)
	s, err := SignIn(t.Context(), at, at, "", "anna", "secret")
	require.NoError(t, err)
	page, err := s.Submit(t.Context(), AskTemplate, map[string]any{"name": "iris"})
	require.NoError(t, err)
	assert.Equal(t, "https://forge/pulls/3", page)
	assert.Equal(t, map[string]any{
		"templateRef": "template:default/kserve-model-endpoint", "values": map[string]any{"name": "iris"}, "secrets": map[string]any{"FORGE_TOKEN": "forges"},
	}, d.asked)
	assert.Equal(t, 3, d.looks, "it did not wait for the end")
}

func TestAFormThatLeadsNowhereSaysWhy(t *testing.T) {
	for name, test := range map[string]struct {
		created int
		outcome string
		want    RefusedError
	}{
		"not taken":  {http.StatusBadRequest, "", RefusedError{Status: http.StatusBadRequest, Text: `{"id":"7"}`}},
		"failed":     {http.StatusCreated, `[{"type":"completion","body":{"error":{"message":"iris is taken"}}}]`, RefusedError{Text: "iris is taken"}},
		"without it": {http.StatusCreated, `[{"type":"completion","body":{}}]`, RefusedError{Text: "its task does not say why"}},
	} {
		t.Run(name, func(t *testing.T) {
			at := serve(t, &double{created: test.created, outcome: test.outcome})
			s := &Session{Browser: &Browser{Client: &http.Client{Timeout: time.Minute}}, Portal: at, Token: "portals"}
			_, err := s.Submit(t.Context(), AskTemplate, nil)
			var refused *RefusedError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, test.want, *refused)
			assert.True(t, strings.HasPrefix(err.Error(), "the portal "), err)
		})
	}
}
