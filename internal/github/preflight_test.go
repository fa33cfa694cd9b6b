package github

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const token = "ghp_0123456789"

// reply is what GitHub answers to a request, once or always.
type reply struct {
	status int
	header map[string]string
	body   string
}

func ok(body string) reply { return reply{status: http.StatusOK, body: body} }

func (r reply) with(name, value string) reply {
	header := map[string]string{name: value}
	for n, v := range r.header {
		header[n] = v
	}
	r.header = header
	return r
}

func refused(status int, message string) reply {
	return reply{status: status, body: fmt.Sprintf(`{"message":%q,"documentation_url":"https://docs.github.com/rest"}`, message)}
}

var (
	notFound = refused(http.StatusNotFound, "Not Found")
	classic  = ok(`{"login":"anna","type":"User"}`).with("X-OAuth-Scopes", "admin:org, repo")
	fine     = ok(`{"login":"anna","type":"User"}`)
	acme     = ok(`{"login":"acme","type":"Organization"}`)
	ours     = ok(`{"full_name":"acme/endpoints","topics":["neuroscale-platform"],"permissions":{"admin":true}}`)
	theirs   = ok(`{"full_name":"acme/endpoints","topics":["ml"],"permissions":{"admin":true}}`)
)

// hub is a server that answers as GitHub documents.
type hub struct {
	*httptest.Server
	replies map[string][]reply
	asked   []string
}

func newHub(t *testing.T, replies map[string][]reply) *hub {
	t.Helper()
	h := &hub{replies: replies}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodGet, r.Method, "a check that writes")
		assert.Equal(t, "Bearer "+token, r.Header.Get("Authorization"))
		assert.Equal(t, "application/vnd.github+json", r.Header.Get("Accept"))
		assert.Equal(t, "2022-11-28", r.Header.Get("X-GitHub-Api-Version"))
		assert.NotEmpty(t, r.UserAgent(), "GitHub answers 403 to whoever has no name")
		h.asked = append(h.asked, r.URL.Path)
		list := h.replies[r.URL.Path]
		if len(list) == 0 {
			list = []reply{notFound}
		}
		answer := list[0]
		if len(list) > 1 {
			h.replies[r.URL.Path] = list[1:]
		}
		for name, value := range answer.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(answer.status)
		io.WriteString(w, answer.body)
	}))
	t.Cleanup(h.Close)
	return h
}

// noon is when tests ask.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (h *hub) check(adopt bool) (*Report, error) {
	return Preflight{
		URL: h.URL, Token: token, Owner: "acme", Repositories: []Repository{{"endpoints", adopt}},
		Patience: time.Second, Now: func() time.Time { return noon },
	}.Check(context.Background())
}

// probed are good answers to all probes.
func probed(replies map[string][]reply) map[string][]reply {
	for _, probe := range probes {
		if at := "/repos/acme/endpoints" + probe.path; replies[at] == nil {
			replies[at] = []reply{ok("[]")}
		}
	}
	return replies
}

func TestATokenThatMayDoAllPasses(t *testing.T) {
	h := newHub(t, map[string][]reply{"/user": {classic}, "/users/acme": {acme}})
	report, err := h.check(false)
	require.NoError(t, err)
	assert.Equal(t, &Report{Kind: Classic, Login: "anna", Missing: []string{"acme/endpoints"}}, report)

	h = newHub(t, map[string][]reply{"/user": {classic}, "/users/acme": {acme}, "/repos/acme/endpoints": {ours}})
	report, err = h.check(false)
	require.NoError(t, err)
	assert.Equal(t, &Report{Kind: Classic, Login: "anna", Ours: []string{"endpoints"}}, report, "what the platform made before is there")

	begun := ok(`{"full_name":"acme/endpoints","description":"` + Description + `","size":0,"permissions":{"admin":true}}`)
	h = newHub(t, map[string][]reply{"/user": {classic}, "/users/acme": {acme}, "/repos/acme/endpoints": {begun}})
	report, err = h.check(false)
	require.NoError(t, err, "an up that was killed before its topic was set is not taken up")
	assert.Equal(t, []string{"endpoints"}, report.Ours)
	filled := ok(`{"full_name":"acme/endpoints","description":"` + Description + `","size":1,"permissions":{"admin":true}}`)
	h = newHub(t, map[string][]reply{"/user": {classic}, "/users/acme": {acme}, "/repos/acme/endpoints": {filled}})
	_, err = h.check(false)
	require.Error(t, err, "a copy that somebody made and works in is taken")

	h = newHub(t, map[string][]reply{"/user": {classic}, "/users/acme": {acme}, "/repos/acme/endpoints": {theirs}})
	_, err = h.check(true)
	assert.NoError(t, err)
}

