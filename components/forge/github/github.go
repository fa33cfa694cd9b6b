// Package github provides repositories on GitHub for people's endpoints. What the
// program writes, the layers, stays in the cluster.
package github

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	preflight "github.com/neuroscale-platform/neuroscale/internal/github"
)

// Token is the component's type.
const Token = "neuroscale:platform:GitHub"

// URL of what GitHub shows people of an owner's.
func URL(owner string) string { return "https://" + host + "/" + owner }

const (
	host   = "github.com"
	branch = "main"
)

// TokenUser is the name that goes with a token over HTTPS.
const TokenUser = "x-access-token"

// Args of the repositories.
type Args struct {
	// Owner of the repositories, an organization or an account, and Token of one that
	// administers them.
	Owner string
	Token pulumi.StringOutput
	// API is the URL of GitHub's; empty means github.com's.
	API string
	// Repositories that people write.
	Repositories []Repository
	// GuardContext is the status without which nothing is merged.
	GuardContext string
	// Labels that issues and pull requests may have.
	Labels []Label
	// WebhookURL is told about pushes, and has to be reached from the internet; empty:
	// nobody is told, Argo CD looks by itself.
	WebhookURL string
	// Secrets and Variables of the repositories' workflows, by name.
	Secrets   map[string]pulumi.StringOutput
	Variables map[string]string
}

// Repository is one that people write.
type Repository struct {
	Name string
	// Adopt takes over one that is there: its settings stay what they are. Neither an
	// adopted one nor one that was made is ever deleted.
	Adopt bool
	// There is that it was made before, by a stack that was destroyed or by an up that was
	// killed: it is taken into the state, with what people wrote.
	There bool
	// Approvals are how many people have to approve what is merged.
	Approvals int
}

// Label of issues and pull requests. Color is six hexadecimal digits.
type Label struct{ Name, Color, Description string }

var (
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	color          = regexp.MustCompile(`^[0-9a-f]{6}$`)
	// variableName is what GitHub takes for the name of a secret or a variable.
	variableName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
)

// mostApprovals GitHub can ask for.
const mostApprovals = 6

func (a *Args) validate() error {
	if a == nil {
		return errors.New("github: no Args")
	}
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf("github: "+format, args...)) }
	if !repositoryName.MatchString(a.Owner) {
		complain("Args.Owner is %q: an organization or an account of GitHub", a.Owner)
	}
	if a.Token.OutputState == nil {
		complain("Args.Token is missing")
	}
	if a.GuardContext == "" {
		complain("Args.GuardContext is empty")
	}
	if len(a.Repositories) == 0 {
		complain("Args.Repositories is empty")
	}
	seen := map[string]bool{}
	for i, r := range a.Repositories {
		if !repositoryName.MatchString(r.Name) || seen[r.Name] {
			complain("Args.Repositories[%d].Name is %q: letters, digits, ., - and _, a name of its own", i, r.Name)
		}
		if r.Approvals < 0 || r.Approvals > mostApprovals {
			complain("Args.Repositories[%d].Approvals is %d: from 0 to %d", i, r.Approvals, mostApprovals)
		}
		seen[r.Name] = true
	}
	for i, l := range a.Labels {
		if l.Name == "" || !color.MatchString(l.Color) {
			complain("Args.Labels[%d] is %q of color %q: a name and six hexadecimal digits", i, l.Name, l.Color)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Secrets)) {
		if !variableName.MatchString(name) || a.Secrets[name].OutputState == nil {
			complain("Args.Secrets[%q]: a name of capital letters, digits and _, and a value", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Variables)) {
		if !variableName.MatchString(name) {
			complain("Args.Variables[%q]: a name of capital letters, digits and _", name)
		}
	}
	return errors.Join(errs...)
}

// GitHub is where people's repositories live.
type GitHub struct {
	pulumi.ResourceState
	// Repositories by name, as the cluster sees them.
	Repositories map[string]forge.Repository
	// PublicURLs by name are where people clone Repositories from.
	PublicURLs map[string]string
	// WebhookSecret signs what is sent to Args.WebhookURL; empty without one.
	WebhookSecret pulumi.StringOutput
}

