package stacks

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	hub "github.com/neuroscale-platform/neuroscale/components/forge/github"
	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
	"github.com/neuroscale-platform/neuroscale/internal/logtest"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// engineOn is a stack of the real engine and the real providers, of which the one of
// GitHub asks a stand-in.
type engineOn struct {
	*githubtest.Server
	t       *testing.T
	raw     map[string]string
	token   string
	program pulumi.RunFunc // nil: the program's part that is about GitHub
	stack   *automation.Stack
	state   string
	said    logtest.Log // all that was logged
}

func withEngine(t *testing.T) *engineOn {
	t.Helper()
	if os.Getenv("NEUROSCALE_GITHUB") == "" {
		t.Skip("runs Pulumi's engine and its GitHub provider: `make test-github`")
	}
	for _, program := range []string{"pulumi", "pulumi-resource-github", "pulumi-resource-random", "pulumi-resource-tls"} {
		_, err := exec.LookPath(program)
		require.NoError(t, err, "run `make test-github`")
	}
	withoutTokens(t)
	// Somebody else's settings of the provider, which the program must not follow.
	t.Setenv("GITHUB_OWNER", "somebody-else")
	t.Setenv("GITHUB_BASE_URL", "http://127.0.0.1:9/")
	home, root := t.TempDir(), t.TempDir()
	t.Setenv("PULUMI_HOME", filepath.Join(home, "pulumi"))
	e := &engineOn{Server: githubtest.New(t, "acme"), t: t, raw: maps.Clone(onGitHub), token: adminToken, state: filepath.Join(home, "state")}
	e.Grant(adminToken, "anna", nil)
	e.Grant(guardToken, "guard-of-acme", githubtest.Permissions{"contents": "read", "pull_requests": "write", "statuses": "write"})
	for name, text := range map[string]string{"Pulumi.yaml": "name: neuroscale\nruntime: go\n", "Pulumi.ci.yaml": "config: {}\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	project, err := automation.FindProject(root)
	require.NoError(t, err)
	environment := map[string]string{"HOME": home, "PULUMI_BACKEND_URL": "file://" + e.state}
	e.stack, err = automation.Open(t.Context(), automation.Options{
		Project: project, Stack: "ci", Program: e.run, Log: slog.New(slog.NewTextHandler(&e.said, nil)),
		Getenv: func(name string) string { return environment[name] },
		Renewed: func(context.Context) map[string]map[string]string {
			return map[string]map[string]string{"github": {"token": e.token}}
		},
		Abandoned: func(ctx context.Context, token string, inputs map[string]any) error {
			c, err := github.NewClient(github.Access{URL: e.URL, Token: func() (string, error) { return e.token, nil }})
			require.NoError(t, err)
			return hub.RemoveAbandoned(ctx, c, "acme", token, inputs)
		},
	})
	require.NoError(t, err)
	return e
}

// run is what the stack's program does on GitHub, and nothing in a cluster.
func (e *engineOn) run(ctx *pulumi.Context) error {
	if e.program != nil {
		return e.program(ctx)
	}
	cfg, err := Config(e.raw)
	if err != nil {
		return err
	}
	s := &site{ctx: ctx, cfg: cfg, options: Options{GitHub: func(p *github.Preflight) { p.URL, p.Patience = e.URL, time.Second }}}
	if err := s.askGitHub(); err != nil {
		return err
	}
	made, err := s.newPeople()
	ctx.Export("urls", pulumi.ToStringMap(made.urls))
	return err
}

func (e *engineOn) observe(event apitype.EngineEvent) {
	_ = json.NewEncoder(&e.said).Encode(event)
}

// tryUp forgets what was asked before.
func (e *engineOn) tryUp() (automation.Result, error) {
	e.t.Helper()
	e.t.Setenv("NEUROSCALE_GITHUB_TOKEN", e.token)
	e.t.Setenv("NEUROSCALE_GITHUB_GUARD_TOKEN", guardToken)
	e.Forget()
	start := time.Now()
	r, err := e.stack.Up(e.t.Context(), automation.UpOptions{}, e.observe)
	e.t.Logf("up: %.1f s", time.Since(start).Seconds())
	return r, err
}

func (e *engineOn) up() automation.Result {
	e.t.Helper()
	r, err := e.tryUp()
	require.NoError(e.t, err)
	return r
}

// did are the requests that changed something.
func (e *engineOn) did() []string {
	var all []string
	for _, w := range e.Writes() {
		all = append(all, w.Is)
	}
	return all
}

// body of the only write that begins so.
func (e *engineOn) body(t *testing.T, is string) map[string]any {
	t.Helper()
	var found []githubtest.Write
	for _, w := range e.Writes() {
		if w.Is == is {
			found = append(found, w)
		}
	}
	require.Lenf(t, found, 1, "%s in %v", is, e.did())
	return found[0].Body
}

// notInClear fails for a secret that the state or anything printed shows.
func (e *engineOn) notInClear(t *testing.T, secrets ...string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(e.state, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, secret := range secrets {
			assert.NotContainsf(t, string(text), secret, "%s", path)
		}
		return err
	}))
	assert.NotZero(t, files)
	for _, secret := range secrets {
		assert.NotContains(t, e.said.String(), secret, "it was printed")
	}
}

