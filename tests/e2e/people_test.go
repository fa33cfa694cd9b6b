package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
)

// scientist is the first tenant's member of whom the README tells.
const scientist = "data-scientist"

// person is an account of the forge.
type person struct{ name, password string }

func (s *suite) administrator() person { return person{s.outputs.ForgeUser, s.outputs.ForgePassword} }

// member is a tenant's, by name.
func (s *suite) member(t *testing.T, name string) person {
	t.Helper()
	password, found := s.outputs.Members[name]
	require.True(t, found, "the outputs have no member %s", name)
	return person{name, password}
}

// answer is what the forge's API said.
type answer struct {
	code int
	body string
}

// askForge calls the forge's API as somebody.
func (s *suite) askForge(ctx context.Context, t *testing.T, by person, method, at, body string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, s.outputs.ForgeURL+"/api/v1"+at, strings.NewReader(body))
	require.NoError(t, err)
	request.SetBasicAuth(by.name, by.password)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := predict.NewClient(30*time.Second, s.outputs.Authority).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, string(text)}
}

// organization owns the forge's repositories.
func organization() string { return config.Default().Forge.Organization }

// attempt is what somebody tries with a repository. What is in %s is a commit of it.
type attempt struct {
	what         string
	method, path string // below the repository
	body         string
	// own is whether the tenant's people may; nobody else may at all.
	own bool
}

var attempts = []attempt{
	{"read it", http.MethodGet, "", "", true},
	{"read its files", http.MethodGet, "/contents/", "", true},
	{"see its pull requests", http.MethodGet, "/pulls", "", true},
	{"set a commit status", http.MethodPost, "/statuses/%s", `{"context":"tried","state":"success"}`, false},
	{"make a branch", http.MethodPost, "/branches", `{"new_branch_name":"tried"}`, false},
	{"make a tag", http.MethodPost, "/tags", `{"tag_name":"tried"}`, false},
	{"make a release", http.MethodPost, "/releases", `{"tag_name":"tried"}`, false},
	{"write a file", http.MethodPost, "/contents/tried", `{"content":"dHJpZWQ=","message":"tried","branch":"main"}`, false},
	{"write a file in a branch", http.MethodPost, "/contents/tried", `{"content":"dHJpZWQ=","message":"tried","branch":"main","new_branch":"tried"}`, false},
	{"open an issue", http.MethodPost, "/issues", `{"title":"tried"}`, true},
	{"see its hooks", http.MethodGet, "/hooks", "", false},
	{"make a hook", http.MethodPost, "/hooks", `{"type":"gitea","active":true,"events":["push"],"config":{"url":"http://10.0.0.1/","content_type":"json"}}`, false},
	{"see what protects main", http.MethodGet, "/branch_protections/main", "", false},
	{"lift what protects main", http.MethodDelete, "/branch_protections/main", "", false},
	{"change what protects main", http.MethodPatch, "/branch_protections/main", `{"enable_status_check":false}`, false},
	{"protect a branch", http.MethodPost, "/branch_protections", `{"rule_name":"tried"}`, false},
	{"protect a tag", http.MethodPost, "/tag_protections", `{"name_pattern":"tried"}`, false},
	{"lift a tag's protection", http.MethodDelete, "/tag_protections/1", "", false},
	{"add a collaborator", http.MethodPut, "/collaborators/argocd", `{"permission":"admin"}`, false},
	{"add a team", http.MethodPut, "/teams/Owners", "", false},
	{"add a deploy key", http.MethodPost, "/keys", `{"title":"tried","key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGWvIPFvkZoBxTL1wAMMQxKlU8TPFqEcRiJUYZhBx4Xs"}`, false},
	{"publish it", http.MethodPatch, "", `{"private":false}`, false},
	{"rename it", http.MethodPatch, "", `{"name":"tried"}`, false},
	{"give it away", http.MethodPost, "/transfer", `{"new_owner":"` + scientist + `"}`, false},
	{"fork it", http.MethodPost, "/forks", `{"name":"tried"}`, false},
	{"delete it", http.MethodDelete, "", "", false},
}

// forReview is what a member may push to, of pushes.
const forReview = "refs/for/main/tried"

// pushes are what somebody tries to push to a repository: a commit to a reference.
var pushes = []string{
	"refs/heads/main", "refs/heads/tried", "refs/tags/tried", "refs/tags/main", "refs/tags/layer/x",
	"refs/pull/1/head", "refs/notes/tried", forReview,
}