func TestATokenWithoutScopesIsAskedForItsPermissions(t *testing.T) {
	h := newHub(t, probed(map[string][]reply{"/user": {fine}, "/users/acme": {acme}, "/repos/acme/endpoints": {ours},
		"/repos/acme/endpoints/commits": {refused(http.StatusConflict, "Git Repository is empty.")}}))
	report, err := h.check(false)
	require.NoError(t, err)
	assert.Equal(t, FineGrained, report.Kind)
	assert.Len(t, report.Unproven, 1, "it is told that writing could not be tried")
	for _, probe := range probes {
		assert.Contains(t, h.asked, "/repos/acme/endpoints"+probe.path)
	}

	h = newHub(t, map[string][]reply{"/user": {fine}, "/users/acme": {acme}})
	report, err = h.check(false)
	require.NoError(t, err)
	assert.Equal(t, []string{"acme/endpoints"}, report.Missing)
	assert.Contains(t, report.Unproven[1], "that the token may make acme/endpoints")

	integration := refused(http.StatusForbidden, "Resource not accessible by integration")
	h = newHub(t, probed(map[string][]reply{"/user": {integration}, "/users/acme": {acme}, "/repos/acme/endpoints": {ours}}))
	report, err = h.check(false)
	require.NoError(t, err)
	assert.Equal(t, App, report.Kind)

	pat := refused(http.StatusForbidden, "Resource not accessible by personal access token").with("X-Accepted-GitHub-Permissions", "secrets=read")
	h = newHub(t, probed(map[string][]reply{"/user": {fine}, "/users/acme": {acme}, "/repos/acme/endpoints": {ours},
		"/repos/acme/endpoints/actions/secrets": {pat}, "/repos/acme/endpoints/hooks": {notFound}}))
	_, err = h.check(false)
	assert.EqualError(t, err, "the token has not the permission Webhooks of acme/endpoints: give it that, to read and write\n"+
		"the token has not the permission Secrets of acme/endpoints: give it that, to read and write")
}