// protected is what main says that the program protects.
func protected(approvals float64) map[string]any {
	return map[string]any{
		"allowsDeletions": false, "allowsForcePushes": false, "blocksCreations": false, "dismissesStaleReviews": true, "isAdminEnforced": false,
		"lockBranch": false, "pattern": "main", "requireLastPushApproval": false, "requiredApprovingReviewCount": approvals,
		"requiredStatusCheckContexts": []any{"neuroscale/guard"}, "requiresApprovingReviews": true, "requiresCodeOwnerReviews": false,
		"requiresCommitSignatures": false, "requiresConversationResolution": false, "requiresLinearHistory": false, "requiresStatusChecks": true,
		"requiresStrictStatusChecks": true, "restrictsPushes": false, "restrictsReviewDismissals": false,
	}
}

func TestThePlatformIsReallyMadeOnGitHub(t *testing.T) {
	e := withEngine(t)
	theirs := e.Repository("models-b", githubtest.Files{"README.md": {Content: "ours for years"}})
	theirs.Set("description", "Models of team B")
	before := theirs.Settings()
	ok := func(name string, f func(*testing.T)) { require.True(t, t.Run(name, f)) }

	ok("the first up makes everything and nothing else", func(t *testing.T) {
		require.True(t, e.up().Changed)
		made := e.Named("endpoints")
		require.NotNil(t, made)
		s := made.Settings()
		assert.Equal(t, "private", s["visibility"], "everybody reads what tenants deploy")
		assert.Equal(t, []string{github.Topic}, s["topics"])
		for name, want := range map[string]any{"has_issues": true, "has_projects": false, "has_wiki": false, "delete_branch_on_merge": true, "archived": false} {
			assert.Equal(t, want, s[name], name)
		}
		assert.Empty(t, made.Main(), "the first content is not the platform's")
		assert.Equal(t, map[string]githubtest.Protection{"main": protected(1)}, made.Protections())
		assert.Equal(t, map[string]githubtest.Protection{"main": protected(0)}, theirs.Protections())
		for _, r := range []*githubtest.Repository{made, theirs} {
			require.Len(t, r.Keys(), 1)
			assert.True(t, r.Keys()[0].ReadOnly, "Argo CD may write")
			assert.Equal(t, "Argo CD of NeuroScale", r.Keys()[0].Title)
		}
		assert.Equal(t, "endpoints", e.body(t, "POST /orgs/acme/repos")["name"])
		assert.Equal(t, before, theirs.Settings(), "an adopted repository was changed")
		for _, w := range e.Writes() {
			assert.Equal(t, "anna", w.Login, w.Is)
			assert.False(t, strings.HasSuffix(w.Is, "/repos/acme/models-b"), w.Is)
		}
	})
	assert.NotContains(t, strings.ToLower(e.said.String()), "deprecated", "whoever brings it up is warned of what is not theirs")
	// What the Job in the cluster pushes, and then people.
	e.Named("endpoints").Commit("c1", githubtest.Files{"apps/iris/a.yaml": {Content: "iris"}})

	ok("nothing secret is readable", func(t *testing.T) {
		e.notInClear(t, adminToken, guardToken, "PRIVATE KEY")
	})

	ok("the second up changes nothing", func(t *testing.T) {
		r := e.up()
		assert.False(t, r.Changed, r.Changes)
		assert.Empty(t, r.Drift)
		assert.Empty(t, e.did())
	})

	ok("what somebody changes by hand is seen and put back", func(t *testing.T) {
		made := e.Named("endpoints")
		made.Set("has_wiki", true)
		made.Protect("main", githubtest.Protection{"requiresStatusChecks": false, "requiredStatusCheckContexts": []any{}})
		theirs.Protect("main", nil)
		gone := theirs.Keys()[0]
		theirs.RemoveKey(gone.ID)
		r := e.up()
		var drift []string
		for _, d := range r.Drift {
			drift = append(drift, d.Kind)
		}
		assert.ElementsMatch(t, []string{"Repository", "BranchProtection", "BranchProtection", "RepositoryDeployKey"}, drift, r.Drift)
		assert.Equal(t, false, made.Settings()["has_wiki"])
		assert.Equal(t, map[string]githubtest.Protection{"main": protected(1)}, made.Protections())
		assert.Equal(t, map[string]githubtest.Protection{"main": protected(0)}, theirs.Protections())
		require.Len(t, theirs.Keys(), 1)
		assert.Equal(t, gone.Key, theirs.Keys()[0].Key, "the key that Argo CD has opens nothing")
	})

	ok("approvals change in place, members change nothing there", func(t *testing.T) {
		e.raw["neuroscale:tenants"] = strings.NewReplacer(`"approvals":1`, `"approvals":2`, `"members":["anna","bob"]`, `"members":["anna","carla","bob"]`).Replace(e.raw["neuroscale:tenants"])
		r := e.up()
		assert.Equal(t, 1, r.Changes["update"], r.Changes)
		assert.Equal(t, []string{"MUTATION updateBranchProtectionRule"}, e.did())
		assert.Equal(t, map[string]githubtest.Protection{"main": protected(2)}, e.Named("endpoints").Protections())
	})

	ok("destroy leaves the repositories and what people wrote", func(t *testing.T) {
		e.Forget()
		_, err := e.stack.Destroy(t.Context(), automation.DestroyOptions{}, e.observe)
		require.NoError(t, err)
		for _, r := range []*githubtest.Repository{e.Named("endpoints"), e.Named("models-b")} {
			require.NotNil(t, r, "people's work is gone")
			assert.Empty(t, r.Keys(), "a key that nobody needs any more")
			assert.Empty(t, r.Protections())
		}
		assert.Equal(t, "c1", e.Named("endpoints").Main())
		assert.Equal(t, "m0", theirs.Main())
		assert.Equal(t, before, theirs.Settings())
		for _, is := range e.did() {
			assert.NotContains(t, []string{"DELETE /repos/acme/endpoints", "DELETE /repos/acme/models-b"}, is)
		}
	})

	ok("an up after that takes them over as they are", func(t *testing.T) {
		e.Named("endpoints").Set("has_wiki", true)
		e.up()
		assert.NotContains(t, e.did(), "POST /orgs/acme/repos")
		assert.Equal(t, "c1", e.Named("endpoints").Main())
		assert.Equal(t, false, e.Named("endpoints").Settings()["has_wiki"])
		assert.Len(t, e.Named("endpoints").Keys(), 1)
		assert.Equal(t, map[string]githubtest.Protection{"main": protected(2)}, e.Named("endpoints").Protections())
		r := e.up()
		assert.False(t, r.Changed, r.Changes)
		assert.Empty(t, e.did())
	})
	e.notInClear(t, adminToken, guardToken, "PRIVATE KEY")
}