// New makes or adopts the repositories, has Argo CD read each with a key of its own,
// and lets nothing be merged that the guard has not passed. The token, which
// administers them, may push nevertheless: the first content has to come there.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*GitHub, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	g := &GitHub{Repositories: map[string]forge.Repository{}, PublicURLs: map[string]string{}}
	if err := ctx.RegisterComponentResource(Token, name, g, opts...); err != nil {
		return nil, err
	}
	token := pulumi.ToSecret(args.Token).(pulumi.StringOutput)
	provider, err := github.NewProvider(ctx, name, &github.ProviderArgs{
		// All is said, or the provider takes it from GITHUB_OWNER and GITHUB_BASE_URL of
		// whoever runs it.
		BaseUrl: pulumi.String(strings.TrimRight(cmp.Or(args.API, preflight.API), "/") + "/"), Owner: pulumi.String(args.Owner),
		//lint:ignore SA1019 GITHUB_OWNER goes before Owner, and only this goes before that.
		Organization: pulumi.String(args.Owner),
		Token:        token,
	}, pulumi.Parent(g))
	if err != nil {
		return nil, fmt.Errorf("github: provider: %w", err)
	}
	m := &maker{ctx: ctx, name: name, args: args, parent: pulumi.Parent(g), provider: pulumi.Provider(provider)}
	g.WebhookSecret = pulumi.ToSecret(pulumi.String("").ToStringOutput()).(pulumi.StringOutput)
	if args.WebhookURL != "" {
		password, err := random.NewRandomPassword(ctx, name+"-webhook", &random.RandomPasswordArgs{
			Length: pulumi.Int(40), Special: pulumi.Bool(false),
		}, m.parent)
		if err != nil {
			return nil, fmt.Errorf("github: secret of the webhooks: %w", err)
		}
		m.webhookSecret = pulumi.ToSecret(password.Result).(pulumi.StringOutput)
		g.WebhookSecret = m.webhookSecret
	}
	for _, r := range args.Repositories {
		key, ready, err := m.repository(r)
		if err != nil {
			return nil, fmt.Errorf("github: %s/%s: %w", args.Owner, r.Name, err)
		}
		url := fmt.Sprintf("https://%s/%s/%s.git", host, args.Owner, r.Name)
		g.PublicURLs[r.Name] = url
		g.Repositories[r.Name] = forge.Repository{
			URL: url, Writer: forge.Account{Username: TokenUser, Password: token},
			DeployURL: fmt.Sprintf("git@%s:%s/%s.git", host, args.Owner, r.Name), DeployKey: key, Ready: ready,
		}
	}
	return g, ctx.RegisterResourceOutputs(g, pulumi.Map{"repositories": pulumi.ToStringMap(g.PublicURLs)})
}

// maker registers what belongs to each repository.
type maker struct {
	ctx              *pulumi.Context
	name             string
	args             *Args
	parent, provider pulumi.ResourceOption
	webhookSecret    pulumi.StringOutput
}

// repository is what it takes of one, the key it is read with, and what is done when
// that works.
func (m *maker) repository(r Repository) (key pulumi.StringOutput, ready []pulumi.Resource, err error) {
	logical := m.name + "-" + r.Name
	repository, err := m.madeOrAdopted(logical, r)
	if err != nil {
		return key, nil, fmt.Errorf("repository: %w", err)
	}
	if _, err = github.NewBranchProtection(m.ctx, logical, m.protection(repository, r), m.parent, m.provider); err != nil {
		return key, nil, fmt.Errorf("protection of %s: %w", branch, err)
	}
	pair, err := tls.NewPrivateKey(m.ctx, logical+"-deploy", &tls.PrivateKeyArgs{Algorithm: pulumi.String("ED25519")}, m.parent)
	if err != nil {
		return key, nil, fmt.Errorf("deploy key: %w", err)
	}
	deploy, err := github.NewRepositoryDeployKey(m.ctx, logical, &github.RepositoryDeployKeyArgs{
		Repository: repository.Name, Title: pulumi.String("Argo CD of NeuroScale"), Key: pair.PublicKeyOpenssh, ReadOnly: pulumi.Bool(true),
	}, m.parent, m.provider)
	if err != nil {
		return key, nil, fmt.Errorf("deploy key: %w", err)
	}
	return pulumi.ToSecret(pair.PrivateKeyOpenssh).(pulumi.StringOutput), []pulumi.Resource{repository, deploy}, m.extras(logical, repository)
}