func TestWhatIsMissingIsOneSentence(t *testing.T) {
	good := func(change map[string][]reply) map[string][]reply {
		all := map[string][]reply{"/user": {classic}, "/users/acme": {acme}, "/repos/acme/endpoints": {ours}}
		for path, replies := range change {
			all[path] = replies
		}
		return all
	}
	in := func(d time.Duration) string { return fmt.Sprint(noon.Add(d).Unix()) }
	for name, c := range map[string]struct {
		change map[string][]reply
		adopt  bool
		want   string
	}{
		"unknown token": {map[string][]reply{"/user": {refused(401, "Bad credentials")}}, false,
			"GitHub does not know the token in GITHUB_TOKEN (Bad credentials): it is wrong, was revoked or has expired, make another one"},
		"scopes of another use": {map[string][]reply{"/user": {ok(`{"login":"anna"}`).with("X-OAuth-Scopes", "public_repo, read:org")}}, false,
			"the token in GITHUB_TOKEN has not the scope repo, it has public_repo, read:org: give it that at https://github.com/settings/tokens"},
		"no scope": {map[string][]reply{"/user": {ok(`{"login":"anna"}`).with("X-OAuth-Scopes", "")}}, false,
			"the token in GITHUB_TOKEN has not the scope repo, it has none: give it that at https://github.com/settings/tokens"},
		"unknown owner": {map[string][]reply{"/users/acme": {notFound}}, false,
			`GitHub has no organization or account "acme": write the name of yours in neuroscale:forge.organization`},
		"somebody else's account": {map[string][]reply{"/users/acme": {ok(`{"login":"acme","type":"User"}`)}}, false,
			"acme is the account of a person and the token is anna's: only a token of its own makes repositories there"},
		"not there to adopt": {map[string][]reply{"/repos/acme/endpoints": {notFound}}, true,
			"acme/endpoints is not there, or the token does not see it: make it, or let the program make it by not adopting it"},
		"somebody else's repository": {map[string][]reply{"/repos/acme/endpoints": {theirs}}, false,
			"acme/endpoints is there already and not the platform's: adopt it, or name another repository"},
		"renamed": {map[string][]reply{"/repos/acme/endpoints": {ok(`{"full_name":"acme/models","permissions":{"admin":true}}`)}}, true,
			"acme/endpoints is called acme/models now: write that name"},
		"archived": {map[string][]reply{"/repos/acme/endpoints": {ok(`{"full_name":"acme/endpoints","archived":true,"permissions":{"admin":true}}`)}}, true,
			"acme/endpoints is archived, so nobody writes to it: take it out of the archive"},
		"not an administrator": {map[string][]reply{"/repos/acme/endpoints": {ok(`{"full_name":"acme/endpoints","permissions":{"admin":false}}`)}}, true,
			"the token may not administer acme/endpoints: give its account the role Admin there, or take a token of one that has it"},
		"not signed in at the organization": {map[string][]reply{"/repos/acme/endpoints": {refused(403, "Resource protected by organization SAML enforcement.").
			with("X-GitHub-SSO", "required; url=https://github.com/orgs/acme/sso?authorization_request=A")}}, false,
			"the token is not let into acme, which signs people in by itself: allow it at https://github.com/orgs/acme/sso?authorization_request=A"},
		"too many requests": {map[string][]reply{"/user": {refused(403, "API rate limit exceeded").with("X-RateLimit-Remaining", "0").with("X-RateLimit-Reset", in(40*time.Minute))}}, false,
			"the forge takes no more requests of this account until 12:40:00 UTC: run it again then"},
		"too many at once": {map[string][]reply{"/user": {refused(429, "You have exceeded a secondary rate limit").with("Retry-After", "90")}}, false,
			"the forge takes no more requests of this account until 12:01:30 UTC: run it again then"},
		"too many, for how long unsaid": {map[string][]reply{"/user": {refused(429, "You have exceeded a secondary rate limit")}}, false,
			"the forge takes no more requests of this account until 12:01:00 UTC: run it again then"},
		"too many for ever": {map[string][]reply{"/user": {refused(429, "You have exceeded a secondary rate limit").with("Retry-After", "0")}}, false,
			"the forge takes no more requests of this account until 12:00:00 UTC: run it again then"},
		"broken": {map[string][]reply{"/user": {{status: 502, body: "<html>"}}}, false,
			"GitHub answered 502 to GET /user (Bad Gateway): run it again, and look at https://www.githubstatus.com if that goes on"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newHub(t, good(c.change)).check(c.adopt)
			assert.EqualError(t, err, c.want)
		})
	}
	_, err := newHub(t, good(map[string][]reply{"/user": {ok("<html>")}})).check(false)
	assert.ErrorContains(t, err, "what GitHub answered to GET /user is not what its API does")
	_, err = Preflight{Owner: "acme"}.Check(context.Background())
	assert.EqualError(t, err, "there is no token for GitHub: set GITHUB_TOKEN to one that administers the repositories of acme")
}

func TestARequestThatCameTooSoonIsMadeAgain(t *testing.T) {
	secondary := refused(429, "You have exceeded a secondary rate limit").with("Retry-After", "0")
	primary := refused(403, "API rate limit exceeded").with("X-RateLimit-Remaining", "0").with("X-RateLimit-Reset", fmt.Sprint(noon.Unix()-1))
	h := newHub(t, map[string][]reply{"/user": {secondary, primary, classic}, "/users/acme": {acme}})
	_, err := h.check(false)
	require.NoError(t, err)
	assert.Equal(t, []string{"/user", "/user", "/user", "/users/acme", "/repos/acme/endpoints"}, h.asked)
}

func TestEveryProblemIsSaidAndTheTokenNever(t *testing.T) {
	h := newHub(t, map[string][]reply{"/user": {ok(`{"login":"anna"}`).with("X-OAuth-Scopes", "")}, "/users/acme": {acme}, "/repos/acme/endpoints": {theirs}})
	_, err := h.check(false)
	require.Error(t, err)
	assert.Len(t, strings.Split(err.Error(), "\n"), 2)

	h.Close()
	_, err = h.check(false)
	require.ErrorContains(t, err, "GitHub does not answer")
	assert.NotContains(t, err.Error(), token)
}