func TestAnUpThatWasKilledOnGitHubIsTakenUpAgain(t *testing.T) {
	e := withEngine(t)
	e.Repository("models-b", nil)
	moments := []string{"POST /orgs/acme/repos", "PUT /repos/acme/endpoints/topics", "MUTATION createBranchProtectionRule", "POST /repos/acme/endpoints/keys"}
	killed := 0
	for _, moment := range moments {
		e.After(moment, func() {
			killed++
			// As a machine does that loses its power.
			assert.NoError(t, rig.KillDescendants())
		})
	}
	for range moments {
		if _, err := e.tryUp(); err != nil {
			require.ErrorContains(t, err, "pulumi was ended")
		}
	}
	e.up()
	assert.Len(t, moments, killed)
	for name, approvals := range map[string]float64{"endpoints": 1, "models-b": 0} {
		r := e.Named(name)
		assert.Equal(t, map[string]githubtest.Protection{"main": protected(approvals)}, r.Protections(), name)
		assert.Len(t, r.Keys(), 1, name)
	}
	assert.Equal(t, []string{github.Topic}, e.Named("endpoints").Settings()["topics"])
	r := e.up()
	assert.False(t, r.Changed, r.Changes)
	assert.Empty(t, e.did())
}

func TestWhatGitHubRefusesIsOneSentence(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*engineOn)
		want   string
	}{
		"wrong token": {func(e *engineOn) { e.token = "ghp_old" },
			"up: GitHub does not know the token in NEUROSCALE_GITHUB_TOKEN (Bad credentials): it is wrong, was revoked or has expired, make another one"},
		"missing right": {func(e *engineOn) {
			e.Grant(adminToken, "anna", githubtest.Permissions{"contents": "write"})
		}, "up: the token may not administer acme/models-b: give its account the role Admin there, or take a token of one that has it"},
		"name taken": {func(e *engineOn) { e.Repository("endpoints", nil) },
			"up: acme/endpoints is there already and not the platform's: adopt it, or name another repository"},
		"too many requests": {func(e *engineOn) {
			e.Limit(9, "GET /user", time.Date(2036, 3, 1, 12, 40, 0, 0, time.UTC), 0)
		}, "up: the forge takes no more requests of this account until 12:40:00 UTC: run it again then"},
	} {
		t.Run(name, func(t *testing.T) {
			e := withEngine(t)
			e.Repository("models-b", nil)
			test.change(e)
			_, err := e.tryUp()
			require.EqualError(t, err, test.want)
			assert.Empty(t, e.did())
			e.notInClear(t, e.token, guardToken)
		})
	}
}

