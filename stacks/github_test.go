package stacks

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/github/githubtest"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

const (
	adminToken   = "ghp_administers"
	guardToken   = "github_pat_guards"
	clientSecret = "the-apps-secret"
)

// onGitHub has a repository of each tenant there, the second one's made by others.
var onGitHub = map[string]string{
	"neuroscale:forge":  `{"provider":"github","organization":"acme","github":{"adopt":["models-b"],"egress":[{"cidr":"140.82.112.0/20","ports":[22,443]},{"cidr":"192.30.252.0/22","ports":[443]}]}}`,
	"neuroscale:portal": `{"enabled":false}`,
	"neuroscale:tenants": `[
		{"namespace":"default","owner":"platform-team","costCenter":"platform","repositories":["endpoints"],"members":["anna","bob"],"approvals":1},
		{"namespace":"team-b","owner":"team-b","costCenter":"cc-b","repositories":["models-b"],"members":["bob"]}]`,
}

// withPortal is the same, and a portal.
func withPortal() map[string]string {
	raw := maps.Clone(onGitHub)
	raw["neuroscale:forge"] = strings.Replace(raw["neuroscale:forge"], `"adopt"`, `"clientId":"Ov23liABC","adopt"`, 1)
	raw["neuroscale:portal"] = `{"url":"https://portal.example.org"}`
	return raw
}

func withoutTokens(t *testing.T) {
	t.Helper()
	for _, variables := range tokensFrom {
		for _, variable := range variables {
			t.Setenv(variable, "")
		}
	}
}

// githubProgram asks a stand-in of GitHub, which knows the repository to adopt.
func githubProgram(t *testing.T, raw map[string]string) (pulumi.RunFunc, *githubtest.Server) {
	t.Helper()
	withoutTokens(t)
	s := githubtest.New(t, "acme")
	s.Grant(adminToken, "anna", nil)
	s.Grant(guardToken, "guard-of-acme", githubtest.Permissions{"contents": "read", "pull_requests": "write", "statuses": "write"})
	s.Repository("models-b", nil)
	s.OAuthApp("Ov23liABC", clientSecret, "https://portal.example.org/api/auth/github/handler/frame")
	file := kubetest.File(t, kubetest.Kubeconfig)
	return New(Options{
		Config: raw, Renderer: recorder.Renderer(t), Schemas: noSchemas, GitHub: func(p *github.Preflight) { p.URL = s.URL },
		Cluster: func(args *cluster.Args) {
			args.Kubeconfig, args.Context = file, ""
			args.Reach = func(context.Context, string) error { return nil }
		},
	}), s
}

func TestOnGitHub(t *testing.T) {
	program, _ := githubProgram(t, onGitHub)
	r := recorder.MustRun(t, program, recorder.Options{Config: map[string]string{GitHubToken: adminToken, GitHubGuardToken: guardToken}})
	for name, check := range map[string]func(*testing.T, *recorder.Recording){
		"tenants' repositories are there and layers in Gitea":             tenantsAreOnGitHub,
		"Argo CD reads by a key and nothing else":                         argoCDReadsByAKey,
		"the first content is pushed where the repository is":             firstContentIsPushedToGitHub,
		"the guard has its own token and nobody else one":                 onlyTheGuardHasItsToken,
		"members keep their accounts, which they sign in to Argo CD with": membersKeepTheirAccounts,
	} {
		t.Run(name, func(t *testing.T) { check(t, r) })
	}
}

// readable is what an object says, with what a Secret has in it.
func readable(g *recorder.Registration) string {
	text := fmt.Sprint(g.Object())
	if data, ok := g.Object()["data"].(map[string]any); ok && g.Kind() == "Secret" {
		for key, value := range data {
			if plain, err := base64.StdEncoding.DecodeString(fmt.Sprint(value)); err == nil {
				text += " " + key + "=" + string(plain)
			}
		}
	}
	return text
}

// hidden leaves out what is secret.
func hidden(v resource.PropertyValue) (any, bool) { return "", v.IsSecret() }

func variables(job *recorder.Registration) map[string]any {
	all := map[string]any{}
	list, _ := recorder.At(job.Object(), "spec.template.spec.containers.0.env").([]any)
	for _, each := range list {
		all[recorder.At(each, "name").(string)] = recorder.At(each, "value")
	}
	return all
}

