package github

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func secret(text string) pulumi.StringOutput {
	return pulumi.ToSecret(pulumi.String(text)).(pulumi.StringOutput)
}

func args() *Args {
	return &Args{
		Owner: "acme", Token: secret("the token"), GuardContext: "neuroscale/guard",
		Repositories: []Repository{{Name: "endpoints", Approvals: 1}, {Name: "models-b", Adopt: true}},
		Labels:       []Label{{"endpoint", "1d76db", "Serves a model"}},
		WebhookURL:   "https://argocd.example.org/api/webhook",
		Secrets:      map[string]pulumi.StringOutput{"KUBECONFIG": secret("the kubeconfig")},
		Variables:    map[string]string{"DOMAIN": "models.example.org"},
	}
}

func build(t *testing.T, a *Args) (*recorder.Recording, *GitHub) {
	t.Helper()
	var g *GitHub
	r := recorder.MustRun(t, func(ctx *pulumi.Context) error {
		var err error
		g, err = New(ctx, "github", a)
		return err
	}, recorder.Options{})
	return r, g
}

// inputs are g's in plain values, which are its only ones.
func inputs(g *recorder.Registration) map[string]any { return g.Inputs.MapRepl(nil, secretText) }

// secretText marks what is secret.
func secretText(v resource.PropertyValue) (any, bool) {
	if v.IsSecret() {
		return "secret " + v.SecretValue().Element.StringValue(), true
	}
	return nil, false
}

func TestARepositoryIsMadeOrAdoptedAndNeverDeleted(t *testing.T) {
	r, _ := build(t, args())
	made := r.Type(t, "github:index/repository:Repository", "github-endpoints")
	assert.False(t, made.Read)
	assert.True(t, made.RetainOnDelete, "a destroy takes away what people wrote")
	assert.Equal(t, map[string]any{
		"name": "endpoints", "description": "Endpoints of NeuroScale: a folder in apps/ is one", "visibility": "private",
		"topics": []any{"neuroscale-platform"}, "hasIssues": true, "hasProjects": false, "hasWiki": false,
		"deleteBranchOnMerge": true, "autoInit": false,
	}, inputs(made))
	adopted := r.Type(t, "github:index/repository:Repository", "github-models-b")
	assert.True(t, adopted.Read, "the settings of an adopted one are changed, or it is deleted")
}

func TestARepositoryThatIsThereIsNotMadeAgain(t *testing.T) {
	a := args()
	a.Repositories[0].There = true
	r, _ := build(t, a)
	taken := r.Type(t, "github:index/repository:Repository", "github-endpoints")
	assert.Equal(t, "endpoints", taken.Imported, "GitHub refuses the name")
	assert.False(t, taken.Read, "what the program sets is not kept")
	assert.True(t, taken.RetainOnDelete)
	r, _ = build(t, args())
	assert.Empty(t, r.Type(t, "github:index/repository:Repository", "github-endpoints").Imported)
}

func TestEverythingIsDoneByTheOneTokenInTheComponent(t *testing.T) {
	t.Setenv("GITHUB_BASE_URL", "http://somewhere-else/")
	r, _ := build(t, args())
	component := r.Type(t, Token, "github")
	provider := r.Type(t, "pulumi:providers:github", "github")
	assert.Equal(t, map[string]any{"baseUrl": "https://api.github.com/", "owner": "acme", "organization": "acme", "token": "secret the token"}, inputs(provider))
	count := map[string]int{}
	for _, g := range r.Registrations {
		if g == component {
			continue
		}
		count[g.Type]++
		assert.Equalf(t, component.URN, g.Parent, "parent of %s", g.URN)
		if len(g.Type) > 7 && g.Type[:7] == "github:" {
			assert.Equalf(t, provider.URN+"::github-id", g.Provider, "%s is made by another account", g.URN)
		}
	}
	assert.Equal(t, map[string]int{
		"pulumi:providers:github": 1, "random:index/randomPassword:RandomPassword": 1, "tls:index/privateKey:PrivateKey": 2,
		"github:index/repository:Repository": 2, "github:index/branchProtection:BranchProtection": 2,
		"github:index/repositoryDeployKey:RepositoryDeployKey": 2, "github:index/issueLabel:IssueLabel": 2,
		"github:index/repositoryWebhook:RepositoryWebhook": 2, "github:index/actionsSecret:ActionsSecret": 2,
		"github:index/actionsVariable:ActionsVariable": 2,
	}, count)
}

func TestNothingIsMergedThatTheGuardHasNotPassed(t *testing.T) {
	r, _ := build(t, args())
	for name, approvals := range map[string]float64{"github-endpoints": 1, "github-models-b": 0} {
		protection := r.Type(t, "github:index/branchProtection:BranchProtection", name)
		assert.Equal(t, map[string]any{
			"repositoryId": name + " nodeId", "pattern": "main", "allowsDeletions": false, "allowsForcePushes": false, "enforceAdmins": false,
			"requiredStatusChecks":       []any{map[string]any{"contexts": []any{"neuroscale/guard"}, "strict": true}},
			"requiredPullRequestReviews": []any{map[string]any{"requiredApprovingReviewCount": approvals, "dismissStaleReviews": true}},
		}, inputs(protection))
		assert.True(t, r.Waits(protection, r.Type(t, "github:index/repository:Repository", name)))
	}
}