func TestARightThatGitHubNamesLateIsOneSentence(t *testing.T) {
	e := withEngine(t)
	e.raw["neuroscale:tenants"] = `[{"namespace":"default","owner":"platform-team","costCenter":"platform","repositories":["endpoints"],"members":["anna"]}]`
	e.raw["neuroscale:forge"] = `{"provider":"github","organization":"acme"}`
	e.Grant(adminToken, "anna", githubtest.Permissions{"contents": "write"})
	_, err := e.tryUp()
	require.EqualError(t, err, "up: Repository github-endpoints: GitHub answered 403 to POST /orgs/acme/repos (Resource not accessible by personal access token): "+
		"the token may not do that, docs/github.md says what it has to")
	assert.Empty(t, e.did())
}

func TestAProtectionOnGitHubThatIsThereIsNamedAndStays(t *testing.T) {
	e := withEngine(t)
	theirs := e.Repository("models-b", nil)
	theirs.Protect("main", githubtest.Protection{"isAdminEnforced": true})
	for range 2 {
		_, err := e.tryUp()
		require.EqualError(t, err, "up: BranchProtection github-models-b: Name already protected: main")
		assert.Equal(t, true, theirs.Protections()["main"]["isAdminEnforced"])
	}
	theirs.Protect("main", nil)
	e.up()
	assert.Equal(t, protected(0), theirs.Protections()["main"])
}