// elsewhere is what no member may do to the forge. What is in %s is the other
// tenant's team.
var elsewhere = []attempt{
	{"make a repository", http.MethodPost, "/user/repos", `{"name":"tried"}`, false},
	{"make a repository of the organization's", http.MethodPost, "/orgs/ORGANIZATION/repos", `{"name":"tried"}`, false},
	{"make an organization", http.MethodPost, "/orgs", `{"username":"tried"}`, false},
	{"change the organization", http.MethodPatch, "/orgs/ORGANIZATION", `{"visibility":"public"}`, false},
	{"make a hook of the organization's", http.MethodPost, "/orgs/ORGANIZATION/hooks", `{"type":"gitea","config":{"url":"http://10.0.0.1/","content_type":"json"}}`, false},
	{"make a team", http.MethodPost, "/orgs/ORGANIZATION/teams", `{"name":"tried","permission":"admin"}`, false},
	{"change the other's team", http.MethodPatch, "/teams/%s", `{"name":"tried"}`, false},
	{"join the other's team", http.MethodPut, "/teams/%s/members/SELF", "", false},
	{"see who is in the other's team", http.MethodGet, "/teams/%s/members", "", false},
	{"give the other's team a repository", http.MethodPut, "/teams/%s/repos/ORGANIZATION/platform", "", false},
	{"see all accounts", http.MethodGet, "/admin/users", "", false},
	{"make an account", http.MethodPost, "/admin/users", `{"username":"tried","email":"tried@example.com","password":"tried-tried-1"}`, false},
	{"change an account", http.MethodPatch, "/admin/users/SELF", `{"login_name":"SELF","admin":true}`, false},
	{"act as another", http.MethodGet, "/user?sudo=ops", "", false},
	{"make tokens of another's", http.MethodPost, "/users/ops/tokens", `{"name":"tried","scopes":["all"]}`, false},
	{"see the system's hooks", http.MethodGet, "/admin/hooks", "", false},
	{"see the forge's tasks", http.MethodGet, "/admin/cron", "", false},
}

// peopleAreApart has each tenant's member try everything with every repository.
func (s *suite) peopleAreApart(ctx context.Context, t *testing.T) {
	first := path.Base(strings.TrimSuffix(s.outputs.Repository, ".git"))
	for _, who := range []struct{ name, repository, otherTeam string }{
		{scientist, first, "tenant-" + other},
		{otherMember, otherRepository, "tenant-" + tenants},
	} {
		by := s.member(t, who.name)
		clone := s.clone(ctx, t, s.urlOf(t, who.repository), by)
		_, err := clone.Git(ctx, "commit", "--quiet", "--allow-empty", "--message", "Try everything")
		require.NoError(t, err)
		for _, repository := range []string{first, otherRepository, forge.Platform} {
			t.Run(who.name+" and "+repository, func(t *testing.T) {
				own := repository == who.repository
				s.tryPushes(ctx, t, clone, repository, own)
				s.tryAll(ctx, t, by, repository, own)
				if own {
					s.closePulls(ctx, t, by, repository)
				}
			})
		}
		t.Run(who.name+" and the forge", func(t *testing.T) { s.tryElsewhere(ctx, t, by, who.otherTeam) })
	}
}

func (s *suite) tryPushes(ctx context.Context, t *testing.T, clone *git.Checkout, repository string, own bool) {
	remote := s.urlOf(t, repository)
	_, err := clone.Git(ctx, "ls-remote", remote)
	assert.Equal(t, own, err == nil, "clone: %v", err)
	for _, reference := range pushes {
		_, err := clone.Git(ctx, "push", "--quiet", remote, "HEAD:"+reference)
		assert.Equal(t, own && reference == forReview, err == nil, "push to %s: %v", reference, err)
	}
}