// madeOrAdopted is a repository that outlives the stack: what people wrote is theirs.
func (m *maker) madeOrAdopted(logical string, r Repository) (*github.Repository, error) {
	if r.Adopt {
		return github.GetRepository(m.ctx, logical, pulumi.ID(r.Name), nil, m.parent, m.provider)
	}
	opts := []pulumi.ResourceOption{m.parent, m.provider, pulumi.RetainOnDelete(true)}
	if r.There {
		opts = append(opts, pulumi.Import(pulumi.ID(r.Name)))
	}
	return github.NewRepository(m.ctx, logical, &github.RepositoryArgs{
		Name: pulumi.String(r.Name), Description: pulumi.String(preflight.Description),
		Visibility: pulumi.String("private"), Topics: pulumi.ToStringArray([]string{preflight.Topic}),
		HasIssues: pulumi.Bool(true), HasProjects: pulumi.Bool(false), HasWiki: pulumi.Bool(false),
		DeleteBranchOnMerge: pulumi.Bool(true),
		// Empty, so that the first content is the platform's.
		AutoInit: pulumi.Bool(false),
	}, opts...)
}

func (m *maker) protection(repository *github.Repository, r Repository) *github.BranchProtectionArgs {
	return &github.BranchProtectionArgs{
		RepositoryId: repository.NodeId, Pattern: pulumi.String(branch),
		AllowsDeletions: pulumi.Bool(false), AllowsForcePushes: pulumi.Bool(false),
		// Who administers the repository may push when there is no guard.
		EnforceAdmins: pulumi.Bool(false),
		RequiredStatusChecks: github.BranchProtectionRequiredStatusCheckArray{github.BranchProtectionRequiredStatusCheckArgs{
			Contexts: pulumi.ToStringArray([]string{m.args.GuardContext}),
			// What was judged is what is merged: against main as it is then.
			Strict: pulumi.Bool(true),
		}},
		RequiredPullRequestReviews: github.BranchProtectionRequiredPullRequestReviewArray{github.BranchProtectionRequiredPullRequestReviewArgs{
			RequiredApprovingReviewCount: pulumi.Int(r.Approvals), DismissStaleReviews: pulumi.Bool(true),
		}},
	}
}

// extras are labels, the webhook, and what workflows are told.
func (m *maker) extras(logical string, repository *github.Repository) error {
	var errs []error
	failed := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	for _, l := range m.args.Labels {
		_, err := github.NewIssueLabel(m.ctx, logical+"-"+l.Name, &github.IssueLabelArgs{
			Repository: repository.Name, Name: pulumi.String(l.Name), Color: pulumi.String(l.Color), Description: pulumi.String(l.Description),
		}, m.parent, m.provider)
		failed("label "+l.Name, err)
	}
	if m.args.WebhookURL != "" {
		_, err := github.NewRepositoryWebhook(m.ctx, logical, &github.RepositoryWebhookArgs{
			Repository: repository.Name, Active: pulumi.Bool(true), Events: pulumi.ToStringArray([]string{"push"}),
			Configuration: github.RepositoryWebhookConfigurationArgs{
				Url: pulumi.String(m.args.WebhookURL), ContentType: pulumi.String("json"), Secret: m.webhookSecret, InsecureSsl: pulumi.Bool(false),
			},
		}, m.parent, m.provider)
		failed("webhook", err)
	}
	for _, name := range slices.Sorted(maps.Keys(m.args.Secrets)) {
		_, err := github.NewActionsSecret(m.ctx, logical+"-"+name, &github.ActionsSecretArgs{
			Repository: repository.Name, SecretName: pulumi.String(name), PlaintextValue: pulumi.ToSecret(m.args.Secrets[name]).(pulumi.StringOutput),
		}, m.parent, m.provider)
		failed("secret "+name, err)
	}
	for _, name := range slices.Sorted(maps.Keys(m.args.Variables)) {
		_, err := github.NewActionsVariable(m.ctx, logical+"-"+name, &github.ActionsVariableArgs{
			Repository: repository.Name, VariableName: pulumi.String(name), Value: pulumi.String(m.args.Variables[name]),
		}, m.parent, m.provider)
		failed("variable "+name, err)
	}
	return errors.Join(errs...)
}