// A token does not live for ever, and a refresh and a destroy take that of the last up.
func TestATokenThatWasReplacedIsTheOneThatIsUsed(t *testing.T) {
	e := withEngine(t)
	theirs := e.Repository("models-b", nil)
	e.up()
	replace := func(secret string) {
		e.Revoke(e.token)
		e.token = secret
		e.Grant(secret, "anna", nil)
	}
	replace("ghp_second")
	e.up()
	replace("ghp_third")
	_, err := e.stack.Destroy(t.Context(), automation.DestroyOptions{}, e.observe)
	require.NoError(t, err)
	assert.Empty(t, theirs.Keys())
	e.notInClear(t, adminToken, "ghp_second", "ghp_third")
}

// Too many requests while things are made are waited for by the provider.
func TestTooManyRequestsInTheMiddleAreWaitedFor(t *testing.T) {
	e := withEngine(t)
	e.Repository("models-b", nil)
	e.Limit(1, "POST /orgs/acme/repos", time.Time{}, 2*time.Second)
	e.Limit(1, "POST /graphql", time.Now().Add(20*time.Second), 0)
	e.up()
	assert.Len(t, e.Named("endpoints").Keys(), 1)
}

func TestWhatWorkflowsAreToldIsReallyOnGitHub(t *testing.T) {
	e := withEngine(t)
	args := func() *hub.Args {
		secret := func(text string) pulumi.StringOutput {
			return pulumi.ToSecret(pulumi.String(text)).(pulumi.StringOutput)
		}
		return &hub.Args{
			Owner: "acme", Token: secret(adminToken), API: e.URL, GuardContext: "neuroscale/guard",
			Repositories: []hub.Repository{{Name: "endpoints", There: e.Named("endpoints") != nil}},
			// GitHub has made one of that name itself.
			Labels:     []hub.Label{{Name: "endpoint", Color: "1d76db", Description: "Serves a model"}, {Name: "bug", Color: "ff0000"}},
			WebhookURL: "https://argocd.example.org/api/webhook",
			Secrets:    map[string]pulumi.StringOutput{"KUBECONFIG": secret("the kubeconfig")},
			Variables:  map[string]string{"DOMAIN": "models.example.org"},
		}
	}
	e.program = func(ctx *pulumi.Context) error {
		_, err := hub.New(ctx, "github", args())
		return err
	}
	e.up()
	r := e.Named("endpoints")
	assert.Equal(t, map[string]string{"KUBECONFIG": "the kubeconfig"}, r.Secrets())
	assert.Equal(t, map[string]string{"DOMAIN": "models.example.org"}, r.Variables())
	assert.Contains(t, r.Labels(), githubtest.Label{Name: "endpoint", Color: "1d76db", Description: "Serves a model"})
	require.Len(t, r.Hooks(), 1)
	hook := r.Hooks()[0]
	assert.Len(t, hook.Secret, 40)
	assert.Equal(t, githubtest.Hook{ID: hook.ID, URL: "https://argocd.example.org/api/webhook", ContentType: "json", Secret: hook.Secret, Active: true, Events: []string{"push"}}, hook)
	e.notInClear(t, adminToken, "the kubeconfig", hook.Secret, "PRIVATE KEY")

	again := e.up()
	assert.False(t, again.Changed, fmt.Sprint(again.Changes, again.Drift))
	assert.Empty(t, e.did())

	_, err := e.stack.Destroy(context.Background(), automation.DestroyOptions{}, e.observe)
	require.NoError(t, err)
	require.NotNil(t, e.Named("endpoints"))
	assert.Empty(t, r.Secrets())
	assert.Empty(t, r.Hooks())
	assert.Empty(t, r.Variables())
}