func tenantsAreOnGitHub(t *testing.T, r *recorder.Recording) {
	r.AssertBelongs(t, "cluster", "certificates", "forge", "github", "kinds", "argocd", "delivery", "serving", "guardrails", "tenancy", "endpoints", "kyverno", "reviews", "cost", "dashboards", "portal")

	assert.False(t, r.Type(t, "github:index/repository:Repository", "github-endpoints").Read)
	assert.True(t, r.Type(t, "github:index/repository:Repository", "github-models-b").Read, "one that is there is made again")
	for name, approvals := range map[string]float64{"github-endpoints": 1, "github-models-b": 0} {
		protection := r.Type(t, "github:index/branchProtection:BranchProtection", name).Object()
		assert.Equal(t, []any{"neuroscale/guard"}, recorder.At(protection, "requiredStatusChecks.0.contexts"))
		assert.Equal(t, approvals, recorder.At(protection, "requiredPullRequestReviews.0.requiredApprovingReviewCount"))
	}

	made := variables(r.Get(t, "Job", "gitea-bootstrap-*"))
	assert.Equal(t, "", made["REPOSITORIES"], "Gitea has repositories that nobody reads")
	assert.Equal(t, "tenant-default||anna bob|anna bob|1\ntenant-team-b||bob|bob|0", strings.ReplaceAll(made["TEAMS"].(string), "neuroscale-", ""))
	assert.Equal(t, "https://gitea.forge.svc:3000/acme/platform.git", variables(r.Get(t, "Job", "layer-knative-*"))["REPOSITORY"], "a layer is on GitHub")
	for _, limits := range r.Kind("ConfigMap") {
		assert.NotContains(t, fmt.Sprint(limits.Object()["data"]), "folders 50 endpoints")
	}
}

func argoCDReadsByAKey(t *testing.T, r *recorder.Recording) {
	for name, project := range map[string]string{"endpoints": "tenant-default", "models-b": "tenant-team-b"} {
		secret := r.Get(t, "Secret", "repository-"+name)
		data := readable(secret)
		assert.Contains(t, data, "git@github.com:acme/"+name+".git")
		assert.Contains(t, data, "github-"+name+"-deploy privateKeyOpenssh")
		assert.NotContains(t, data, adminToken)
		assert.NotContains(t, data, guardToken)
		assert.Equal(t, []any{"git@github.com:acme/" + name + ".git"}, recorder.At(r.Get(t, "AppProject", project).Object(), "spec.sourceRepos"))
		key := r.Type(t, "github:index/repositoryDeployKey:RepositoryDeployKey", "github-"+name).Object()
		assert.Equal(t, true, key["readOnly"])
	}
	set := r.Get(t, "ApplicationSet", "neuroscale-model-endpoints-team-b")
	assert.Equal(t, "git@github.com:acme/models-b.git", recorder.At(set.Object(), "spec.generators.0.git.repoURL"))
	assert.True(t, r.Waits(set, r.Type(t, "github:index/repositoryDeployKey:RepositoryDeployKey", "github-models-b")), "it is read before its key is known")

	egress := r.Get(t, "NetworkPolicy", "neuroscale-repo-server-reaches").Object()
	assert.Equal(t, "argocd", recorder.At(egress, "metadata.namespace"))
	assert.Equal(t, map[string]any{"app.kubernetes.io/name": "argocd-repo-server"}, recorder.At(egress, "spec.podSelector.matchLabels"))
	assert.Equal(t, []any{map[string]any{
		"to":    []any{map[string]any{"ipBlock": map[string]any{"cidr": "140.82.112.0/20"}}},
		"ports": []any{map[string]any{"protocol": "TCP", "port": 22.0}},
	}}, recorder.At(egress, "spec.egress"), "what tenants merge is read by a pod that reaches more than Git")
}

func firstContentIsPushedToGitHub(t *testing.T, r *recorder.Recording) {
	seed := r.Type(t, "kubernetes:batch/v1:Job", "endpoints-seed")
	assert.Equal(t, "https://github.com/acme/endpoints.git", variables(seed)["REPOSITORY"])
	assert.NotContains(t, variables(seed), "GIT_SSL_CAINFO", "GitHub's certificate is not the platform's")
	assert.True(t, r.Waits(seed, r.Type(t, "github:index/repository:Repository", "github-endpoints")), "it is pushed to before it is there")
	assert.False(t, r.Waits(r.Get(t, "Job", "layer-knative-*"), r.Type(t, "github:index/repository:Repository", "github-endpoints")), "layers wait for GitHub")
	seeds := 0
	for _, secret := range r.Kind("Secret") {
		if strings.HasPrefix(secret.ObjectName(), "endpoints-seed") {
			seeds++
			assert.Contains(t, readable(secret), adminToken)
			secret.AssertSecret(t, "data")
		}
	}
	assert.Equal(t, 2, seeds)
}