func TestArgoCDReadsByAKeyThatCanDoNoMore(t *testing.T) {
	r, g := build(t, args())
	for _, repository := range []string{"endpoints", "models-b"} {
		name := "github-" + repository
		assert.Equal(t, map[string]any{"algorithm": "ED25519"}, inputs(r.Type(t, "tls:index/privateKey:PrivateKey", name+"-deploy")))
		key := r.Type(t, "github:index/repositoryDeployKey:RepositoryDeployKey", name)
		assert.Equal(t, map[string]any{
			"repository": repository, "title": "Argo CD of NeuroScale", "key": name + "-deploy publicKeyOpenssh", "readOnly": true,
		}, inputs(key))
		assert.True(t, r.Waits(key, r.Type(t, "tls:index/privateKey:PrivateKey", name+"-deploy")))
	}
	for _, of := range g.Repositories {
		require.Len(t, of.Ready, 2, "the repository and its key")
	}

	of := g.Repositories["endpoints"]
	assert.Equal(t, "https://github.com/acme/endpoints.git", of.URL, "where the first content is pushed to")
	assert.Equal(t, "x-access-token", of.Writer.Username)
	assert.Equal(t, "git@github.com:acme/endpoints.git", of.ReadURL())
	assert.True(t, of.Public(), "Git would believe GitHub only if the platform's authority had signed its certificate")
	object := argocd.RepositorySecret("endpoints", "tenant-default", of)
	data := object["data"].(map[string]any)
	assert.Contains(t, data, "sshPrivateKey")
	assert.NotContains(t, data, "password", "Argo CD has a token that writes")
}

func TestWhatWorkflowsAndWebhooksAreTold(t *testing.T) {
	r, _ := build(t, args())
	assert.Equal(t, map[string]any{"repository": "endpoints", "secretName": "KUBECONFIG", "plaintextValue": "secret the kubeconfig"},
		inputs(r.Type(t, "github:index/actionsSecret:ActionsSecret", "github-endpoints-KUBECONFIG")))
	assert.Equal(t, map[string]any{"repository": "endpoints", "variableName": "DOMAIN", "value": "models.example.org"},
		inputs(r.Type(t, "github:index/actionsVariable:ActionsVariable", "github-endpoints-DOMAIN")))
	assert.Equal(t, map[string]any{"repository": "models-b", "name": "endpoint", "color": "1d76db", "description": "Serves a model"},
		inputs(r.Type(t, "github:index/issueLabel:IssueLabel", "github-models-b-endpoint")))
	hook := r.Type(t, "github:index/repositoryWebhook:RepositoryWebhook", "github-models-b")
	assert.Equal(t, map[string]any{
		"repository": "models-b", "active": true, "events": []any{"push"},
		"configuration": map[string]any{
			"url": "https://argocd.example.org/api/webhook", "contentType": "json", "insecureSsl": false, "secret": "secret github-webhook result",
		},
	}, inputs(hook))

	a := args()
	a.WebhookURL, a.Labels, a.Secrets, a.Variables = "", nil, nil, nil
	r, _ = build(t, a)
	for _, g := range r.Registrations {
		assert.NotContains(t, g.Type, "Webhook")
		assert.NotContains(t, g.Type, "random")
		assert.NotContains(t, g.Type, "actions")
	}
}

func TestBadArgs(t *testing.T) {
	for want, change := range map[string]func(*Args){
		`github: Args.Owner is "a/b": an organization or an account of GitHub`:                             func(a *Args) { a.Owner = "a/b" },
		`github: Args.Token is missing`:                                                                    func(a *Args) { a.Token = pulumi.StringOutput{} },
		`github: Args.GuardContext is empty`:                                                               func(a *Args) { a.GuardContext = "" },
		`github: Args.Repositories is empty`:                                                               func(a *Args) { a.Repositories = nil },
		`github: Args.Repositories[1].Name is "endpoints": letters, digits, ., - and _, a name of its own`: func(a *Args) { a.Repositories[1].Name = "endpoints" },
		`github: Args.Repositories[0].Approvals is 7: from 0 to 6`:                                         func(a *Args) { a.Repositories[0].Approvals = 7 },
		`github: Args.Labels[0] is "endpoint" of color "#1d76db": a name and six hexadecimal digits`:       func(a *Args) { a.Labels[0].Color = "#1d76db" },
		`github: Args.Secrets["kubeconfig"]: a name of capital letters, digits and _, and a value`:         func(a *Args) { a.Secrets = map[string]pulumi.StringOutput{"kubeconfig": secret("x")} },
		`github: Args.Variables["A B"]: a name of capital letters, digits and _`:                           func(a *Args) { a.Variables = map[string]string{"A B": "x"} },
	} {
		a := args()
		change(a)
		assert.Equal(t, want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "github", a)
			return err
		}))
	}
	assert.Equal(t, "github: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "github", nil)
		return err
	}))
}