func (s *suite) tryAll(ctx context.Context, t *testing.T, by person, repository string, own bool) {
	at := "/repos/" + organization() + "/" + repository
	commit := s.commitOf(ctx, t, repository)
	for _, try := range attempts {
		where := at + strings.ReplaceAll(try.path, "%s", commit)
		got := s.askForge(ctx, t, by, try.method, where, try.body)
		// What its hook refuses of its own making, Gitea has no words for.
		if own && !try.own && got.code == http.StatusInternalServerError && try.method == http.MethodPost {
			continue
		}
		s.requireJudged(t, try.what, own && try.own, got)
	}
	if !own {
		return
	}
	listed, err := s.clone(ctx, t, s.outputs.Repository, s.administrator()).Git(ctx, "ls-remote", "--refs", s.urlOf(t, repository))
	require.NoError(t, err)
	for line := range strings.Lines(listed) {
		_, reference, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if !strings.HasPrefix(reference, "refs/pull/") {
			assert.Equal(t, "refs/heads/main", reference, "somebody made it")
		}
	}
}

func (s *suite) tryElsewhere(ctx context.Context, t *testing.T, by person, otherTeam string) {
	fill := strings.NewReplacer("ORGANIZATION", organization(), "SELF", by.name, "%s", s.teamNumber(ctx, t, otherTeam))
	for _, try := range elsewhere {
		s.requireJudged(t, try.what, false, s.askForge(ctx, t, by, try.method, fill.Replace(try.path), fill.Replace(try.body)))
	}
	for _, name := range []string{s.outputs.ForgeUser, "argocd", scientist, otherMember} {
		if name == by.name {
			continue
		}
		for _, at := range []string{"/users/" + name, "/users/search?q=" + name, "/orgs/" + organization() + "/members"} {
			got := s.askForge(ctx, t, by, http.MethodGet, at, "")
			assert.NotRegexp(t, name+`(-\d+)?@forge\.invalid`, got.body, "%s shows another's e-mail", at)
		}
	}
}

// requireJudged demands that something was done or refused, as it should be.
func (s *suite) requireJudged(t *testing.T, what string, allowed bool, got answer) {
	t.Helper()
	if allowed {
		assert.Contains(t, []int{http.StatusOK, http.StatusCreated, http.StatusNoContent}, got.code, "may not %s: %s", what, got.body)
		return
	}
	if got.code == http.StatusConflict {
		assert.Contains(t, got.body, "maximum limit of repositories", "may %s", what)
		return
	}
	if got.code == http.StatusUnprocessableEntity {
		assert.Contains(t, got.body, "not allowed", "may %s", what)
		return
	}
	assert.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, got.code, "may %s: %s", what, got.body)
}

// commitOf is a commit that the repository has.
func (s *suite) commitOf(ctx context.Context, t *testing.T, repository string) string {
	t.Helper()
	listed, err := s.clone(ctx, t, s.outputs.Repository, s.administrator()).Git(ctx, "ls-remote", s.urlOf(t, repository))
	require.NoError(t, err)
	commit, _, found := strings.Cut(listed, "\t")
	require.True(t, found, "%s has no commit", repository)
	return commit
}

// teamNumber is Gitea's for a team of that name.
func (s *suite) teamNumber(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	got := s.askForge(ctx, t, s.administrator(), http.MethodGet, "/orgs/"+organization()+"/teams", "")
	var list []struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &list), "%s", got.body)
	for _, team := range list {
		if team.Name == name {
			return fmt.Sprint(team.ID)
		}
	}
	require.Fail(t, "no team has the name "+name, "%s", got.body)
	return ""
}

// passwordsRotate gives the second tenant's member another password.
func (s *suite) passwordsRotate(ctx context.Context, t *testing.T) {
	before := s.member(t, otherMember)
	others := s.outputs.Members[scientist]
	r := succeed(ctx, t, s.command("passwords", "rotate", otherMember))
	s.outputs = s.readOutputs(ctx, t)
	now := s.member(t, otherMember)
	assert.NotEqual(t, before.password, now.password)
	assert.Equal(t, others, s.outputs.Members[scientist], "somebody else has a new password")
	for _, password := range []string{before.password, now.password} {
		assert.NotContains(t, r.Stdout+r.Stderr, password)
	}
	assert.Equal(t, now.password+"\n", succeed(ctx, t, s.command("passwords", "show", otherMember)).Stdout)
	assert.Equal(t, http.StatusUnauthorized, s.askForge(ctx, t, before, http.MethodGet, "/user", "").code, "the old password still opens")
	assert.Equal(t, http.StatusOK, s.askForge(ctx, t, now, http.MethodGet, "/user", "").code, "the new password does not open")
	assert.False(t, s.up(ctx, t).Changed, "an up without changes changed something")
}
