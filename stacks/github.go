package stacks

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	hub "github.com/neuroscale-platform/neuroscale/components/forge/github"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/reviewer"
)

// Where the program finds tokens of GitHub: the first that is there.
const (
	// GitHubToken administers the repositories.
	GitHubToken = "github:token"
	// GitHubGuardToken judges what is proposed; without one GitHubToken does.
	GitHubGuardToken = "github:guardToken"
	// GitHubClientSecret is of the OAuth App that people sign in to the portal with.
	GitHubClientSecret = "github:clientSecret"
)

// tokensFrom are the variables of each, after the setting.
var tokensFrom = map[string][]string{
	GitHubToken:        {"NEUROSCALE_GITHUB_TOKEN", github.TokenVariable},
	GitHubGuardToken:   {"NEUROSCALE_GITHUB_GUARD_TOKEN"},
	GitHubClientSecret: {"NEUROSCALE_GITHUB_CLIENT_SECRET"},
}

// GitHubTokenIn is the token that administers the repositories, as far as the
// environment has it, and the variables it may be in.
func GitHubTokenIn(getenv func(string) string) (token string, variables []string) {
	token, _ = tokenIn(getenv, GitHubToken)
	return token, tokensFrom[GitHubToken]
}

// tokenIn is what the first variable has that is set, and its name.
func tokenIn(getenv func(string) string, of string) (token, variable string) {
	for _, variable := range tokensFrom[of] {
		if token := getenv(variable); token != "" {
			return token, variable
		}
	}
	return "", ""
}

// patience is how long an up waits for GitHub to take requests again.
const patience = time.Minute

// people are where those of tenants write.
type people struct {
	repositories map[string]forge.Repository
	// urls are where people clone them from.
	urls map[string]string
	// guard judges what is proposed.
	guard forge.Account
	// where they are, if not in the cluster.
	where []config.Egress
	// signIn to the portal is by GitHub; nil if it is not.
	signIn *portal.GitHub
}

// asked is what GitHub was asked about, and what it said.
type asked struct {
	api  string    // URL, empty for github.com's
	ours []string  // repositories that the platform made before
	app  *oauthApp // nil if nobody signs in to a portal there
}

// Ports of GitHub.
const (
	ssh   = 22
	https = 443
)

// reaches is where they are at a port.
func (p people) reaches(port int) []config.Egress {
	var all []config.Egress
	for _, e := range p.where {
		if slices.Contains(e.Ports, port) {
			all = append(all, config.Egress{CIDR: e.CIDR, Ports: []int{port}})
		}
	}
	return all
}

// githubToken is the token, and where it is from.
func (s *site) githubToken(of string) (token, from string) {
	if token, ok := s.ctx.GetConfig(of); ok && token != "" {
		return token, of
	}
	return tokenIn(os.Getenv, of)
}

// askGitHub finds out whether GitHub would let its token make what is missing, before
// anything is made. A preview asks nobody.
func (s *site) askGitHub() error {
	if !s.cfg.Forge.OnGitHub() {
		return nil
	}
	token, from := s.githubToken(GitHubToken)
	if token == "" {
		return fmt.Errorf("%s:forge.provider is github, and there is no token for it: `pulumi config set --secret %s`, or set %s, to one that administers the repositories of %s",
			config.Namespace, GitHubToken, tokensFrom[GitHubToken][0], s.cfg.Forge.Organization)
	}
	guard, guardFrom := s.githubToken(GitHubGuardToken)
	if guard == "" || guard == token {
		if err := s.ctx.Log.Warn(fmt.Sprintf("the guard asks GitHub with the token that administers the repositories: give it one of its own that may less, `pulumi config set --secret %s` or %s",
			GitHubGuardToken, tokensFrom[GitHubGuardToken][0]), nil); err != nil {
			return err
		}
	}
	app, err := s.oauthApp()
	if err != nil {
		return err
	}
	s.github.app = app
	p := github.Preflight{Token: token, From: from, Owner: s.cfg.Forge.Organization, Patience: patience}
	for _, name := range s.cfg.Repositories() {
		p.Repositories = append(p.Repositories, github.Repository{Name: name, Adopt: slices.Contains(s.cfg.Forge.GitHub.Adopt, name)})
	}
	if s.options.GitHub != nil {
		s.options.GitHub(&p)
	}
	s.github.api = p.URL
	if s.ctx.DryRun() {
		return nil
	}
	report, err := p.Check(s.ctx.Context())
	if err == nil && guard != "" {
		p.Token, p.From = guard, guardFrom
		err = p.Known(s.ctx.Context())
	}
	if err == nil && app != nil {
		p.Token, p.From = app.secret, app.from
		err = p.KnownApp(s.ctx.Context(), app.id)
		report.Unproven = append(report.Unproven, fmt.Sprintf("that the callback URL of OAuth App %s is %s GitHub says at the first sign-in", app.id, s.cfg.Callback()))
	}
	if err != nil {
		return err
	}
	s.github.ours = report.Ours
	for _, sentence := range report.Unproven {
		err = errors.Join(err, s.ctx.Log.Info("not known before: "+sentence, nil))
	}
	return err
}

// oauthApp is what people sign in to the portal with on GitHub, and where its secret is from.
type oauthApp struct{ id, secret, from string }

// oauthApp of the settings; nil if nobody signs in to a portal by GitHub.
func (s *site) oauthApp() (*oauthApp, error) {
	if !s.cfg.Forge.OnGitHub() || !s.cfg.Portal.Enabled {
		return nil, nil
	}
	app := &oauthApp{id: s.cfg.Forge.GitHub.ClientID}
	if app.secret, app.from = s.githubToken(GitHubClientSecret); app.secret == "" {
		return nil, fmt.Errorf("%s:forge.github.clientId is %q, and there is no secret of it: `pulumi config set --secret %s`, or set %s, to one that GitHub makes for that OAuth App, whose callback URL is %s",
			config.Namespace, app.id, GitHubClientSecret, tokensFrom[GitHubClientSecret][0], s.cfg.Callback())
	}
	return app, nil
}

// newPeople is where people's repositories are: in Gitea, or made on GitHub.
func (s *site) newPeople() (people, error) {
	if !s.cfg.Forge.OnGitHub() {
		return people{repositories: s.forge.Repositories, urls: s.forge.PublicURLs, guard: s.forge.Guard}, nil
	}
	token, _ := s.githubToken(GitHubToken)
	guard, _ := s.githubToken(GitHubGuardToken)
	secret := func(text string) pulumi.StringOutput {
		return pulumi.ToSecret(pulumi.String(text)).(pulumi.StringOutput)
	}
	args := &hub.Args{Owner: s.cfg.Forge.Organization, Token: secret(token), API: s.github.api, GuardContext: reviewer.Context}
	for _, t := range s.cfg.Tenants {
		for _, name := range t.Repositories {
			args.Repositories = append(args.Repositories, hub.Repository{
				Name: name, Adopt: slices.Contains(s.cfg.Forge.GitHub.Adopt, name), There: slices.Contains(s.github.ours, name), Approvals: t.Approvals,
			})
		}
	}
	made, err := hub.New(s.ctx, "github", args)
	if err != nil {
		return people{}, err
	}
	p := people{
		repositories: made.Repositories, urls: made.PublicURLs, where: s.cfg.Forge.GitHub.Egress,
		guard: forge.Account{Username: forge.Guard, Password: secret(cmp.Or(guard, token))},
	}
	if app := s.github.app; app != nil {
		p.signIn = &portal.GitHub{ClientID: app.id, ClientSecret: secret(app.secret), Reaches: p.reaches(https)}
	}
	return p, nil
}
