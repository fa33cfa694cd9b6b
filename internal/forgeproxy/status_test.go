package forgeproxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnlyTheGuardSetsStatuses(t *testing.T) {
	const at = "/api/v1/repos/neuroscale/endpoints/statuses/c0ffee"
	for name, test := range map[string]struct {
		method, at, token string
		passes            bool
	}{
		"the guard":                           {http.MethodPost, at, "guard", true},
		"a merger":                            {http.MethodPost, at, "anna", false},
		"a merger who is called like it":      {http.MethodPost, at, "guardian", false},
		"nobody":                              {http.MethodPost, at, "", false},
		"a token that may not say whose":      {http.MethodPost, at, "scoped", false},
		"a path with //":                      {http.MethodPost, "//api/v1//repos/neuroscale/endpoints///statuses/c0ffee", "anna", false},
		"a path with / at its end":            {http.MethodPost, at + "/", "anna", false},
		"an escaped path":                     {http.MethodPost, "/api/v1/repos/neuroscale/endpoints/%73tatuses/c0ffee", "anna", false},
		"an escaped slash":                    {http.MethodPost, "/api/v1/repos/neuroscale/endpoints%2Fstatuses/c0ffee", "anna", false},
		"a path in capitals":                  {http.MethodPost, "/API/v1/repos/neuroscale/endpoints/Statuses/c0ffee", "anna", false},
		"another method":                      {http.MethodPut, at, "anna", false},
		"who reads one":                       {http.MethodGet, at, "anna", true},
		"who merges":                          {http.MethodPost, "/api/v1/repos/neuroscale/endpoints/pulls/1/merge", "anna", true},
		"a repository that is called like it": {http.MethodPost, "/api/v1/repos/neuroscale/statuses/issues", "anna", true},
		"a push to one":                       {http.MethodPost, "/neuroscale/statuses.git/git-receive-pack", "anna", true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.gitea.tokens = map[string]string{"guard": "guard", "anna": "anna", "guardian": "guardian"}
			r, err := http.NewRequestWithContext(t.Context(), test.method, f.URL+test.at, nil)
			require.NoError(t, err)
			if test.token != "" {
				r.Header.Set("Authorization", "token "+test.token)
			}
			answer := f.send(t, r)
			assert.Equal(t, test.passes, answer.StatusCode != http.StatusForbidden, answer.Status)
			if !test.passes {
				assert.Equal(t, "/api/v1/user", f.gitea.seen.URL.Path, "Gitea was sent the status")
			}
		})
	}
}

func TestNobodySetsStatusesWhileGiteaDoesNotSayWhoAsks(t *testing.T) {
	f := newFront(t)
	f.gitea.down.Store(true)
	r := httptest.NewRequest(http.MethodPost, f.URL+"/api/v1/repos/o/r/statuses/c", nil)
	r.RequestURI = ""
	r.Header.Set("Authorization", "token guard")
	assert.Equal(t, http.StatusForbidden, f.send(t, r).StatusCode)
}

// whoami answers like Gitea: {"login":...} for a token that may ask.
func (g *gitea) whoami(w http.ResponseWriter, r *http.Request) bool {
	var token string
	if n, _ := fmt.Sscanf(r.Header.Get("Authorization"), "token %s", &token); n == 0 {
		return false
	}
	if login := g.tokens[token]; login != "" {
		fmt.Fprintf(w, `{"login":%q}`, login)
	} else {
		w.WriteHeader(http.StatusForbidden)
	}
	return true
}