func onlyTheGuardHasItsToken(t *testing.T, r *recorder.Recording) {
	guard := r.Get(t, "Secret", "guard")
	guard.AssertSecret(t, "data")
	assert.Contains(t, readable(guard), guardToken)
	assert.NotContains(t, readable(guard), adminToken, "it reads what anybody proposes")
	r.AssertNoSecretOutside(t, adminToken, guardToken)
	for _, g := range r.Registrations {
		text := readable(g)
		switch {
		case strings.Contains(text, guardToken):
			assert.Equal(t, guard.URN, g.URN)
		case strings.Contains(text, adminToken):
			assert.Contains(t, []string{"pulumi:providers:github", "kubernetes:core/v1:Secret"}, g.Type, g.URN)
			assert.NotContains(t, []string{"guard", "argocd", "tenant"}, recorder.At(g.Object(), "metadata.namespace"), g.URN)
		}
		assert.NotContains(t, fmt.Sprint(g.Inputs.MapRepl(nil, hidden)), adminToken, "%s is readable in the state", g.URN)
	}

	egress := r.Get(t, "NetworkPolicy", "neuroscale-guard-reaches-github").Object()
	assert.Equal(t, reviews.Namespace, recorder.At(egress, "metadata.namespace"))
	assert.Equal(t, map[string]any{"app": "guard"}, recorder.At(egress, "spec.podSelector.matchLabels"))
	for i, cidr := range []string{"140.82.112.0/20", "192.30.252.0/22"} {
		assert.Equal(t, cidr, recorder.At(egress, fmt.Sprintf("spec.egress.%d.to.0.ipBlock.cidr", i)))
		assert.Equal(t, []any{map[string]any{"protocol": "TCP", "port": 443.0}}, recorder.At(egress, fmt.Sprintf("spec.egress.%d.ports", i)))
	}
}

func TestInGiteaNothingIsOnGitHub(t *testing.T) {
	r := recorder.MustRun(t, program(t, twoTenants), recorder.Options{})
	for _, g := range r.Registrations {
		assert.NotContains(t, g.Type, "github")
		assert.NotContains(t, fmt.Sprint(g.Object()), "-provider=github")
		assert.NotContains(t, g.ObjectName(), "-reaches")
	}
}

func TestTheGuardWithoutATokenOfItsOwnTakesTheOther(t *testing.T) {
	program, _ := githubProgram(t, onGitHub)
	t.Setenv("GITHUB_TOKEN", "somebody's")
	t.Setenv("NEUROSCALE_GITHUB_TOKEN", adminToken)
	r := recorder.MustRun(t, program, recorder.Options{})
	assert.Contains(t, readable(r.Get(t, "Secret", "guard")), adminToken)
	r.AssertNoSecretOutside(t, adminToken)
}

