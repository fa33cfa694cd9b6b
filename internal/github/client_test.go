package github_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	api "github.com/google/go-github/v75/github"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/forgeapi"
	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
)

func newClient(t *testing.T, url string, token *string) *api.Client {
	t.Helper()
	c, err := github.NewClient(github.Access{URL: url, Token: func() (string, error) { return *token, nil }, Patience: 3 * time.Second})
	require.NoError(t, err)
	return c
}

func main(ctx context.Context, c *api.Client) (string, error) {
	ref, _, err := c.Git.GetRef(ctx, "acme", "endpoints", "heads/main")
	return ref.GetObject().GetSHA(), err
}

func TestWhatIsTheSameIsNotCounted(t *testing.T) {
	s := githubtest.New(t, "acme")
	s.Grant("one", "guard", nil)
	r := s.Repository("endpoints", githubtest.Files{"a": {Content: "a"}})
	token := "one"
	c := newClient(t, s.URL, &token)
	for range 5 {
		sha, err := main(t.Context(), c)
		require.NoError(t, err)
		assert.Equal(t, "m0", sha)
	}
	assert.Equal(t, 1, s.Counted())
	r.Commit("m1", githubtest.Files{"b": {Content: "b"}})
	sha, err := main(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, "m1", sha, "what has changed is taken for what it was")
	assert.Equal(t, 2, s.Counted())
}

// What one token may see another may not.
func TestAnotherTokenSeesForItself(t *testing.T) {
	s := githubtest.New(t, "acme")
	s.Grant("one", "guard", nil)
	s.Grant("two", "guard", githubtest.Permissions{})
	s.Repository("endpoints", nil)
	token := "one"
	c := newClient(t, s.URL, &token)
	_, err := main(t.Context(), c)
	require.NoError(t, err)
	token = "two"
	_, err = main(t.Context(), c)
	require.ErrorContains(t, github.Explain(err), "the token has not the permission contents=read")
	token = "gone"
	_, err = main(t.Context(), c)
	require.ErrorContains(t, github.Explain(err), "GitHub does not know the token (Bad credentials): it is wrong, was revoked or has expired")
	assert.NotContains(t, err.Error(), "gone")
}

func TestATokenIsToldToNobodyElse(t *testing.T) {
	var told []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		told = append(told, q.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close)
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusMovedPermanently)
	}))
	t.Cleanup(hub.Close)
	token := "secret"
	_, err := main(t.Context(), newClient(t, hub.URL, &token))
	require.ErrorContains(t, err, "is not told the token")
	assert.Empty(t, told)
}

func TestALimitIsWaitedForIfItIsNotLong(t *testing.T) {
	s := githubtest.New(t, "acme")
	s.Grant("one", "guard", nil)
	s.Repository("endpoints", nil)
	token := "one"
	c := newClient(t, s.URL, &token)
	s.Limit(1, "GET", time.Time{}, 2*time.Second)
	started := time.Now()
	_, err := main(t.Context(), c)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(started), 2*time.Second)

	until := time.Now().Add(time.Hour)
	s.Limit(1, "GET", until, 0)
	_, err = main(t.Context(), c)
	var limited *forgeapi.Limited
	require.ErrorAs(t, github.Explain(err), &limited)
	assert.WithinDuration(t, until, limited.Until, 2*time.Second)
	asked := len(s.Requests())
	_, err = main(t.Context(), c)
	require.ErrorAs(t, err, &limited)
	assert.Len(t, s.Requests(), asked, "GitHub is asked while it wants to be left alone")
}

func TestAnErrorSaysWhatWouldHelp(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   string
	}{
		"a private repository": {404, nil, `{"message":"Not Found"}`, "/repos/acme/endpoints/git/ref/heads/main is not there, or the token does not see it"},
		"single sign-on":       {403, map[string]string{"X-GitHub-SSO": "required; url=https://github.com/orgs/acme/sso?x"}, `{"message":"Resource protected by organization SAML enforcement."}`, "allow it at https://github.com/orgs/acme/sso?x"},
		"a classic token":      {403, map[string]string{"X-Accepted-OAuth-Scopes": "repo", "X-OAuth-Scopes": "gist"}, `{"message":"no"}`, "the token has not the scope repo, it has gist (no): give it that"},
		"what it does not take": {422, nil, `{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for acme:x."}]}`,
			"GitHub does not take it: Validation Failed, A pull request already exists for acme:x."},
	} {
		t.Run(name, func(t *testing.T) {
			hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range test.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			t.Cleanup(hub.Close)
			token := "secret"
			_, err := main(t.Context(), newClient(t, hub.URL, &token))
			require.Error(t, err)
			require.ErrorContains(t, github.Explain(err), test.want)
			assert.NotContains(t, github.Explain(err).Error(), "secret")
		})
	}
}

func TestAURLThatIsNoneIsSaid(t *testing.T) {
	_, err := github.NewClient(github.Access{URL: "api.github.com"})
	require.ErrorContains(t, err, `the URL of GitHub's API is "api.github.com": it is such as https://api.github.com`)
}