func TestWithoutWhatGitHubNeedsNothingIsMade(t *testing.T) {
	for name, test := range map[string]struct {
		config map[string]string
		change func(s *githubtest.Server)
		want   string
	}{
		"no token": {nil, nil, "neuroscale:forge.provider is github, and there is no token for it: `pulumi config set --secret github:token`, or set NEUROSCALE_GITHUB_TOKEN, to one that administers the repositories of acme"},
		"a token that is not known": {map[string]string{GitHubToken: "ghp_old"}, nil,
			"GitHub does not know the token in github:token (Bad credentials): it is wrong, was revoked or has expired, make another one"},
		"a guard's token that is not known": {map[string]string{GitHubToken: adminToken, GitHubGuardToken: "ghp_old"}, nil,
			"GitHub does not know the token in github:guardToken (Bad credentials): it is wrong, was revoked or has expired, make another one"},
		"a repository that is somebody's": {map[string]string{GitHubToken: adminToken}, func(s *githubtest.Server) { s.Repository("endpoints", nil) },
			"acme/endpoints is there already and not the platform's: adopt it, or name another repository"},
	} {
		t.Run(name, func(t *testing.T) {
			program, s := githubProgram(t, onGitHub)
			if test.change != nil {
				test.change(s)
			}
			r, err := recorder.Run(program, recorder.Options{Config: test.config})
			require.EqualError(t, err, test.want)
			assert.Empty(t, r.Registrations)
			for _, secret := range test.config {
				assert.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestOnGitHubThePortalHasTheAppsSecretAndNobodyElse(t *testing.T) {
	for name, from := range map[string]func(t *testing.T) map[string]string{
		"of the stack": func(*testing.T) map[string]string {
			return map[string]string{GitHubToken: adminToken, GitHubGuardToken: guardToken, GitHubClientSecret: clientSecret}
		},
		"of the environment": func(t *testing.T) map[string]string {
			t.Setenv("NEUROSCALE_GITHUB_CLIENT_SECRET", clientSecret)
			return map[string]string{GitHubToken: adminToken, GitHubGuardToken: guardToken}
		},
	} {
		t.Run(name, func(t *testing.T) {
			program, s := githubProgram(t, withPortal())
			r := recorder.MustRun(t, program, recorder.Options{Config: from(t)})
			assert.Contains(t, s.Requests(), "POST /applications/Ov23liABC/token 404", "what is wrong of it is found out by who signs in")
			client := r.Get(t, "Secret", portal.ClientSecret)
			client.AssertSecret(t, "data")
			assert.Contains(t, readable(client), "secret="+clientSecret)
			r.AssertNoSecretOutside(t, clientSecret)
			for _, g := range r.Registrations {
				if g.URN != client.URN {
					assert.NotContains(t, readable(g), clientSecret, g.URN)
				}
			}
			for _, token := range []string{adminToken, guardToken} {
				for _, secret := range r.Kind("Secret") {
					if recorder.At(secret.Object(), "metadata.namespace") == portal.Namespace {
						assert.NotContains(t, readable(secret), token, "the portal asks as the person")
					}
				}
			}
			egress := r.Get(t, "NetworkPolicy", "neuroscale-portal-reaches-github").Object()
			for i, cidr := range []string{"140.82.112.0/20", "192.30.252.0/22"} {
				assert.Equal(t, cidr, recorder.At(egress, fmt.Sprintf("spec.egress.%d.to.0.ipBlock.cidr", i)))
				assert.Equal(t, []any{map[string]any{"protocol": "TCP", "port": 443.0}}, recorder.At(egress, fmt.Sprintf("spec.egress.%d.ports", i)))
			}
		})
	}
}

func TestWithoutWhatThePortalNeedsOnGitHubNothingIsMade(t *testing.T) {
	for name, test := range map[string]struct {
		secret, want string
		dryRun       bool
	}{
		"no secret":               {"", "neuroscale:forge.github.clientId is \"Ov23liABC\", and there is no secret of it: `pulumi config set --secret github:clientSecret`, or set NEUROSCALE_GITHUB_CLIENT_SECRET, to one that GitHub makes for that OAuth App, whose callback URL is https://portal.example.org/api/auth/github/handler/frame", false},
		"no secret, in a preview": {"", "there is no secret of it", true},
		"another App's secret":    {"s3cret", "GitHub does not know OAuth App Ov23liABC by the secret in github:clientSecret (Bad credentials): one of both is wrong, make another secret on the App's page", false},
	} {
		t.Run(name, func(t *testing.T) {
			program, _ := githubProgram(t, withPortal())
			r, err := recorder.Run(program, recorder.Options{DryRun: test.dryRun, Config: map[string]string{GitHubToken: adminToken, GitHubClientSecret: test.secret}})
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "s3cret")
			assert.Empty(t, r.Registrations)
		})
	}
}

func TestAPreviewAsksGitHubNothing(t *testing.T) {
	program, s := githubProgram(t, onGitHub)
	recorder.MustRun(t, program, recorder.Options{DryRun: true, Config: map[string]string{GitHubToken: adminToken}})
	assert.Empty(t, s.Requests())
	_, err := recorder.Run(program, recorder.Options{DryRun: true})
	require.ErrorContains(t, err, "there is no token for it")
}

func membersKeepTheirAccounts(t *testing.T, r *recorder.Recording) {
	cfg, err := Config(onGitHub)
	require.NoError(t, err)
	for _, member := range cfg.Members() {
		r.Type(t, "random:index/randomPassword:RandomPassword", forge.PasswordOf(forgeName, member))
	}
	assert.Equal(t, []string{"anna", "bob"}, cfg.Members())
}

func TestGitHubsRepositoriesAreNamedInTheOutputs(t *testing.T) {
	withoutTokens(t)
	t.Setenv("NEUROSCALE_GITHUB_TOKEN", adminToken)
	cfg, err := config.Load(maps.Clone(onGitHub))
	require.NoError(t, err)
	var got people
	recorder.MustRun(t, func(ctx *pulumi.Context) error {
		var err error
		got, err = (&site{ctx: ctx, cfg: cfg}).newPeople()
		return err
	}, recorder.Options{})
	assert.Equal(t, map[string]string{"endpoints": "https://github.com/acme/endpoints.git", "models-b": "https://github.com/acme/models-b.git"}, got.urls)
}
